"""Reads the entries of a ledger as they are in the file, without validation: all of them page by page, or some.

Text that is not UTF-8 is read with replacement characters: its hash then differs, which a verifier detects.
"""

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.ledger.entry import EntryKind
from gateway.ledger.store import open_readonly

PAGE_ENTRIES = 5_000
_BEFORE_ALL = -(1 << 62)  # below every number, for a forger may have used numbers below 1
_COLUMNS = "seq, recorded_us, kind, session, body, prev_hash, hash"


class RawEntry(msgspec.Struct, frozen=True):
    """An entry as the file has it; `kind` may be any text."""

    seq: int
    recorded_us: int
    kind: str
    session: str
    body: str
    prev_hash: str
    hash: str


@contextmanager
def open_snapshot(path: Path, key_file: Path | None = None) -> Generator[sqlite3.Connection]:
    """A snapshot of the ledger, unaffected by a gateway that writes to it; `key_file` as in `open_readonly`.

    Raises LedgerUnavailable, LedgerLocked.
    """
    with open_readonly(path, key_file) as connection:
        connection.text_factory = _text
        connection.execute("BEGIN")
        yield connection


def pages(connection: sqlite3.Connection, after_seq: int = _BEFORE_ALL) -> Iterator[list[RawEntry]]:
    """Entries after `after_seq` by number, PAGE_ENTRIES at a time."""
    query = f"SELECT {_COLUMNS} FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
    while page := [RawEntry(*fields) for fields in connection.execute(query, (after_seq, PAGE_ENTRIES))]:
        yield page
        after_seq = page[-1].seq


def stream(connection: sqlite3.Connection, after_seq: int = _BEFORE_ALL) -> Iterator[RawEntry]:
    """Every entry after `after_seq` by number."""
    for page in pages(connection, after_seq):
        yield from page


def of_session(connection: sqlite3.Connection, token: str) -> list[RawEntry]:
    """The entries that carry a session's token, by number."""
    query = f"SELECT {_COLUMNS} FROM entry WHERE session = ? AND session <> '' ORDER BY seq"
    return [RawEntry(*fields) for fields in connection.execute(query, (token,))]


def numbered(connection: sqlite3.Connection, seqs: Iterable[int]) -> Iterator[RawEntry]:
    """The entries with these sequence numbers, in order; numbers without an entry are skipped."""
    for seq in sorted(seqs):
        for fields in connection.execute(f"SELECT {_COLUMNS} FROM entry WHERE seq = ?", (seq,)):
            yield RawEntry(*fields)


def facts_recorded_at(connection: sqlite3.Connection, recorded_us: int) -> list[RawEntry]:
    """The facts that were recorded at that instant, by number."""
    query = f"SELECT {_COLUMNS} FROM entry WHERE recorded_us = ? AND kind = 'fact' ORDER BY seq"
    return [RawEntry(*fields) for fields in connection.execute(query, (recorded_us,))]


def transactions(entries: Iterable[RawEntry]) -> Iterator[list[RawEntry]]:
    """The entries, grouped by transaction.

    The entries of a transaction have one instant of recording, and its facts come before what they caused; so a fact
    after an announcement of the same instant begins another transaction. Only the first entry after a start may
    precede facts.
    """
    group: list[RawEntry] = []
    for entry in entries:
        if group and (entry.recorded_us != group[0].recorded_us or _begins_transaction(group, entry)):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _begins_transaction(group: list[RawEntry], entry: RawEntry) -> bool:
    announced_before = group[-1].kind != EntryKind.FACT and len(group) > 1
    return entry.kind == EntryKind.FACT and announced_before


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
