"""The anchor: the ledger's head in a file beside it, by which a ledger that lost its end is recognised.

Theory of operation. A chain without its last entries is sound, and so is the older image of a file; going on from it
would give their numbers to other entries. The anchor is on the disk before anything of a commit is published, and never
ahead of the ledger. A ledger of the same epoch that ends before it, or has another entry there, is behind.

Two slots are written in turn, so that a torn write leaves the other; each has its own digest.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.ledger.entry import Head

SLOT_BYTES = 512
_DIGEST_BYTES = 32


class LedgerAnchor:
    """The anchor of the ledger at `path`, to be set by one thread."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(_file_of(path), os.O_RDWR | os.O_CREAT, 0o600)
        self._slot = 0

    def set(self, head: Head) -> None:
        """Put `head` on the disk. Raises OSError."""
        content = msgspec.json.encode(head)
        slot = hashlib.sha256(content).digest() + content
        if len(slot) > SLOT_BYTES:
            raise ValueError("a head is longer than its slot")
        written = os.pwrite(self._file, slot.ljust(SLOT_BYTES), self._slot * SLOT_BYTES)
        if written != SLOT_BYTES:
            raise OSError(f"the anchor took {written} of {SLOT_BYTES} bytes")
        os.fdatasync(self._file)
        self._slot = 1 - self._slot

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def anchored(path: Path, epoch: str) -> Head | None:
    """The last head of that epoch that was set for the ledger at `path`; None if none is known. Raises OSError."""
    return last_of(anchors(path), epoch)


def last_of(heads: Iterable[Head], epoch: str) -> Head | None:
    """The last of `heads` of that epoch; None if there is none."""
    return max((head for head in heads if head.epoch == epoch), key=lambda head: head.seq, default=None)


def anchors(path: Path) -> tuple[Head, ...]:
    """The last heads that were set for the ledger at `path`, of any epoch. Raises OSError."""
    return tuple(_slots(_file_of(path)))


def _slots(file: Path) -> Iterator[Head]:
    content = file.read_bytes() if file.exists() else b""
    for start in range(0, len(content), SLOT_BYTES):
        digest, head = content[start : start + _DIGEST_BYTES], content[start + _DIGEST_BYTES : start + SLOT_BYTES]
        if hashlib.sha256(head.rstrip()).digest() == digest:
            yield msgspec.json.decode(head, type=Head)


def _file_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.anchor")
