"""Lets a new ledger succeed one that this version cannot go on with: a later version's, or a copy of one that is lost.

Theory of operation. Both come under a name by which they are set aside, and the gateway's next start begins a new epoch
with all that they prove (carry_over.py). So no number is used again for another entry, whatever was recorded since the
copy was made: the anchor is set past what is known of that, and the start marks it as lost.
"""

import os
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from drivers.reading import Stamp
from gateway.ledger import reads, schema
from gateway.ledger.anchor import LedgerAnchor, anchors, last_of
from gateway.ledger.aside import Aside, name_aside
from gateway.ledger.copying import copy_ledger
from gateway.ledger.entry import Head
from gateway.ledger.errors import LedgerUnavailable, NothingToDo, TargetExists
from gateway.ledger.worker import state_lock
from gateway.runtime.replace import rename_file


class Restored(msgspec.Struct, frozen=True):
    """What the next start will begin from: the end of the copy, and the last entry that is known or must be assumed."""

    aside: Path
    head: Head
    recorded_us: int  # when the copy's last entry was recorded
    known_seq: int


def roll_back(path: Path, now: Stamp) -> Path:
    """Set aside the ledger at `path`, which a later version wrote; returns its new name.

    Raises StateLocked while a gateway runs, NothingToDo if this version reads it, LedgerUnavailable.
    """
    with alone(path):
        if not path.exists():
            raise LedgerUnavailable(f"{path} is not there")
        with _opened(path, "rw") as connection:
            if not schema.is_later(connection):
                raise NothingToDo(f"{path} is of this version or an earlier one, and opens as it is")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # so that one file has all of it
        aside = name_aside(path, now.utc_us, Aside.LATER)
        rename_file(path, aside)
        return aside


def restore(copy: Path, path: Path, held: Iterable[Head], now: Stamp) -> Restored:
    """Let the ledger at `path`, which must not be there, succeed the one that `copy` is a copy of.

    `held` are heads that are known from elsewhere. Raises StateLocked, TargetExists, LedgerUnavailable.
    """
    with alone(path):
        if path.exists():
            raise TargetExists(f"{path} is there already: move it away, with all files whose names begin with its name")
        with _opened(copy, "ro") as connection:
            origin = reads.origin(connection)
            if origin is None:
                raise LedgerUnavailable(f"{copy} is no copy of a ledger: nothing says whose it is")
            head, recorded_us = reads.head(connection, origin), reads.last_recorded_us(connection)
            partial = path.with_name(f"{path.name}.restoring")
            partial.unlink(missing_ok=True)  # of a restoring that was broken off
            copy_ledger(connection, partial)
        elsewhere = last_of((each for each in held if each.gateway == origin.gateway), origin.epoch)
        anchored = last_of(anchors(path), origin.epoch)
        known_seq = max(head.seq + 1, (elsewhere.seq + 1) if elsewhere else 0, anchored.seq if anchored else 0)
        with closing(LedgerAnchor(path)) as anchor:
            anchor.set(Head(origin.epoch, known_seq, "", origin.gateway))
        aside = name_aside(path, now.utc_us, Aside.RESTORED)
        rename_file(partial, aside)
        return Restored(aside, head, recorded_us, known_seq)


@contextmanager
def alone(path: Path) -> Generator[None]:
    """The folder is the gateway's, and this process its user's; no gateway runs."""
    try:
        owner = path.parent.stat().st_uid
    except OSError as error:
        raise LedgerUnavailable(f"{path.parent}: {error.strerror}") from error
    if owner != os.geteuid():
        raise LedgerUnavailable(
            f"{path.parent} belongs to another user: run this as the gateway's, with sudo -u capgate"
        )
    with state_lock(path.parent):
        yield


@contextmanager
def _opened(path: Path, mode: str) -> Generator[sqlite3.Connection]:
    try:
        address = f"{path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise LedgerUnavailable(f"{path}: {error}") from error
