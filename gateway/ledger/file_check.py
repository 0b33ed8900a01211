"""The check of the whole ledger file and of all waiting messages, which takes time in proportion to their size.

Theory of operation: a small file is checked before it is opened, a large one while the gateway runs, so that the time
of a start depends neither on the ledger's age nor on how long the broker was away. Every message is still compared with
its digest when it is read, so none is sent unchecked. When a ledger fails, by this check or in use, a mark file is made
beside it; a file with a mark is checked as a whole before it is opened, and set aside if it is damaged.
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

from gateway.ledger import reads, staging
from gateway.ledger.codec import Codec, bind, open_file
from gateway.ledger.errors import LedgerDamaged

_log = logging.getLogger("capgate.ledger")

SMALL_BYTES = 32 * 1024 * 1024  # checked in a fraction of a second
BEGINS_AFTER_S = 10.0  # delay of a background check, so that it does not slow the start
_STEPS = 10_000  # of SQLite's virtual machine, between two tests whether to stop
_PAGE = 500  # messages in memory at a time
_REST_S = 0.02  # pause of a background check after each page, so that the event loop is not delayed


class FileCheck(IntEnum):
    """The result of the check; the numbers are the values of the metric."""

    RUNNING = 0
    SOUND = 1
    DAMAGED = 2


def is_due(path: Path) -> bool:
    """Whether the file must be checked before it is opened."""
    return path.stat().st_size <= SMALL_BYTES or is_marked(path)


def is_marked(path: Path) -> bool:
    """Whether the ledger failed in use, or in a check, and was not looked at since."""
    return _mark_of(path).exists()


def fault_of(connection: sqlite3.Connection) -> str:
    """The first fault of the file's pages that SQLite's quick_check finds; "" for none."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    return "" if verdict == "ok" else verdict


def check_waiting(connection: sqlite3.Connection, stopped: Callable[[], bool] = lambda: False) -> None:
    """Reads every message that waits, for the broker or for its visit, until `stopped` says so.

    Raises LedgerDamaged on one that was altered.
    """
    last_id = 0
    while (rows := reads.waiting(connection, last_id, _PAGE)) and not stopped():
        last_id = rows[-1].outbox_id
    last_id = 0
    while (staged := staging.page(connection, last_id, _PAGE)) and not stopped():
        last_id = staged[-1].id


def mark(path: Path) -> None:
    """Make the mark file, so that the whole file is checked before it is opened again."""
    with suppress(OSError):  # on a full disk the first error must still be reported
        _mark_of(path).touch(mode=0o600)


def clear(path: Path) -> None:
    """Remove the mark file: the ledger was checked, or replaced."""
    _mark_of(path).unlink(missing_ok=True)


class BackgroundCheck:
    """The check of a large file while it is in use, on a connection and in a thread of its own."""

    def __init__(self, path: Path, result: FileCheck, codec: Codec) -> None:
        self.result = result
        self._path = path
        self._codec = codec
        self._stopped = threading.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Checks while the block runs, unless the file was checked before; the end of the block stops it."""
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
        connection = open_file(self._path)
        bind(connection, self._codec)
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
