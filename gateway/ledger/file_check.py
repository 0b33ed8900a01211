"""The check of the whole ledger file and of all waiting messages, which takes as long as there are many.

Theory of operation: a small file is checked before it is opened, a large one while the gateway runs, so that starting
depends neither on the ledger's age nor on how long the broker was away. No message goes out unchecked all the same, for
each is held to its digest when it is read. A ledger that failed, by this check or in use, leaves a mark beside the
file; one with a mark is checked whole before it is opened, and set aside if it is damaged.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from enum import IntEnum
from functools import partial
from pathlib import Path

from gateway.ledger import reads
from gateway.ledger.errors import LedgerDamaged

_log = logging.getLogger("capgate.ledger")

SMALL_BYTES = 32 * 1024 * 1024  # checked in a fraction of a second
BEGINS_AFTER_S = 10.0  # beside a running gateway: starting comes first
_STEPS = 10_000  # of the database's machine, between two looks whether to stop
_PAGE = 500  # how many messages are in memory at a time
_REST_S = 0.02  # after each page beside a running gateway: its event loop goes first


class FileCheck(IntEnum):
    """How the check of the whole file went; the number is what the metric shows."""

    RUNNING = 0
    SOUND = 1
    DAMAGED = 2


def is_due(path: Path) -> bool:
    """Whether the file must be checked before it is opened."""
    return path.stat().st_size <= SMALL_BYTES or _mark_of(path).exists()


def fault_of(connection: sqlite3.Connection) -> str:
    """What is wrong with the pages of the file; "" for nothing."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return "" if verdict == "ok" else verdict


def check_waiting(connection: sqlite3.Connection, stopped: Callable[[], bool] = lambda: False) -> None:
    """Reads every waiting message, until `stopped` says so. Raises LedgerDamaged on one that was altered."""
    last_id = 0
    while (rows := reads.waiting(connection, last_id, _PAGE)) and not stopped():
        last_id = rows[-1].outbox_id


def mark(path: Path) -> None:
    """Have the file checked whole before it is opened again."""
    with suppress(OSError):  # a disk that takes nothing more must not hide what failed
        _mark_of(path).touch(mode=0o600)


def clear(path: Path) -> None:
    """The file was checked, or is another one."""
    _mark_of(path).unlink(missing_ok=True)


class BackgroundCheck:
    """The check of a large file beside its users, on a connection and in a thread of its own."""

    def __init__(self, path: Path, result: FileCheck) -> None:
        self.result = result
        self._path = path
        self._stopped = threading.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Checks while the block runs, unless that was done; the end of the block ends the check."""
        if self.result is not FileCheck.RUNNING:
            yield
            return
        check = asyncio.get_running_loop().run_in_executor(None, self._run)
        try:
            yield
        finally:
            self._stopped.set()
            await asyncio.wait([check])

    def _run(self) -> None:
        if self._stopped.wait(BEGINS_AFTER_S):
            return
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.set_progress_handler(self._stopped.is_set, _STEPS)
        try:
            fault = fault_of(connection)
            if not fault:
                check_waiting(connection, partial(self._stopped.wait, _REST_S))
        except (sqlite3.Error, LedgerDamaged) as error:
            if self._stopped.is_set():
                return
            fault = str(error)
        finally:
            connection.close()
        if self._stopped.is_set() and not fault:
            return
        self.result = FileCheck.DAMAGED if fault else FileCheck.SOUND
        if fault:
            mark(self._path)
            _log.critical(
                "the ledger's file is damaged: restart the gateway, which sets it aside", extra={"reason": fault}
            )


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
