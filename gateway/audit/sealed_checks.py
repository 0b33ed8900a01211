"""Checks of the rows beside the chain that charges are built from: each is as an entry sealed it, and none is missing.

What a purge deleted is not missing. What is stated of a visit that no fact concerns is input that waits: no entry
seals it.
"""

import sqlite3
from collections.abc import Iterator

from gateway.audit.report import Area, AuditProblem
from gateway.audit.stream import RawEntry
from gateway.ledger.bodies import purge_of, sealed_rows, set_aside_of
from gateway.ledger.codec import codec_of
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.locked_rows import open_row
from gateway.ledger.sealing import ALTERED, UNSEALED, is_known, seals


class SealCheck:
    """Takes all entries in order, and yields every difference of those rows from what they sealed."""

    def __init__(self) -> None:
        self._sealed: dict[str, tuple[int, str]] = {}  # seal -> entry, subject

    def take(self, entry: RawEntry) -> None:
        """Note what the entry seals, or has purged."""
        if entry.kind != EntryKind.STATUS:
            return
        if entry.body.startswith('{"sealed"') and (made := sealed_rows(entry.body)) is not None:
            self._add(entry.seq, made)
        elif entry.body.startswith('{"purge"') and (purge := purge_of(entry.body)) is not None:
            subjects, numbers = set(purge.identifiers), set(purge.numbers)
            kept = {own: of for own, of in self._sealed.items() if of[1] not in subjects and own not in numbers}
            self._sealed = kept
        elif entry.body.startswith('{"set_aside"') and (carried := set_aside_of(entry.body)) is not None:
            self._sealed.clear()
            self._add(entry.seq, carried.sealed)

    def end(self, connection: sqlite3.Connection, salt: bytes) -> Iterator[AuditProblem]:
        """The problems, after all entries."""
        missing = dict(self._sealed)
        for table, subject, nonce, own in seals(connection, salt):
            if missing.pop(own, None) is not None:
                continue
            if own == ALTERED or nonce != UNSEALED or table != "identity" or is_known(connection, subject):
                whose = f"of patient {subject}" if subject else "of a changed number"
                yield AuditProblem(Area.BESIDE, 0, f"the {table} {whose} is not what an entry sealed")
        for seq, subject in missing.values():
            whose = f"patient {subject}" if subject else "a changed number"
            yield AuditProblem(Area.BESIDE, seq, f"what it sealed of {whose} is missing or was altered")

    def _add(self, seq: int, made: dict[str, list[str]]) -> None:
        self._sealed.update({own: (seq, subject) for subject, seals in made.items() for own in seals})


def unreadable_texts(connection: sqlite3.Connection) -> Iterator[AuditProblem]:
    """The engine's words in receipts that do not open with the ledger's key."""
    for seq, text in connection.execute("SELECT seq, text FROM receipt_text ORDER BY seq"):
        try:
            open_row(codec_of(connection), "receipt_text", {"seq": seq, "text": text})
        except LedgerDamaged as error:
            yield AuditProblem(Area.BESIDE, seq, str(error))
