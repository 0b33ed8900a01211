"""Seals of the rows beside the chain that charges are built from, so that none is added, altered or taken away unseen.

Theory of operation. What is recorded of a patient, an order or a changed number has a nonce of its own, and the
transaction that writes it appends an entry with its seal: a digest of the whole row, keyed with the ledger's salt. The
nonce goes with the row when it is purged, so that then nobody can try by the seal what the row said. What is stated of
a visit that was never seen here is input that waits, and is sealed once a fact concerns it.
"""

import secrets
import sqlite3
from collections.abc import Iterator, Mapping

import msgspec

from gateway.ledger.bodies import SealedBody, encode_body
from gateway.ledger.codec import codec_of
from gateway.ledger.entry import Entry, EntryKind, Head, append, seal
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.locked_rows import Row, open_row
from gateway.messages.identity import Identity

UNSEALED = ""  # in place of a nonce
_CHANGE = ("id", "kind", "old", "old_authority", "new", "authority")
# The first column is the subject; that of `renumbered` is "", for a change concerns whoever has the number.
SEALED: Mapping[str, tuple[str, ...]] = {
    "identity": ("subject", "version", *Identity.__struct_fields__[1:]),
    "detail": ("subject", "id", "about", "name", "body"),
    "renumbered": ("subject", *_CHANGE),
}
ALTERED = ""  # in place of a seal

Seals = dict[str, list[str]]  # by subject


def nonce() -> str:
    """32 hex digits."""
    return secrets.token_hex(16)


def is_known(connection: sqlite3.Connection, subject: str) -> bool:
    """Whether a fact concerns the subject, so that what is recorded of it is sealed."""
    query = "SELECT 1 FROM concern WHERE kind = 'patient' AND name = ? LIMIT 1"
    return connection.execute(query, (subject,)).fetchone() is not None


def seal_known(connection: sqlite3.Connection, subject: str) -> list[int]:
    """Give the identities of a subject that have none their nonces; their versions. Within the caller's transaction."""
    names = ", ".join(Identity.__struct_fields__)
    query = f"SELECT version, {names} FROM identity WHERE subject = ? AND nonce = ?"
    rows = connection.execute(query, (subject, UNSEALED)).fetchall()
    for version, *values in rows:  # a row is never updated
        connection.execute("DELETE FROM identity WHERE subject = ? AND version = ?", (subject, version))
        marks = "?, " * (len(values) + 1)
        insert = f"INSERT INTO identity ({names}, version, nonce) VALUES ({marks}?)"
        connection.execute(insert, (*values, version, nonce()))
    return [version for version, *_ in rows]


def seals(connection: sqlite3.Connection, salt: bytes) -> Iterator[tuple[str, str, str, str]]:
    """Of each row its table, its subject, its nonce and its seal, ALTERED if it does not open with the key."""
    for table in SEALED:
        for has, stored in _rows(connection, table):
            try:
                own = _seal(connection, salt, table, has, stored)
            except LedgerDamaged:
                own = ALTERED
            yield table, str(stored["subject"]), has, own


def sealed(connection: sqlite3.Connection, salt: bytes) -> Seals:
    """The seals of all rows that have a nonce, by subject."""
    found: Seals = {}
    for table in SEALED:
        for subject, made in seals_of(connection, salt, table, "nonce <> ?", (UNSEALED,)).items():
            found.setdefault(subject, []).extend(made)
    return found


def seals_of(
    connection: sqlite3.Connection, salt: bytes, table: str, where: str, values: tuple[str | int, ...]
) -> Seals:
    """The seals of the rows of a table that are `where`."""
    found: Seals = {}
    for has, stored in _rows(connection, table, where, values):
        own = _seal(connection, salt, table, has, stored)
        found.setdefault(str(stored["subject"]), []).append(own)
    return found


def sealing(head: Head, recorded_us: int, made: Seals) -> tuple[Entry, Head]:
    """The entry that seals rows after `head`, and the head after it."""
    return append(head, recorded_us, EntryKind.STATUS, "", encode_body(SealedBody(made)).decode())


def _rows(
    connection: sqlite3.Connection, table: str, where: str = "true", values: tuple[str | int, ...] = ()
) -> Iterator[tuple[str, Row]]:
    """The nonce, and the columns as they are stored, of each row of a table that is `where`."""
    names = SEALED[table]
    columns = (f"'' AS {name}" if table == "renumbered" and name == "subject" else name for name in names)
    for nonce_, *row in connection.execute(f"SELECT nonce, {', '.join(columns)} FROM {table} WHERE {where}", values):
        yield nonce_, dict(zip(names, row, strict=True))


def _seal(connection: sqlite3.Connection, salt: bytes, table: str, has: str, stored: Row) -> str:
    """The seal of a row. Raises LedgerDamaged if it does not open with the key."""
    opened = open_row(codec_of(connection), table, stored)
    return seal(salt, msgspec.json.encode((table, has, *(opened[name] for name in SEALED[table]))))
