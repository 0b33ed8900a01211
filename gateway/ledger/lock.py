"""One gateway at a time in a state directory."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gateway.ledger.errors import StateLocked


@contextmanager
def state_lock(directory: Path) -> Generator[None]:
    """Holds the directory, made if absent, for this process alone. Raises StateLocked if another holds it.

    The kernel lets go when the process ends, however it ends; the file stays and means nothing by itself.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "gateway.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateLocked(directory) from None
        yield
    finally:
        os.close(descriptor)
