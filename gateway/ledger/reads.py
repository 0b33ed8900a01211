"""All queries of the ledger, as functions of an open connection."""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from gateway.ledger import index, policies
from gateway.ledger.batch import Backlog, OutboxMessage, OutboxRow, SessionDue, Tally
from gateway.ledger.bodies import SetAsideBody, purge_of, set_aside_of
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.codec import Codec, codec_of, found_by
from gateway.ledger.entry import Entry, EntryKind, Head, digest, genesis
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.locked_rows import open_row
from gateway.messages.details import NO_DETAILS, About, Details
from gateway.messages.identity import Identity, Number, NumberKind, differ
from gateway.session import rules
from gateway.session.facts import (
    CLOCK_JUDGED,
    RULES,
    ActTold,
    AnyFact,
    ClockJudged,
    ObservedUntil,
    RulesChanged,
    UnitSwapped,
    act_key,
    decode_fact,
)
from gateway.session.marks import observed_units

_ENTRY = "seq, recorded_us, kind, session, body, prev_hash, hash"
_IDENTITY = (*Identity.__struct_fields__, "version")
SALT_BYTES = 32
_ALL_ROWS = -1
_kind_of = lru_cache(EntryKind)  # of each row read; an unknown kind is a ValueError


class LedgerOrigin(msgspec.Struct, frozen=True):
    """The gateway and epoch of a ledger. `salt` turns visits into subjects and never leaves the machine.

    Of an encrypted ledger that is read without its key the salt is unknown, b"", and `root` the genesis hash.
    """

    gateway: str
    epoch: str
    salt: bytes
    root: str = ""

    @property
    def genesis(self) -> Head:
        """The head before the first entry."""
        if self.root:
            return Head(self.epoch, 0, self.root, self.gateway)
        return genesis(self.gateway, self.epoch, self.salt)


class Encryption(msgspec.Struct, frozen=True):
    """With which key a ledger is encrypted, its genesis hash, and the file that had the key when it was last opened."""

    key_id: str
    root: str
    key_file: str


def origin(connection: sqlite3.Connection) -> LedgerOrigin | None:
    """The ledger's origin; None in a file that no gateway has begun."""
    row = connection.execute("SELECT gateway, epoch, salt FROM origin").fetchone()
    if row is None:
        return None
    gateway, epoch, salt = row
    codec = codec_of(connection)
    if not codec.reads:
        found = encryption(connection)
        return LedgerOrigin(gateway, epoch, b"", "" if found is None else found.root)
    return LedgerOrigin(gateway, epoch, codec.open(salt, *bound_salt(gateway, epoch)))


def bound_salt(gateway: str, epoch: str) -> tuple[str, ...]:
    """What the salt of an encrypted ledger is bound to."""
    return "salt", gateway, epoch


def encryption(connection: sqlite3.Connection) -> Encryption | None:
    """How the ledger is encrypted; None: it is in clear, or of a version that knew no encryption."""
    there = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'encryption'"
    if connection.execute(there).fetchone() is None:
        return None
    row = connection.execute("SELECT key_id, root, key_file FROM encryption").fetchone()
    return Encryption(*row) if row else None


