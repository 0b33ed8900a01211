"""A small disk of its own under the state directory, which a test fills, takes the right to write from, and mends."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

SIZE_BYTES = 24 << 20


class SmallDisk:
    """An ext4 file system in a file, mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._image = folder.with_name(f"{folder.name}.img")
        self._filler = folder / "filler"
        with self._image.open("wb") as image:
            image.truncate(SIZE_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        folder.mkdir()

    def mount(self) -> None:
        """Mount it, to be written."""
        _run("mount", "-o", "loop", str(self._image), str(self.folder))
        self.folder.chmod(0o700)

    def unmount(self) -> None:
        """As soon as nobody uses it."""
        _run("umount", str(self.folder))

    def fill(self) -> None:
        """Leave no room, however much was freed since the last time."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 10):
                try:
                    while filler.write(b"\xa5" * size) == size:
                        pass
                except OSError:
                    pass

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def break_off(self) -> None:
        """Make it read-only at once, as the kernel does when the disk fails."""
        _run("mount", "-o", "remount,abort", str(self.folder))


@contextmanager
def small_disk(folder: Path) -> Generator[SmallDisk]:
    """The disk, mounted; gone at the end. Fails where nothing may be mounted."""
    disk = SmallDisk(folder)
    disk.mount()
    try:
        yield disk
    finally:
        _run("umount", "-l", str(folder))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
