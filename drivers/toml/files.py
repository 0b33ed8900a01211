"""Where the files that people write are read from: the disk, or what was kept of it while it was good.

A context variable says which, so that everything that a configuration consists of is read from the same place.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from drivers.toml.text import read_regular


class Files:
    """The files on the disk. Others override what they read elsewhere."""

    def read(self, path: Path) -> bytes:
        """The file's content, cut off where it is too large to be accepted. Raises OSError."""
        return read_regular(path)

    def toml_in(self, directory: Path) -> list[Path]:
        """The TOML files of a directory, sorted."""
        return sorted(directory.glob("*.toml"))

    def is_directory(self, path: Path) -> bool:
        """Whether there is such a directory, and this user can read it."""
        return path.is_dir() and os.access(path, os.R_OK | os.X_OK, effective_ids=True)

    def usable(self, path: Path) -> None:
        """Note that a file which is only named, such as a key, can be used."""

    def vouches_for(self, path: Path) -> bool:
        """Whether such a file need not be looked at again."""
        return False


_in_use: ContextVar[Files] = ContextVar("files", default=Files())  # noqa: B039 - it has no state


def files() -> Files:
    """From where files are read now."""
    return _in_use.get()


@contextmanager
def reading_from(source: Files) -> Generator[None]:
    """Read from `source` within the block."""
    token = _in_use.set(source)
    try:
        yield
    finally:
        _in_use.reset(token)
