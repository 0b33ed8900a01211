"""The room on the disk under the state directory, and the ballast: a file that is given up when there is none.

The ballast keeps room for the last facts and charges. It is made while there is more than enough room, deleted when the
ledger finds the disk full, and made anew once there is room again.
"""

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

from gateway.runtime.set_aside import lying_aside

_log = logging.getLogger("capgate")

BALLAST_FILE = "ballast"
BALLAST_BYTES = 8 << 20
LOW_BYTES = 64 << 20  # below this much room only the ledger is written
LOW_FILES = 16  # likewise, inodes
SMALLEST_PARTS = (20, 10)  # on a small disk the two are no more than these parts of it
CHECK_S = 10.0
_PROBE_FILE = "room.probe"
_PROBE_BYTES = 256 << 10  # more than a transaction of the ledger adds


class Disk:
    """The disk of `directory`; what is told is as of the last `measure`."""

    def __init__(self, directory: Path) -> None:
        self.free_bytes: int | None = None  # None: not known
        self.set_aside: tuple[str, ...] = ()  # names of what was damaged or in the way
        self.is_low = False  # whether only the ledger may be written
        self.lacks_files = False  # whether that is for want of room for further files, of inodes
        self._directory = directory
        self._ballast = directory / BALLAST_FILE

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:  # ends with the task
            await asyncio.to_thread(self.measure)
            await asyncio.sleep(CHECK_S)

    def measure(self) -> None:
        """Look how much room there is, and make the ballast where there is enough. Blocks."""
        with suppress(OSError):
            self.set_aside = lying_aside(self._directory)
            disk = os.statvfs(self._directory)
            self.free_bytes = disk.f_bavail * disk.f_frsize
            ballast_bytes, low_bytes = (
                min(most, disk.f_blocks * disk.f_frsize // part)
                for most, part in zip((BALLAST_BYTES, LOW_BYTES), SMALLEST_PARTS, strict=True)
            )
            if not self._ballast.exists() and self.free_bytes >= low_bytes + ballast_bytes:
                self._make_ballast(ballast_bytes)
            self.lacks_files = disk.f_files > 0 and disk.f_favail < LOW_FILES  # 0: the file system does not count them
            self.is_low = self.free_bytes < low_bytes or self.lacks_files or not self._ballast.exists()

    def give_up_ballast(self) -> bool:
        """Delete the ballast, for there is no room left; whether there was one. Blocks."""
        with suppress(OSError):
            self._ballast.unlink()
            _log.error("the disk is full: the ballast is given up, so that the ledger can be written a while longer")
            return True
        return False

    def refusal(self) -> str:
        """Why nothing can be written now; "" if something can. Blocks."""
        probe = self._directory / _PROBE_FILE
        try:
            with probe.open("wb") as file:
                file.write(b"\xa5" * _PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return error.strerror or str(error)
        finally:
            with suppress(OSError):
                probe.unlink()
        return ""

    def _make_ballast(self, size_bytes: int) -> None:
        draft = self._ballast.with_suffix(".new")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            draft.rename(self._ballast)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
