"""Writes what lies beside the chain so that it can be purged: identities, changed numbers, what charges repeat."""

import sqlite3
from collections.abc import Iterable

import msgspec

from gateway.ledger import reads
from gateway.ledger.codec import codec_of
from gateway.ledger.locked_rows import insert_row, lock_row
from gateway.ledger.sealing import UNSEALED, Seals, is_known, nonce, seal_known, seals_of
from gateway.messages.details import Stated
from gateway.messages.identity import Identity, Merge


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
        fields = {name: value or "" for name, value in msgspec.structs.asdict(identity).items()}  # "" is unknown
        query = "SELECT coalesce(max(version), 0) + 1 FROM identity WHERE subject = ?"
        (version,) = self._connection.execute(query, (identity.subject,)).fetchone()
        row = {**fields, "version": version, "nonce": nonce() if sealed else UNSEALED}
        insert_row(self._connection, "identity", lock_row(codec_of(self._connection), "identity", row))
        if sealed:
            self._sealed("identity", "subject = ? AND version = ?", identity.subject, version)

    def _merge(self, merge: Merge) -> None:
        """Change a number in every identity that has the old one, and record the change."""
        for known in reads.identified(self._connection, merge.by, merge.old):
            self._insert(known.with_number(merge.kind, merge.new), known)
        if merge.by == merge.kind:
            change = (merge.kind, merge.old.value, merge.old.authority, merge.new.value, merge.new.authority)
            self._sealed("renumbered", "id = ?", insert_change(self._connection, *change))

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
    number = _next(connection, "detail")
    row = {"id": number, "subject": subject, "about": about, "name": name, "body": body.decode()}
    stored = lock_row(codec_of(connection), "detail", row)
    proof = reads.detail_digest(subject, about, name, str(stored["body"]).encode())
    insert_row(connection, "detail", {**stored, "digest": proof, "nonce": nonce()})
    return number


def insert_change(
    connection: sqlite3.Connection, kind: str, old: str, old_authority: str, new: str, authority: str
) -> int:
    """Insert the change of a number, and return the change's own number; within the caller's transaction."""
    number = _next(connection, "renumbered")
    row = {"id": number, "kind": kind, "old": old, "old_authority": old_authority, "new": new, "authority": authority}
    insert_row(connection, "renumbered", {**lock_row(codec_of(connection), "renumbered", row), "nonce": nonce()})
    return number


def _next(connection: sqlite3.Connection, table: str) -> int:
    """The number that SQLite would give, by which a row is bound before it is inserted."""
    (number,) = connection.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()
    return number
