"""Writes what lies beside the chain so that it can be purged: identities, changed numbers, what charges repeat."""

import sqlite3
from collections.abc import Iterable

import msgspec

from gateway.ledger import reads
from gateway.ledger.sealing import UNSEALED, Seals, is_known, nonce, seal_known, seals_of
from gateway.messages.details import Stated
from gateway.messages.identity import Identity, Merge

_NAMES = ", ".join(Identity.__struct_fields__)


class Beside:
    """What one transaction writes; `made` has the seals of it, by subject. All within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, salt: bytes) -> None:
        self.made: Seals = {}
        self._connection = connection
        self._salt = salt

    def put(self, identities: Iterable[Identity], merges: Iterable[Merge], details: Iterable[Stated]) -> None:
        """Further versions of what is known."""
        for identity in identities:
            self._identity(identity)
        for merge in merges:
            self._merge(merge)
        for stated in details:
            self._details(stated)

    def seal_known(self, subjects: Iterable[str]) -> None:
        """Seal what was stated of these subjects before a fact concerned them."""
        for subject in subjects:
            for version in seal_known(self._connection, subject):
                self._sealed("identity", "subject = ? AND version = ?", subject, version)

    def _identity(self, identity: Identity) -> None:
        """Insert a further version of an identity; fields that it leaves unknown keep their last value.

        A number that the EHR has changed is replaced by the current one, for messages may come late.
        """
        for kind in ("mrn", "account"):
            if (number := identity.number(kind)) is not None:
                identity = identity.with_number(kind, reads.current_number(self._connection, kind, number))
        known = reads.identity(self._connection, identity.subject)
        self._insert(identity.completed(known), known)

    def _insert(self, identity: Identity, known: Identity | None) -> None:
        if identity == known:
            return
        sealed = is_known(self._connection, identity.subject)
        columns = [value or "" for value in msgspec.structs.astuple(identity)]  # in the table "" is unknown
        version = "(SELECT coalesce(max(version), 0) + 1 FROM identity WHERE subject = ?)"
        insert = f"INSERT INTO identity ({_NAMES}, nonce, version) VALUES ({'?, ' * len(columns)}?, {version})"
        values = (*columns, nonce() if sealed else UNSEALED, identity.subject)
        (inserted,) = self._connection.execute(f"{insert} RETURNING version", values).fetchone()
        if sealed:
            self._sealed("identity", "subject = ? AND version = ?", identity.subject, inserted)

    def _merge(self, merge: Merge) -> None:
        """Change a number in every identity that has the old one, and record the change."""
        for known in reads.identified(self._connection, merge.by, merge.old):
            self._insert(known.with_number(merge.kind, merge.new), known)
        if merge.by == merge.kind:
            insert = """
                INSERT INTO renumbered (kind, old, old_authority, new, authority, nonce)
                VALUES (?, ?, ?, ?, ?, ?) RETURNING id"""
            change = (merge.kind, merge.old.value, merge.old.authority, merge.new.value, merge.new.authority, nonce())
            self._sealed("renumbered", "id = ?", *self._connection.execute(insert, change).fetchone())

    def _details(self, stated: Stated) -> None:
        """Insert a further version of what is stated; what it leaves unknown keeps its last value."""
        known = reads.details(self._connection, stated.subject, stated.about, stated.name)
        details = stated.details.over(known)
        if details != known:
            body = msgspec.json.encode(details)
            number = insert_detail(self._connection, stated.subject, stated.about.value, stated.name, body)
            self._sealed("detail", "id = ?", number)

    def _sealed(self, table: str, where: str, *values: str | int) -> None:
        for subject, seals in seals_of(self._connection, self._salt, table, where, values).items():
            self.made.setdefault(subject, []).extend(seals)


def insert_detail(connection: sqlite3.Connection, subject: str, about: str, name: str, body: bytes) -> int:
    """Insert a version of what is stated, and return its number; within the caller's transaction."""
    values = (subject, about, name, body.decode(), reads.detail_digest(subject, about, name, body), nonce())
    insert = """
        INSERT INTO detail (subject, about, name, body, digest, nonce) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"""
    (number,) = connection.execute(insert, values).fetchone()
    return number
