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
from gateway.ledger.entry import Entry, EntryKind, Head, append, seal
from gateway.messages.identity import Identity

UNSEALED = ""  # in place of a nonce
# Of `renumbered` the first column stands for the subject, "": it concerns whoever has the number.
SEALED: Mapping[str, tuple[str, ...]] = {
    "identity": ("subject", "version", *Identity.__struct_fields__[1:]),
    "detail": ("subject", "id", "about", "name", "body"),
    "renumbered": ("''", "id", "kind", "old", "old_authority", "new", "authority"),
}

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
    """Of each row its table, its subject, its nonce and its seal."""
    for table in SEALED:
        for subject, has, own in _seals(connection, salt, table):
            yield table, subject, has, own


def sealed(connection: sqlite3.Connection, salt: bytes) -> Seals:
    """The seals of all rows that have a nonce, by subject."""
    found: Seals = {}
    for _, subject, has, own in seals(connection, salt):
        if has != UNSEALED:
            found.setdefault(subject, []).append(own)
    return found


def seals_of(
    connection: sqlite3.Connection, salt: bytes, table: str, where: str, values: tuple[str | int, ...]
) -> Seals:
    """The seals of the rows of a table that are `where`."""
    found: Seals = {}
    for subject, _, own in _seals(connection, salt, table, where, values):
        found.setdefault(subject, []).append(own)
    return found


def sealing(head: Head, recorded_us: int, made: Seals) -> tuple[Entry, Head]:
    """The entry that seals rows after `head`, and the head after it."""
    return append(head, recorded_us, EntryKind.STATUS, "", encode_body(SealedBody(made)).decode())


def _seals(
    connection: sqlite3.Connection, salt: bytes, table: str, where: str = "true", values: tuple[str | int, ...] = ()
) -> Iterator[tuple[str, str, str]]:
    """The subject, the nonce and the seal of each row of a table that is `where`."""
    query = f"SELECT nonce, {', '.join(SEALED[table])} FROM {table} WHERE {where}"
    for row in connection.execute(query, values):
        yield row[1], row[0], seal(salt, msgspec.json.encode((table, *row)))
