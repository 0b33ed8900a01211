"""The thread that owns the ledger's one connection."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from gateway.ledger.errors import LedgerBroken, LedgerDamaged

T = TypeVar("T")


async def settle(future: asyncio.Future[T]) -> T:
    """The outcome of `future`, which runs to its end even if the caller is cancelled: cancelled callers return later.

    A failure outranks the cancellation, so that nobody unwinds as if a lost commit had succeeded.
    """
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        future.result()
        raise


class Worker:
    """Runs jobs on the connection, one after the other, in the order of their calls."""

    def __init__(self, thread: Executor, connection: sqlite3.Connection) -> None:
        self._thread = thread
        self._connection = connection
        self._broken = ""

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `job`, which always runs to its end.

        Raises LedgerBroken if SQLite fails, now or ever before: a connection that failed once is not asked again.
        """
        return await settle(asyncio.get_running_loop().run_in_executor(self._thread, self._do, job))

    def _do(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._broken:
            raise LedgerBroken(self._broken)
        try:
            return job(self._connection)
        except (sqlite3.Error, LedgerDamaged) as error:
            self._broken = f"the ledger failed: {error}"
            raise LedgerBroken(self._broken) from error
