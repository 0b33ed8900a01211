"""Which words are a patient's identifier in a ledger: for whoever must not let one out."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from gateway.audit.stream import open_snapshot
from gateway.ledger.codec import codec_of, found_by
from gateway.messages.identity import NumberKind

_KINDS: tuple[NumberKind, ...] = get_args(NumberKind)


def identifiers_among(ledger: Path, words: Iterable[str]) -> frozenset[str]:
    """Those of `words` that are, or were, a number of some patient. Two look-ups a word and kind of number.

    Raises LedgerUnavailable if there is no ledger that this version reads, or it is damaged, LedgerLocked without its
    key.
    """
    with open_snapshot(ledger) as connection:
        return frozenset(word for word in words if any(_is_known(connection, kind, word) for kind in _KINDS))


def _is_known(connection: sqlite3.Connection, kind: NumberKind, word: str) -> bool:
    now = f"SELECT 1 FROM identity WHERE {kind} = ? AND {kind} <> '' LIMIT 1"
    before = "SELECT 1 FROM renumbered WHERE kind = ? AND old = ? LIMIT 1"
    number = found_by(codec_of(connection), kind, word)
    return any(connection.execute(*query).fetchone() for query in ((now, (number,)), (before, (kind, number))))