def head(connection: sqlite3.Connection, of: LedgerOrigin) -> Head:
    """The head of the chain on disk."""
    row = connection.execute("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
    return Head(of.epoch, seq=row[0], hash=row[1], gateway=of.gateway) if row else of.genesis


def head_at(connection: sqlite3.Connection, of: LedgerOrigin, seq: int) -> Head:
    """The head as it was after entry `seq`; the genesis head for 0 and below. Raises LedgerDamaged if there is none."""
    if seq <= 0:
        return of.genesis
    row = connection.execute("SELECT hash FROM entry WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        raise LedgerDamaged(f"entry {seq} is missing")
    return Head(of.epoch, seq, row[0], of.gateway)


def entries(
    connection: sqlite3.Connection,
    after_seq: int = 0,
    kinds: Iterable[EntryKind] | None = None,
    session: str | None = None,
    limit: int = _ALL_ROWS,
) -> list[Entry]:
    """Entries after `after_seq` in the order of the chain, only of `kinds` and of `session` where given."""
    where = ["seq > ?"]
    values: list[str | int] = [after_seq]
    if kinds is not None:
        kinds = frozenset(kinds)
        where.append(_kind_in(kinds))
        values.extend(kinds)
        if EntryKind.FACT not in kinds:
            where.append("kind <> 'fact'")  # exactly as in the partial index
    if session is not None:
        where.append("session = ?")
        values.append(session)
        if session:
            where.append("session <> ''")  # exactly as in the partial index
    query = f"SELECT {_ENTRY} FROM entry WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?"
    return _entries(connection.execute(query, (*values, limit)))


def facts_since(connection: sqlite3.Connection, since_us: int) -> list[AnyFact]:
    """The facts recorded from the first entry stamped at or after `since_us` on.

    All later entries of the chain are included whatever their own stamps, for a wall clock may have been wrong.
    """
    (first,) = connection.execute("SELECT min(seq) FROM entry WHERE recorded_us >= ?", (since_us,)).fetchone()
    if first is None:
        return []
    query = "SELECT body FROM entry WHERE seq >= ? AND kind = 'fact' ORDER BY seq"
    return [policies.read_fact(connection, body) for (body,) in connection.execute(query, (first,))]


def swaps(connection: sqlite3.Connection) -> list[UnitSwapped]:
    """Every swap of a unit, in the order in which they were recorded."""
    query = "SELECT body FROM concern JOIN entry USING (seq) WHERE concern.kind = 'swap' ORDER BY seq"
    facts = [decode_fact(body) for (body,) in connection.execute(query)]
    return [fact for fact in facts if isinstance(fact, UnitSwapped)]


def last_observed(connection: sqlite3.Connection) -> list[ObservedUntil]:
    """How far each unit was observed, by its last fact, of any age."""
    query = "SELECT device, body FROM observed JOIN entry USING (seq) ORDER BY device"
    facts = [(device, decode_fact(body)) for device, body in connection.execute(query)]
    return [unit for device, fact in facts for unit in observed_units(fact) if unit.device == device]


def observed_before(connection: sqlite3.Connection, last_seq: int) -> list[ObservedUntil]:
    """As `last_observed`, up to entry `last_seq`; it reads all entries up to there."""
    query = """
        SELECT body FROM entry WHERE kind = 'fact' AND seq <= ?
           AND (body GLOB '{"fact":"observed_until"*' OR body GLOB '{"fact":"units_observed"*') ORDER BY seq"""
    bodies = connection.execute(query, (last_seq,))
    return [*{unit.device: unit for (body,) in bodies for unit in observed_units(decode_fact(body))}.values()]


def act_told(connection: sqlite3.Connection, login: str, key: str) -> ActTold | None:
    """What was recorded of the act to which an account gave that key."""
    found = index.LedgerFacts(connection).of(act_key(login, key))
    return next((fact for fact in found if isinstance(fact, ActTold)), None)


def clock_judged(connection: sqlite3.Connection) -> list[tuple[int, ClockJudged]]:
    """What was recorded of the gateway's clock, each with its entry, in their order."""
    query = "SELECT seq, body FROM concern JOIN entry USING (seq) WHERE concern.kind = ? AND name = ? ORDER BY seq"
    facts = [(seq, decode_fact(body)) for seq, body in connection.execute(query, CLOCK_JUDGED)]
    return [(seq, fact) for seq, fact in facts if isinstance(fact, ClockJudged)]


def rules_recorded(connection: sqlite3.Connection) -> tuple[int, int]:
    """The revision of the counting rules that the ledger names last, and the entry that does; (1, 0) if none does."""
    query = "SELECT seq, body FROM concern JOIN entry USING (seq) WHERE concern.kind = ? ORDER BY seq DESC LIMIT 1"
    for seq, body in connection.execute(query, RULES[:1]):
        if isinstance(fact := decode_fact(body), RulesChanged):
            return fact.revision, seq
    return 1, 0


def rules_since(connection: sqlite3.Connection) -> int:
    """The last entry that other counting rules than the present ones made, or that was carried over; 0: none."""
    revision, named_by = rules_recorded(connection)
    if revision != rules.REVISION:
        (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()
        return last
    row = connection.execute("SELECT since_seq FROM rules").fetchone()
    carried = carried_over(connection)
    return max(named_by - 1, row[0] if row else 0, 0 if carried is None else carried.carried + 1)


def carried_over(connection: sqlite3.Connection) -> SetAsideBody | None:
    """The body of the entry about what was carried over, if this ledger replaced a damaged one."""
    query = """
        SELECT seq, body FROM origin JOIN entry INDEXED BY entry_by_time ON recorded_us = created_us
         WHERE kind = 'status' AND body GLOB '{"set_aside"*' ORDER BY seq LIMIT 1"""
    row = connection.execute(query).fetchone()
    if row is None:
        return None
    seq, body = row
    found = set_aside_of(body)
    return found if found is not None and seq == found.carried + 1 else None


def purged_entries(connection: sqlite3.Connection) -> frozenset[int]:
    """The entries of which messages' bytes were purged. It reads all status entries."""
    query = """SELECT body FROM entry WHERE kind = 'status' AND kind <> 'fact' AND body GLOB '{"purge"*'"""
    found = [purge_of(body) for (body,) in connection.execute(query)]
    return frozenset(seq for note in found if note is not None for seq in note.entries)


def sent_before(connection: sqlite3.Connection) -> frozenset[str]:
    """The ids of messages that were carried over from a damaged ledger without their entries."""
    found = carried_over(connection)
    return frozenset() if found is None else frozenset(found.sent)


def messages_missing(connection: sqlite3.Connection) -> set[str]:
    """The ids of messages that entries record and the outbox lacks."""
    query = """
        WITH recorded AS (SELECT body FROM entry WHERE kind IN ('increment', 'session', 'charge', 'status')
                             AND kind <> 'fact' AND json_valid(body))
        SELECT key FROM (SELECT sealed.key FROM recorded, json_each(body, '$.sent') AS sealed
                         UNION SELECT json_extract(body, '$.event.id') FROM recorded
                                WHERE json_extract(body, '$.sent') IS NULL)
         WHERE key NOT NULL AND key NOT IN (SELECT event_id FROM outbox)"""
    return {name for (name,) in connection.execute(query)}


def last_happened_us(connection: sqlite3.Connection, last_seq: int) -> int:
    """The latest `at_us` of a fact up to entry `last_seq`; 0 without one."""
    query = "SELECT coalesce(max(at_us), 0) FROM concern WHERE seq <= ? AND kind <> 'message'"
    return connection.execute(query, (last_seq,)).fetchone()[0]


def last_recorded_us(connection: sqlite3.Connection) -> int:
    """When the last entry was recorded, UTC; 0 in an empty ledger."""
    row = connection.execute("SELECT recorded_us FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
    return row[0] if row else 0


def tokens_opened(connection: sqlite3.Connection, first_us: int, last_us: int) -> list[str]:
    """The tokens of sessions that opened from `first_us` to `last_us`, in that order."""
    query = "SELECT token FROM session_state WHERE opened_us BETWEEN ? AND ? ORDER BY opened_us, token"
    return [token for (token,) in connection.execute(query, (first_us, last_us))]


def undone(connection: sqlite3.Connection) -> list[str]:
    """The tokens of the sessions that are not done."""
    return [token for (token,) in connection.execute("SELECT token FROM session_state WHERE NOT done ORDER BY token")]


def session_due(connection: sqlite3.Connection, token: str) -> SessionDue | None:
    """When a session is due next; None if the ledger has no such session."""
    query = "SELECT token, opened_us, done, wake_us, due_us, watched, units, patient FROM session_state WHERE token = ?"
    row = connection.execute(query, (token,)).fetchone()
    if row is None:
        return None
    token, opened_us, done, wake_us, due_us, watched, units, patient = row
    names = tuple(watched.split()), tuple(units.split())
    return SessionDue(token, opened_us, bool(done), wake_us, due_us, *names, patient)


def checkpoints(
    connection: sqlite3.Connection, first_seq: int = -index.ALL, last_seq: int = index.ALL
) -> list[Checkpoint]:
    """The ledger's checkpoints of these entries, oldest first, not verified."""
    query = "SELECT note, signature, public_key FROM checkpoint WHERE seq BETWEEN ? AND ? ORDER BY seq"
    return [Checkpoint(*fields) for fields in connection.execute(query, (first_seq, last_seq))]


def next_checkpoint_seq(connection: sqlite3.Connection, seq: int) -> int | None:
    """The first entry from `seq` on with a checkpoint in the ledger; None if there is none."""
    return connection.execute("SELECT min(seq) FROM checkpoint WHERE seq >= ?", (seq,)).fetchone()[0]


def signed_seq(connection: sqlite3.Connection) -> int:
    """The last entry with a checkpoint in the ledger; 0 for none."""
    return connection.execute("SELECT coalesce(max(seq), 0) FROM checkpoint").fetchone()[0]


def identity(connection: sqlite3.Connection, subject: str) -> Identity | None:
    """The identifiers of a subject as last recorded; None if never recorded or purged."""
    query = f"SELECT {', '.join(_IDENTITY)} FROM identity WHERE subject = ? ORDER BY version DESC LIMIT 1"
    row = connection.execute(query, (subject,)).fetchone()
    if row is None:
        return None
    opened = open_row(codec_of(connection), "identity", dict(zip(_IDENTITY, row, strict=True)))
    own, visit, *others = (str(opened[name]) for name in Identity.__struct_fields__)
    return Identity(own, visit, *(value or None for value in others))


def details(connection: sqlite3.Connection, subject: str, about: About, name: str) -> Details:
    """What is stated of a visit, an order or a charge, as last recorded; nothing if never recorded or purged."""
    query = "SELECT id, body FROM detail WHERE subject = ? AND about = ? AND name = ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (subject, about.value, name)).fetchone()
    if row is None:
        return NO_DETAILS
    stored = {"id": row[0], "subject": subject, "about": about.value, "name": name, "body": row[1]}
    opened = open_row(codec_of(connection), "detail", stored)
    return msgspec.json.decode(str(opened["body"]), type=Details)


def detail_digest(subject: str, about: str, name: str, body: bytes) -> str:
    """By which a damaged ledger proves such a row, with the body as it is stored."""
    return digest(body, *(text.encode(errors="replace") for text in (subject, about, name)))


def identified(connection: sqlite3.Connection, kind: NumberKind, number: Number) -> list[Identity]:
    """The identities with that number, as last recorded."""
    query = f"SELECT DISTINCT subject FROM identity WHERE {kind} = ? AND {kind} <> '' ORDER BY subject"
    stored = found_by(codec_of(connection), kind, number.value)
    latest = [identity(connection, subject) for (subject,) in connection.execute(query, (stored,))]
    return [known for known in latest if known is not None and (own := known.number(kind)) and own.is_same(number)]


def subjects(connection: sqlite3.Connection, visits: Iterable[str]) -> dict[str, str]:
    """Visit number -> subject, for visits that the EHR has renumbered to these numbers."""
    found: dict[str, str] = {}
    codec = codec_of(connection)
    for visit in visits:
        for known in identified(connection, "visit", Number(visit)):
            first = connection.execute("SELECT visit FROM identity WHERE subject = ? AND version = 1", (known.subject,))
            if first.fetchone() != (found_by(codec, "visit", visit),):
                found[visit] = known.subject
    return found


def current_number(connection: sqlite3.Connection, kind: NumberKind, number: Number) -> Number:
    """The number that the EHR has changed `number` to; `number` itself if it was not changed."""
    codec, names = codec_of(connection), ("id", "kind", "old", "old_authority", "new", "authority")
    query = f"SELECT {', '.join(names)} FROM renumbered WHERE kind = ? AND old = ? AND id > ? ORDER BY id"
    last = 0
    while True:
        found = connection.execute(query, (kind, found_by(codec, kind, number.value), last)).fetchall()
        rows = [open_row(codec, "renumbered", dict(zip(names, row, strict=True))) for row in found]
        later = [row for row in rows if not differ(str(row["old_authority"]), number.authority)]
        if not later:
            return number
        last = later[-1]["id"]
        number = Number(str(later[-1]["new"]), str(later[-1]["authority"]))


def waiting(connection: sqlite3.Connection, after: int, limit: int) -> list[OutboxRow]:
    """Up to `limit` outbox rows after `after` without a delivered attempt, oldest first.

    Raises LedgerDamaged on an altered row.
    """
    query = """
        SELECT outbox_id, event_id, topic, payload, retain, content_type, digest
          FROM waiting JOIN message USING (outbox_id)
         WHERE outbox_id > ? ORDER BY outbox_id LIMIT ?"""
    codec = codec_of(connection)
    return [outbox_row(codec, *fields) for fields in connection.execute(query, (after, limit))]


def backlog(connection: sqlite3.Connection) -> Backlog:
    """The number of messages that wait for the broker, and the age of the oldest."""
    oldest = """
        SELECT recorded_us FROM waiting JOIN outbox USING (outbox_id) JOIN entry USING (seq)
         ORDER BY outbox_id LIMIT 1"""
    return Backlog(*connection.execute(f"SELECT rows, ({oldest}) FROM row_count WHERE what = 'waiting'").fetchone())


def oldest_waiting(connection: sqlite3.Connection) -> int | None:
    """The entry of the oldest message that waits for the broker; None if none does."""
    query = "SELECT seq FROM waiting JOIN outbox USING (outbox_id) ORDER BY outbox_id LIMIT 1"
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def tally(connection: sqlite3.Connection, session: str) -> Tally:
    """The number of publications of the session so far."""
    query = """
        SELECT count(*), coalesce(min(seq), 0) FROM entry
         WHERE session = ? AND session <> '' AND kind IN ('session', 'increment', 'charge')"""
    return Tally(*connection.execute(query, (session,)).fetchone())


def message_digest(message: OutboxMessage | OutboxRow) -> str:
    """The digest of all that must not change in a message between commit and publish, with its bytes as stored."""
    fields = (message.event_id, message.topic, message.content_type, "retain" if message.retain else "")
    return digest(message.payload, *(field.encode() for field in fields))


def locked_message(codec: Codec, message: OutboxMessage) -> OutboxMessage:
    """The message with its bytes as they are stored."""
    return msgspec.structs.replace(message, payload=codec.lock(message.payload, "payload", message.event_id))


def outbox_row(
    codec: Codec,
    outbox_id: int,
    event_id: str,
    topic: str | None,
    payload: bytes | None,
    retain: int,
    content_type: str,
    stored_digest: str,
) -> OutboxRow:
    """The row of these columns. Raises LedgerDamaged if it has no bytes or does not match its digest."""
    if topic is None or payload is None:
        raise LedgerDamaged(f"outbox row {outbox_id} lacks what is to be sent")
    row = OutboxRow(outbox_id, event_id, topic, payload, bool(retain), content_type)
    if message_digest(row) != stored_digest:
        raise LedgerDamaged(f"outbox row {outbox_id} is not what was committed")
    return msgspec.structs.replace(row, payload=codec.open(payload, "payload", event_id))


def _kind_in(kinds: Sequence[EntryKind] | frozenset[EntryKind]) -> str:
    return f"kind IN ({', '.join('?' * len(kinds))})"


def _entries(rows: Iterable[tuple[Any, ...]]) -> list[Entry]:
    return [
        Entry(seq, recorded_us, _kind_of(kind), session, body, prev_hash, own_hash)
        for seq, recorded_us, kind, session, body, prev_hash, own_hash in rows
    ]
