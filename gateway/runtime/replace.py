"""Replaces a file whole, or renames one for good."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put `content` into the file, on the disk when it returns: a power failure leaves one of the two whole.

    `mode` is that of the new file, less what the umask takes. Raises OSError.
    """
    new = path.with_name(f"{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def rename_file(source: Path, target: Path) -> None:
    """Rename it within its folder, and leave that on the disk. Raises OSError."""
    source.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
