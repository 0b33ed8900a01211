"""Copies a ledger as one file, consistent whatever is written to it meanwhile."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def copy_ledger(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the ledger of `connection` to `target`, readable by its owner alone and on the disk when this returns.

    Raises sqlite3.Error, OSError.
    """
    target.touch(mode=0o600)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = delete").fetchall()  # so that the copy is one file, without a WAL
    with target.open("rb") as file:
        os.fsync(file.fileno())
