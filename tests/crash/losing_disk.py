"""A disk that loses power: an SQLite VFS that remembers what was written and not yet synced, and may lose it.

Writes go through to real files, each remembered with what it overwrote until its file is synced. At a chosen operation
the power goes: that operation and all later ones fail. `settle` then gives every unsynced write its fate, in order:
lost, torn at a sector, or on the disk after all.
"""

import random
from collections import defaultdict
from pathlib import Path

import apsw
import msgspec

SECTOR = 512
LOST = 0.4
TORN = 0.2


class Write(msgspec.Struct, frozen=True):
    """One unsynced write, and what undoes it."""

    offset: int
    new: bytes
    old: bytes
    size_before: int


class LosingDisk(apsw.VFS):
    """The VFS; `operations` counts writes, syncs and deletions. The power goes at number `cut_at`; 0 is never.

    A disk that `lies` says of every sync that it is done and has done nothing: no software survives that.
    """

    def __init__(self, name: str, cut_at: int, *, lies: bool = False) -> None:
        super().__init__(name, "")
        self.lies = lies
        self.operations = 0
        self.unsynced: defaultdict[str, list[Write]] = defaultdict(list)
        self._cut_at = cut_at

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 (SQLite's name)
        """Opens a file on this disk."""
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 (SQLite's name)
        """Deletes a file, for good at once."""
        self.operate()
        super().xDelete(filename, syncdir)
        self.unsynced.pop(filename, None)

    def operate(self) -> None:
        """Counts an operation. Raises apsw.IOError once the power is off."""
        self.operations += 1
        if self._cut_at and self.operations >= self._cut_at:
            raise apsw.IOError("the power is off")

    def settle(self, chance: random.Random) -> None:
        """Leaves on the real files what a disk may hold after the cut. All of its files must be closed."""
        for name, writes in self.unsynced.items():
            with Path(name).open("r+b") as file:
                for write in reversed(writes):
                    file.seek(write.offset)
                    file.write(write.old)
                    file.truncate(write.size_before)
                for write in writes:
                    file.seek(write.offset)
                    file.write(_surviving(write.new, chance))


class _File(apsw.VFSFile):
    def __init__(self, disk: LosingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (SQLite's name)
        self._disk.operate()
        size = super().xFileSize()
        old = super().xRead(min(len(data), size - offset), offset) if offset < size else b""
        self._disk.unsynced[self._name].append(Write(offset, bytes(data), bytes(old), size))
        super().xWrite(data, offset)  # pyright: ignore[reportUnknownMemberType] (its buffer type is newer than Python)

    def xSync(self, flags: int) -> None:  # noqa: N802 (SQLite's name)
        self._disk.operate()
        super().xSync(flags)
        if not self._disk.lies:
            self._disk.unsynced.pop(self._name, None)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 (SQLite's name)
        if newsize != super().xFileSize():
            raise apsw.IOError("a truncation's fate is not modelled")


def _surviving(new: bytes, chance: random.Random) -> bytes:
    fate = chance.random()
    if fate < LOST:
        return b""
    if fate < LOST + TORN:
        return new[: chance.randrange(len(new) // SECTOR + 1) * SECTOR]
    return new
