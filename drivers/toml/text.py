"""Reads a text file that people wrote: nothing but a regular file of moderate size in UTF-8 is read at all."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 1_048_576  # thirty times the longest profile

_MARKS = ((b"\xef\xbb\xbf", "UTF-8 with a byte order mark"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class NotText(Exception):
    """The file is not the text that is accepted. `line` is base 1; 0: the whole file."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, never waiting for a writer as a FIFO would. Raises OSError for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "it is a directory")
    raise OSError(errno.EINVAL, "it is no regular file")


def read_regular(path: Path) -> bytes:
    """The content of a regular file, of a larger one the first MAX_BYTES and one more. Raises OSError."""
    with open_regular(path) as file:
        return file.read(MAX_BYTES + 1)


def text_of(content: bytes) -> str:
    """The text that a file's content is. Raises NotText, which says what is accepted."""
    if len(content) > MAX_BYTES:
        raise NotText(0, f"too large, accepted: {MAX_BYTES} bytes or fewer")
    for mark, what in _MARKS:
        if content.startswith(mark):
            raise NotText(1, f"is {what}, accepted: UTF-8 without a byte order mark")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise NotText(content.count(b"\n", 0, error.start) + 1, "not UTF-8, accepted: UTF-8 text") from None
