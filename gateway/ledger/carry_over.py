"""Fills a new ledger from one that was set aside, damaged or not, with everything in it that is still proven.

Theory of operation. An entry's hash covers its content and its place in the chain, so each entry that can be read and
matches its own hash is as it was committed, whatever is damaged beside it. Such entries are chained again in the new
epoch, with their numbers, instants and bodies unchanged; so the gateway continues as after any restart, and nothing is
published twice. The old salt is kept, as patients' subjects are made with it. Messages that match their digest are kept
byte for byte, and those not yet delivered are still waiting. The last entry records what was carried over and what is
lost. All of this is one transaction, with the new ledger's origin: a gateway that is killed meanwhile does it again.
"""

import logging
import sqlite3
from collections.abc import Container, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from gateway.ledger import index, policies, reads, sealing, staging
from gateway.ledger.batch import OutboxMessage, OutboxRow
from gateway.ledger.beside import insert_change, insert_detail
from gateway.ledger.bodies import (
    ReceiptBody,
    ResendBody,
    SetAsideBody,
    delivery_of,
    encode_body,
    purge_of,
)
from gateway.ledger.codec import Codec, LedgerConnection, bind, codec_of, open_file
from gateway.ledger.entry import Entry, EntryKind, Head, append, link, seal, subject_of
from gateway.ledger.errors import LedgerDamaged, LedgerLocked
from gateway.ledger.key_ring import KeyRing
from gateway.ledger.locked_rows import Row, insert_row, lock_row, open_row
from gateway.ledger.reads import LedgerOrigin
from gateway.ledger.rekeying import codec_for
from gateway.ledger.writes import insert_entry, insert_outbox_row, insert_payload, insert_receipt_text
from gateway.messages.identity import Identity
from gateway.session.facts import SessionOpened

_log = logging.getLogger("capgate.ledger")

_PAGE = 500
_BLIND = 100_000  # how many row numbers past the last readable row are tried, where the last number is unknown
_OUTBOX = ("seq", "event_id", "topic", "payload", "retain", "content_type", "digest")
_DESTINATION = ("topic", "retain", "content_type")
_IDENTITY = (*Identity.__struct_fields__, "version")
_DETAIL = ("subject", "about", "name", "body", "digest")
_RENUMBERED = ("id", "kind", "old", "old_authority", "new", "authority")
LOST = '{"lost":true}'  # the body of the mark that replaces a lost entry
_READING_FAILED = (sqlite3.Error, UnicodeDecodeError, OverflowError)

_Row = tuple[Any, ...]


def origin_of(aside: Path, gateway: str, ring: KeyRing) -> LedgerOrigin | None:
    """The origin of the damaged file, if it proves to be this gateway's; otherwise None.

    Raises LedgerLocked if the file is encrypted with a key that the ring has not.
    """
    if not aside.exists() or not aside.stat().st_size:
        return None  # SQLite would delete a log whose file is empty
    try:
        with closing(_open(aside, ring)) as source:
            origin = reads.origin(source)
            if origin is None or origin.gateway != gateway:
                return None
            first = next(_verified(source, origin), None)
            rooted = first is not None and (first.seq > 1 or first.prev_hash == origin.genesis.hash)
            return origin if rooted else None
    except (*_READING_FAILED, LedgerDamaged):
        return None


def carry_over(
    connection: sqlite3.Connection,
    origin: LedgerOrigin,
    before: LedgerOrigin | None,
    aside: Path,
    ring: KeyRing,
    known_seq: int = 0,
) -> None:
    """Fill the ledger of `origin` from the damaged one at `aside`; within the caller's transaction.

    `before` is the damaged one's own origin; None: nothing of it is proven, and only that is recorded. It had
    entries up to `known_seq` at least.
    """
    (created_us,) = connection.execute("SELECT created_us FROM origin").fetchone()
    carried = _Carried(connection, origin)
    body = SetAsideBody(aside.name)
    if before is not None:
        with closing(_open(aside, ring)) as source:
            carried.policies(source)
            last_seq = _last(source, "entry", "seq")
            published = max((row[1] for row in _rows(source, "outbox", "outbox_id", ("seq",))), default=0)
            carried.entries(_verified(source, before), max(last_seq or 0, published, known_seq))
            body = carried.rest(source, body)
        missing = len(carried.lost) + (last_seq is None)
        since_us = carried.last_us if carried.lost_since_us is None else carried.lost_since_us
        body = msgspec.structs.replace(
            body,
            epoch=before.epoch,
            carried=carried.head.seq,
            missing=missing,
            lost_since_us=since_us if missing else 0,
        )
    carried.close(created_us, body)
    index.make_sessions(connection)
    index.make_patients(connection)
    extra = {"file": aside.name, "entries": body.carried, "missing": body.missing, "messages_lost": len(body.lost)}
    _log.error("a damaged ledger was set aside, and what it proves carried over", extra=extra)


