"""Exclusive use of the ledger: one process holds the state directory, one thread the connection."""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gateway.ledger.disk_trouble import damages_nothing
from gateway.ledger.errors import LedgerBroken, LedgerDamaged, StateLocked

T = TypeVar("T")


@contextmanager
def state_lock(directory: Path) -> Generator[None]:
    """Locks the directory, made if absent, for this process. Raises StateLocked if another process has it.

    The kernel releases the lock when the process ends, however it ends; the lock file stays.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = _open_lock(directory / "gateway.lock")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateLocked(directory) from None
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # a read-only disk: the lock that is there keeps others out all the same
        return os.open(path, os.O_RDONLY)


async def settle(future: asyncio.Future[T]) -> T:
    """The result of `future`, awaited to its end even if the caller is cancelled, which is then raised afterwards.

    An exception of `future` takes precedence over the cancellation, so that no caller takes a failed commit for done.
    """
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        future.result()
        raise


class Worker:
    """Runs jobs on the connection, one after the other, in the order of their calls."""

    def __init__(self, thread: Executor, connection: sqlite3.Connection, on_failure: Callable[[], None]) -> None:
        self._thread = thread
        self._connection = connection
        self._on_failure = on_failure
        self._failure: Exception | None = None  # the first
        self.group = asyncio.Lock()  # held while a transaction is open between jobs

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `job`, which always runs to its end.

        Raises LedgerBroken if SQLite fails, or has failed before: a connection that failed once is not used again.
        """
        return await settle(asyncio.get_running_loop().run_in_executor(self._thread, self._do, job))

    async def run_apart(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """As `run`, for a job that must not see or join an open transaction: it waits for that one's end."""
        async with self.group:
            return await self.run(job)

    def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._failure is not None:
            raise LedgerBroken(f"the ledger failed: {self._failure}") from self._failure
        try:
            return job(self._connection)
        except (sqlite3.Error, LedgerDamaged, OSError) as error:
            self._failure = error
            if not damages_nothing(error):
                self._on_failure()
            raise LedgerBroken(f"the ledger failed: {error}") from error
