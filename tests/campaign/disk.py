"""The disk: a directory in memory, and connections that may be slow, full, or dead with the process that had them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

DISK_FULL = "database or disk is full"


class Disk:
    """The state directory of a machine, and what is wrong with it."""

    def __init__(self) -> None:
        self.full = False
        self.delay_s = 0.0  # of each job, seconds of the loop
        self.die_after_jobs: int | None = None  # the process is killed after so many more
        self.on_death: Callable[[], None] = lambda: None
        self.dead = False
        self.jobs = 0

    def job_delay_s(self) -> float:
        """How long the disk takes for a job."""
        return self.delay_s

    def after_job(self) -> None:
        """Count a job, and kill the process when its number has come."""
        self.jobs += 1
        if self.die_after_jobs is not None and not self.dead:
            self.die_after_jobs -= 1
            if self.die_after_jobs <= 0:
                self.die_after_jobs = None
                self.dead = True
                self.on_death()

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection as the ledger makes its own."""
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=_Connection)
        assert isinstance(connection, _Connection)
        connection.disk = self
        return connection

    def spoil(self, path: Path) -> None:
        """A page of the closed ledger goes bad: that of an index, which the entries have all of."""
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            (size,) = connection.execute("PRAGMA page_size").fetchone()
            (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'concern'").fetchone()
        with path.open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(bytes(64))

    def revive(self) -> None:
        """Another process has it now."""
        self.dead = False
        self.die_after_jobs = None


class _Connection(sqlite3.Connection):
    """Fails as the disk does."""

    disk: Disk | None = None

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as the base class has it
        self._fail(sql)
        return super().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as the base class has it
        self._fail(sql)
        return super().executemany(sql, *args)

    def _fail(self, sql: str) -> None:
        disk = self.disk
        if disk is None:
            return
        if disk.dead:
            raise _failure("disk I/O error", sqlite3.SQLITE_IOERR)
        if disk.full and sql.lstrip()[:6].upper() in ("INSERT", "COMMIT", "UPDATE"):
            raise _failure(DISK_FULL, sqlite3.SQLITE_FULL)


def _failure(text: str, code: int) -> sqlite3.OperationalError:
    """As SQLite raises it."""
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error
