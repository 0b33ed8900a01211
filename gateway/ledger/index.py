"""The index of recorded facts by what they concern; it is derived from the entries alone and can be rebuilt.

It also finds processed inbound messages by their seal (the idempotency key, over id and content), from the entry of the
answer; and for each unit the newest entry with how far it is observed, which is recorded each minute and not indexed.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from gateway.ledger import policies
from gateway.ledger.bodies import published_of, taken_message
from gateway.ledger.entry import Entry, EntryKind
from gateway.session.facts import AnyFact, Key, SessionOpened, decode_fact
from gateway.session.marks import observed_units
from gateway.session.spans import FOREVER

_MESSAGE = "message"
_PAGE = 10_000
ALL = 1 << 62  # above every sequence number


def insert(connection: sqlite3.Connection, entries: Sequence[Entry]) -> set[str]:
    """Index `entries`, which come after all indexed ones, and keep the policies that they pin.

    Returns the subjects of the patients whom they concern.
    """
    for entry in entries:
        if entry.session and entry.kind is EntryKind.FACT:
            policies.insert(connection, fact_of(entry.body))
    return _insert(connection, [(entry.seq, entry.recorded_us, entry.kind, entry.body) for entry in entries])


def make(connection: sqlite3.Connection) -> None:
    """Build the index of a ledger that has none."""
    query = """
        SELECT seq, recorded_us, kind, body FROM entry WHERE kind IN ('fact', 'status') AND seq > ?
         ORDER BY seq LIMIT ?"""
    after = 0
    while page := connection.execute(query, (after, _PAGE)).fetchall():
        _insert(connection, [(seq, recorded_us, EntryKind(kind), body) for seq, recorded_us, kind, body in page])
        after = page[-1][0]


def _insert(connection: sqlite3.Connection, entries: Sequence[tuple[int, int, EntryKind, str]]) -> set[str]:
    rows = sorted(row for entry in entries for row in rows_of(*entry))
    connection.executemany("INSERT INTO concern (kind, name, at_us, seq) VALUES (?, ?, ?, ?)", rows)
    facts = [(seq, fact_of(body)) for seq, _, kind, body in entries if kind is EntryKind.FACT]
    known = [(seq, fact) for seq, fact in facts if fact is not None]
    newest = {unit.device: seq for seq, fact in known for unit in observed_units(fact)}
    connection.executemany("INSERT OR REPLACE INTO observed (device, seq) VALUES (?, ?)", sorted(newest.items()))
    return {name for kind, name, _, _ in rows if kind == "patient"}


def make_sessions(connection: sqlite3.Connection) -> None:
    """Build `session_state` of a ledger that has none: sessions that are not released become due."""
    query = """
        SELECT opened.body, (SELECT last.body FROM entry AS last WHERE last.session = opened.session
                AND last.session <> '' AND last.kind = 'session' ORDER BY last.seq DESC LIMIT 1)
          FROM entry AS opened WHERE opened.session <> '' AND opened.kind = 'fact'"""
    for body, last in connection.execute(query).fetchall():
        try:
            fact = decode_fact(body)
            published = None if last is None else published_of(last)
        except msgspec.DecodeError:
            continue
        if isinstance(fact, SessionOpened):
            done = published is not None and published.done
            due_us = FOREVER if done else 0
            values = (fact.token, fact.at_us, int(done), due_us, due_us, "", fact.cap.device)
            connection.execute(
                "INSERT OR IGNORE INTO session_state (token, opened_us, done, wake_us, due_us, watched, units)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )


def make_patients(connection: sqlite3.Connection) -> None:
    """Note the patients of the sessions in a `session_state` that lacks them."""
    connection.execute("""
        UPDATE session_state SET patient = coalesce((
            SELECT json_extract(body, '$.told.patient') FROM entry
             WHERE session = token AND session <> '' AND kind = 'session' AND json_valid(body)
             ORDER BY seq DESC LIMIT 1), '')""")


def fact_of(body: str) -> AnyFact | None:
    """The fact in an entry's body, as it stands there; None if it cannot be read."""
    try:
        return decode_fact(body)
    except msgspec.DecodeError:
        return None