class _Carried:
    """Builds the new chain; every entry keeps its number, for messages name it."""

    def __init__(self, connection: sqlite3.Connection, origin: LedgerOrigin) -> None:
        self.head = origin.genesis
        self.lost: set[int] = set()
        self.lost_since_us: int | None = None  # as `SetAsideBody` has it; None: no number is missing
        self.last_us = 0  # when the last entry that was carried over was recorded
        self._connection = connection
        self._salt = origin.salt
        self._policies: set[str] = set()  # whose text is known
        self._deliveries: list[tuple[int, int, ReceiptBody | ResendBody]] = []  # number, instant
        self._purged: set[int] = set()  # entries of which messages' bytes were purged

    def policies(self, source: sqlite3.Connection) -> None:
        """The texts that fit their names."""
        for _, name, text in _rows(source, "policy", "rowid", ("name", "text")):
            if isinstance(text, str) and policies.name_of(text) == name:
                self._connection.execute("INSERT INTO policy (name, text) VALUES (?, ?)", (name, text))
                self._policies.add(name)

    def entries(self, verified: Iterable[Entry], last_seq: int) -> None:
        """Chain the entries again under their numbers, up to `last_seq` at least, with a mark for each lost one.

        The opening of a session is lost with the text of its policy: nobody can say how that session counts. A fact
        that this version cannot read counts as lost too.
        """
        page: list[Entry] = []
        for old in verified:
            if not self._is_followed(old):
                continue
            self._mark(old.seq - 1)
            entry, self.head = append(self.head, old.recorded_us, old.kind, old.session, old.body)
            self.last_us = old.recorded_us
            if entry.kind is EntryKind.DELIVERY and (delivery := delivery_of(entry.body)) is not None:
                self._deliveries.append((entry.seq, entry.recorded_us, delivery))
            if entry.kind is EntryKind.STATUS and (purged := purge_of(entry.body)) is not None:
                self._purged.update(purged.entries)
            insert_entry(self._connection, entry)
            page.append(entry)
            if len(page) == _PAGE:
                index.insert(self._connection, page)
                page = []
        index.insert(self._connection, page)
        self._mark(last_seq)

    def _is_followed(self, entry: Entry) -> bool:
        """Whether this version reads the fact in the entry, if it has one, and knows the policy that it pins."""
        if entry.kind is not EntryKind.FACT:
            return True
        fact = index.fact_of(entry.body)
        if fact is None:  # a later version's: what was decided by it is open again
            return False
        if not isinstance(fact, SessionOpened):
            return True
        name = policies.name_in(fact)
        if name is None:
            self._policies.add(policies.name_of(fact.policy))
        return name is None or name in self._policies

    def _mark(self, last_seq: int) -> None:
        while self.head.seq < last_seq:
            if self.lost_since_us is None:
                self.lost_since_us = self.last_us
            entry, self.head = append(self.head, self.last_us, EntryKind.STATUS, "", LOST)
            insert_entry(self._connection, entry)
            self.lost.add(entry.seq)

    def rest(self, source: sqlite3.Connection, body: SetAsideBody) -> SetAsideBody:
        """Carry over what is outside the chain: messages, deliveries, identities; `body` with what is lost and sent."""
        sent: dict[str, str] = {}
        known: dict[int, int] = {}  # old outbox_id -> new one
        followed = {row[0]: row[1:] for row in _rows(source, "delivery", "outbox_id", ("key", "awaited"))}
        taken = {row[1] for row in _rows(source, "attempt", "attempt_id", ("outbox_id", "delivered")) if row[2]}
        for old_seq, row, digest in _messages(source, taken - followed.keys(), taken, self._purged):
            if old_seq in self.lost:
                sent[row.event_id] = seal(self._salt, row.payload) if digest else ""
            known[row.outbox_id] = outbox_id = insert_outbox_row(self._connection, old_seq, row)
            if digest:
                message = OutboxMessage(old_seq, row.event_id, row.topic, row.payload, row.retain, row.content_type)
                insert_payload(self._connection, outbox_id, reads.locked_message(codec_of(self._connection), message))
            if row.outbox_id in followed:
                values = (outbox_id, *followed[row.outbox_id])
                self._connection.execute("INSERT INTO delivery (outbox_id, key, awaited) VALUES (?, ?, ?)", values)
        self._history(source, known)
        self._identities(source)
        self._details(source)
        self._staged(source)
        lost = tuple(sorted(reads.messages_missing(self._connection)))
        return msgspec.structs.replace(body, lost=lost, sent=sent, sealed=sealing.sealed(self._connection, self._salt))

    def _identities(self, source: sqlite3.Connection) -> None:
        """Carry over the identities whose subject is that of their visit, or whose visit was renumbered by the EHR."""
        given: set[str] = set()
        for change in _opened(source, "renumbered", "id", _RENUMBERED):
            insert_change(self._connection, *(str(change[name]) for name in _RENUMBERED[1:]))
            if change["kind"] == "visit":
                given.add(str(change["new"]))
        columns = [name for name in _IDENTITY if name in _names(source, "identity")]
        for identity in _opened(source, "identity", "rowid", columns):
            subject, visit = str(identity["subject"]), str(identity["visit"])
            if visit in given or subject == subject_of(self._salt, visit):
                has = sealing.nonce() if sealing.is_known(self._connection, subject) else sealing.UNSEALED
                row = lock_row(codec_of(self._connection), "identity", identity)
                insert_row(self._connection, "identity", {**row, "nonce": has})

    def _details(self, source: sqlite3.Connection) -> None:
        """Carry over what is stated beside them, as far as it matches its digest."""
        codec = codec_of(source)
        for number, subject, about, name, body, proof in _rows(source, "detail", "id", _DETAIL):
            texts, stated = (str(subject), str(about), str(name)), str(body).encode(errors="replace")
            if reads.detail_digest(*texts, stated) == proof:
                row: Row = {"id": number, "subject": texts[0], "about": texts[1], "name": texts[2], "body": str(body)}
                if (opened := _open_row(codec, "detail", row)) is not None:
                    insert_detail(self._connection, *texts, str(opened["body"]).encode(errors="replace"))

    def _staged(self, source: sqlite3.Connection) -> None:
        """Carry over the messages that wait for their visit, as far as they match their digest."""
        for number, *row in _rows(source, "staged", "id", staging.COLUMNS):
            if staging.proves(row) and not staging.knows(self._connection, row[2]):
                with suppress(LedgerDamaged):
                    staging.stage(self._connection, staging.read(codec_of(source), number, *row))

    def close(self, created_us: int, body: SetAsideBody) -> None:
        """Append the entry that records what was carried over."""
        entry, self.head = append(self.head, created_us, EntryKind.STATUS, "", encode_body(body).decode())
        insert_entry(self._connection, entry)

    def _history(self, source: sqlite3.Connection, known: dict[int, int]) -> None:
        """Insert attempts, receipts and orders in the order of time; the triggers derive from them what waits."""
        attempts = "INSERT INTO attempt (outbox_id, at_us, reason, delivered) VALUES (?, ?, ?, ?)"
        events: list[tuple[int, int, str, _Row]] = [
            (at_us, 0, attempts, (known[outbox_id], at_us, reason, delivered))
            for _, outbox_id, at_us, reason, delivered in _rows(
                source, "attempt", "attempt_id", ("outbox_id", "at_us", "reason", "delivered")
            )
            if outbox_id in known
        ]
        beside = {row[0]: row[1:] for row in _rows(source, "receipt", "seq", ("message", "sent_us"))}
        receipts = (
            "INSERT INTO receipt (seq, key, accepted, code, message, at_us, sent_us, stored)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        )
        for seq, at_us, delivery in self._deliveries:
            match delivery:
                case ReceiptBody(receipt=note):
                    accepted, stored = int(note.result == "accepted"), int(note.result == "stored")
                    message, sent_us = beside.get(seq, ("", 0))
                    row = (seq, note.key, accepted, note.code, message, at_us, sent_us, stored)
                    events.append((at_us, 1, receipts, row))
                case ResendBody(resend=order):
                    events.append((at_us, 1, "INSERT INTO resend (seq, key) VALUES (?, ?)", (seq, order.key)))
        for _, _, statement, values in sorted(events, key=lambda each: each[:2]):
            self._connection.execute(statement, values)
        answered = {seq for seq, _, delivery in self._deliveries if isinstance(delivery, ReceiptBody)}
        for said in _opened(source, "receipt_text", "seq", ("seq", "text")):
            if said["seq"] in answered:
                insert_receipt_text(self._connection, int(said["seq"]), str(said["text"]))


def _open(aside: Path, ring: KeyRing) -> LedgerConnection:
    """Raises LedgerLocked."""
    connection = open_file(aside)
    try:
        codec = codec_for(connection, ring)
        if not codec.reads:
            raise LedgerLocked(f"{aside} {ring.lacking(codec.key_id)}")
        bind(connection, codec)
    except BaseException:
        connection.close()
        raise
    return connection


def _verified(source: sqlite3.Connection, origin: LedgerOrigin) -> Generator[Entry]:
    """The entries that match their own hash."""
    columns = ("recorded_us", "kind", "session", "body", "prev_hash", "hash")
    before: Entry | None = None
    for row in _rows(source, "entry", "seq", columns):
        try:
            entry = msgspec.convert(row, _Columns).entry
        except msgspec.ValidationError:
            continue
        follows = before is None or entry.seq != before.seq + 1 or entry.prev_hash == before.hash
        claimed = Head(origin.epoch, entry.seq - 1, entry.prev_hash, origin.gateway)
        if follows and link(claimed, entry.kind, entry.session, entry.recorded_us, entry.body) == entry.hash:
            before = entry
            yield entry


def _messages(
    source: sqlite3.Connection, gone: Container[int], taken: Container[int], purged: Container[int]
) -> Iterator[tuple[int, OutboxRow, str]]:
    """The messages whose digest fits, each with the number of its entry and the digest.

    Of `gone` the broker has taken everything that was to be sent: without bytes they have the digest "". So have those
    of `taken` whose entry is one of `purged`.
    """
    destinations = {row[0]: row[1:] for row in _rows(source, "destination", "destination", _DESTINATION)}
    placed = "destination" in _names(source, "outbox")
    for outbox_id, seq, event_id, *rest in _rows(source, "outbox", "outbox_id", (*_OUTBOX, *["destination"] * placed)):
        topic, payload, retain, content_type, digest = rest[:5]
        if placed and rest[5] is not None:
            topic, retain, content_type = destinations.get(rest[5], (None, 0, ""))
            query = "SELECT payload, digest FROM payload WHERE outbox_id"
            payload, digest = next(iter(_row(source, query, outbox_id)), (None, ""))
        try:
            without = outbox_id in gone or (outbox_id in taken and seq in purged)
            if payload is None and topic is not None and without:
                yield seq, OutboxRow(outbox_id, event_id, topic, b"", bool(retain), content_type), ""
            else:
                fields = (outbox_id, event_id, topic, payload, retain, content_type, digest)
                yield seq, reads.outbox_row(codec_of(source), *fields), digest
        except (LedgerDamaged, TypeError, AttributeError):
            continue


def _opened(source: sqlite3.Connection, table: str, key: str, columns: Sequence[str]) -> Iterator[Row]:
    """Every row that can be read and opens with the key."""
    for _, *values in _rows(source, table, key, columns):
        row = _open_row(codec_of(source), table, dict(zip(columns, values, strict=True)))
        if row is not None:
            yield row


def _open_row(codec: Codec, table: str, stored: Row) -> Row | None:
    try:
        return open_row(codec, table, stored)
    except LedgerDamaged:
        return None


def _rows(source: sqlite3.Connection, table: str, key: str, columns: Sequence[str]) -> Iterator[_Row]:
    """Every readable row, its number first, skipping damaged parts of the file."""
    query = f"SELECT {key}, {', '.join(columns)} FROM {table} WHERE {key} "
    try:
        if source.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)).fetchone() is None:
            return
    except _READING_FAILED:
        return
    last = _last(source, table, key)
    at, readable = 0, 0
    while at < (readable + _BLIND if last is None else last):
        try:
            page = source.execute(f"{query} > ? ORDER BY {key} LIMIT ?", (at, _PAGE)).fetchall()
        except _READING_FAILED:
            page = [row for number in range(at + 1, at + _PAGE + 1) for row in _row(source, query, number)]
            at += _PAGE
        else:
            page = [row for row in page if row[0] > at]  # a damaged tree may lead back
            at = page[-1][0] if page else at + _PAGE
        readable = page[-1][0] if page else readable
        yield from page


def _names(source: sqlite3.Connection, table: str) -> set[str]:
    """The names of a table's columns; none where that cannot be read."""
    try:
        return {name for _, name, *_ in source.execute(f"PRAGMA table_info({table})")}
    except _READING_FAILED:
        return set()


def _last(source: sqlite3.Connection, table: str, key: str) -> int | None:
    """The highest number, 0 in an empty table; None if it cannot be read."""
    try:
        return source.execute(f"SELECT max({key}) FROM {table}").fetchone()[0] or 0
    except _READING_FAILED:
        return None


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    """The columns of an entry, for validation: a damaged file may have anything in them."""

    seq: int
    recorded_us: int
    kind: EntryKind
    session: str
    body: str
    prev_hash: str
    hash: str

    @property
    def entry(self) -> Entry:
        return Entry(*msgspec.structs.astuple(self))


def _row(source: sqlite3.Connection, query: str, number: int) -> list[_Row]:
    try:
        return source.execute(f"{query} = ?", (number,)).fetchall()
    except _READING_FAILED:
        return []