def rows_of(seq: int, recorded_us: int, kind: str, body: str) -> list[tuple[str, str, int, int]]:
    """The index rows of one entry; in a forged ledger `kind` may be any text."""
    match kind:
        case EntryKind.FACT:
            fact = fact_of(body)
            concerned = () if fact is None else dict.fromkeys(fact.concerns)
            return [] if fact is None else [(*key, fact.at_us, seq) for key in concerned]
        case EntryKind.STATUS:
            message = taken_message(body)
            return [] if message is None else [(_MESSAGE, message, recorded_us, seq)]
        case _:
            return []


def knows_message(connection: sqlite3.Connection, sealed: str, message_id: str, since_us: int) -> bool:
    """Whether a message with that seal was processed, or by an earlier version one with that id since `since_us`."""
    query = "SELECT 1 FROM concern WHERE kind = ? AND name = ? AND at_us >= ? LIMIT 1"
    names = ((sealed, 0), (message_id, since_us))
    return any(connection.execute(query, (_MESSAGE, *each)).fetchone() is not None for each in names)


def numbers(connection: sqlite3.Connection, key: Key, first_us: int, last_us: int) -> list[int]:
    """The sequence numbers of facts that concern `key`, from `first_us` to `last_us`, both included."""
    query = "SELECT seq FROM concern WHERE kind = ? AND name = ? AND at_us BETWEEN ? AND ?"
    return [seq for (seq,) in connection.execute(query, (*key, first_us, last_us))]


class LedgerFacts:
    """Implements `session.related.FactsByKey` on the ledger, for facts up to entry `last_seq`."""

    def __init__(self, connection: sqlite3.Connection, last_seq: int = ALL) -> None:
        self._connection = connection
        self._last_seq = last_seq

    def of(self, key: Key) -> list[AnyFact]:
        """All facts that concern `key`."""
        return self._facts("", (*key,), "ORDER BY concern.at_us, concern.seq")

    def between(self, key: Key, first_us: int, last_us: int) -> list[AnyFact]:
        """The facts that concern `key` from `first_us` to `last_us`, both included."""
        where = "AND concern.at_us BETWEEN ? AND ?"
        return self._facts(where, (*key, first_us, last_us), "ORDER BY concern.at_us, concern.seq")

    def names(self, kind: str) -> list[str]:
        """All names of that kind that any fact concerns."""
        query = f"SELECT DISTINCT name FROM concern WHERE kind = ? AND seq <= {self._last_seq:d} ORDER BY name"
        return [name for (name,) in self._connection.execute(query, (kind,))]

    def before(self, key: Key, at_us: int) -> AnyFact | None:
        """The last fact that concerns `key` before `at_us`."""
        order = "ORDER BY concern.at_us DESC, concern.seq DESC LIMIT 1"
        return next(iter(self._facts("AND concern.at_us < ?", (*key, at_us), order)), None)

    def after(self, key: Key, at_us: int) -> AnyFact | None:
        """The first fact that concerns `key` after `at_us`."""
        order = "ORDER BY concern.at_us, concern.seq LIMIT 1"
        return next(iter(self._facts("AND concern.at_us > ?", (*key, at_us), order)), None)

    def _facts(self, where: str, values: tuple[str | int, ...], order: str) -> list[AnyFact]:
        query = f"""
            SELECT entry.body FROM concern JOIN entry ON entry.seq = concern.seq
             WHERE concern.kind = ? AND concern.name = ? {where} AND concern.seq <= {self._last_seq:d} {order}"""
        return [policies.read_fact(self._connection, body) for (body,) in self._connection.execute(query, values)]
