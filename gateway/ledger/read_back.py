"""Reads sessions and their facts back from the ledger into the tracker's memory.

The cost depends neither on the age of a session nor on the number of others: facts are found through the index.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from gateway.ledger import policies, reads
from gateway.ledger.bodies import change_of, charge_of, published_of
from gateway.ledger.entry import Entry, EntryKind
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.index import ALL, LedgerFacts
from gateway.session.facts import AnyFact, ClockJudged, Key, ObservedUntil, SessionOpened
from gateway.session.outcome import SessionRecord
from gateway.session.related import Anchor, every_anchor, gather, last_anchor, last_seen
from gateway.session.state import ReadBack, record_of
from gateway.session.worklist import WORK, said_of_waiting, said_of_work

_OF_SESSIONS = (EntryKind.INCREMENT, EntryKind.SESSION, EntryKind.CHARGE)


class Restart(msgspec.Struct, frozen=True):
    """The input of a start: the arguments of `session.state.begin`, and how far each unit was observed."""

    whole_from_us: int
    read_back: ReadBack
    observed: tuple[ObservedUntil, ...]
    rules: int  # the revision of the counting rules that were in force


class ClockKnown(msgspec.Struct, frozen=True):
    """By what a machine's clock is judged at a start."""

    judged: ClockJudged | None = None  # the last that was recorded of it; None: nothing, as by an earlier version
    last_us: int = 0  # when the last entry was recorded, UTC; 0: there is none


def clock_known(connection: sqlite3.Connection) -> ClockKnown:
    """What the ledger says about it."""
    judged = reads.clock_judged(connection)
    return ClockKnown(judged[-1][1] if judged else None, reads.last_recorded_us(connection))


def read_back(
    connection: sqlite3.Connection, anchors: Iterable[Anchor], learned: Iterable[AnyFact], idle_us: int
) -> ReadBack:
    """The recorded facts, and their sessions, that can affect what is at `anchors` or `learned`, not recorded yet."""
    facts, whole = gather(LedgerFacts(connection), tuple(anchors), tuple(learned), idle_us)
    opened = {fact.token: fact for fact in facts if isinstance(fact, SessionOpened)}
    return ReadBack(facts, tuple(record(connection, each) for each in opened.values()), whole)


def anchors(connection: sqlite3.Connection, keys: Iterable[Key], now_us: int) -> list[Anchor]:
    """The last anchor before `now_us` of each of `keys` that any fact concerns."""
    facts = LedgerFacts(connection)
    return [last_anchor(key, own, now_us) for key in keys if (own := facts.of(key))]


def treatments(connection: sqlite3.Connection, subjects: Iterable[str]) -> list[Anchor]:
    """The anchors of all treatments of these patients."""
    facts = LedgerFacts(connection)
    keys: list[Key] = [("patient", subject) for subject in subjects]
    return [anchor for key in keys for anchor in every_anchor(key, facts.of(key))]


def last_seen_in(facts: LedgerFacts) -> Iterator[AnyFact]:
    """The silences of units that go on, and what was seen last of each cap, however old."""
    units: list[Key] = [("unit", unit) for unit in facts.names("unit")]
    caps: list[Key] = [("cap", cap) for cap in facts.names("cap")]
    return last_seen(facts, units + caps)


def restart(connection: sqlite3.Connection, whole_from_us: int, idle_us: int) -> Restart:
    """Facts recorded since then, what was seen last, what waits, sessions not done, and all facts of open ones."""
    recent = dict.fromkeys(reads.facts_since(connection, whole_from_us))
    facts = LedgerFacts(connection)
    recent.update(dict.fromkeys(last_seen_in(facts)))
    recent.update(dict.fromkeys(said_of_work(facts.of(WORK))))
    records: dict[str, SessionRecord] = {}
    for token in reads.undone(connection):
        own = facts.of(("token", token))
        recent.update(dict.fromkeys(said_of_waiting(own)))
        opened = next((each for each in own if isinstance(each, SessionOpened)), None)
        if opened is not None:
            records[token] = record(connection, opened)
    going_on = [Anchor(("token", each.token), each.opened_us) for each in records.values() if each.open]
    live = read_back(connection, going_on, (), idle_us)
    recent.update(dict.fromkeys(live.facts))
    records = {**{each.token: each for each in live.records}, **records}
    lately = {fact.token: fact for fact in recent if isinstance(fact, SessionOpened) and fact.token not in records}
    records.update({token: record(connection, opened) for token, opened in lately.items()})
    observed = tuple(reads.last_observed(connection))
    revision, _ = reads.rules_recorded(connection)
    back = ReadBack(tuple(recent), tuple(records.values()), live.whole)
    return Restart(whole_from_us, back, observed, revision)


def records_up_to(connection: sqlite3.Connection, last_seq: int) -> list[SessionRecord]:
    """The sessions as they were after entry `last_seq`; those that are not done are due.

    Without sessions whose opening cannot be read: that is reported where the entries are followed.
    """
    query = "SELECT body FROM entry WHERE session <> '' AND kind = 'fact' AND seq <= ? ORDER BY seq"
    made: list[SessionRecord] = []
    for (body,) in connection.execute(query, (last_seq,)):
        try:
            fact = policies.read_fact(connection, body)
        except (msgspec.DecodeError, LedgerDamaged):
            continue
        if isinstance(fact, SessionOpened):
            made.append(_made(connection, fact, last_seq))
    return [each if each.done else msgspec.structs.replace(each, wake_us=0) for each in made]


def record(connection: sqlite3.Connection, opened: SessionOpened) -> SessionRecord:
    """A session's record, from its entries, and when it is due, from `session_state`."""
    made = _made(connection, opened, ALL)
    left = reads.session_due(connection, opened.token)
    if left is None:
        return made
    return msgspec.structs.replace(
        made,
        wake_us=left.wake_us,
        due_us=left.due_us,
        watched=frozenset(left.watched),
        units=frozenset(left.units),
    )


def _of(entries: Iterable[Entry], kind: EntryKind) -> list[Entry]:
    return [entry for entry in entries if entry.kind is kind]


def _made(connection: sqlite3.Connection, opened: SessionOpened, last_seq: int) -> SessionRecord:
    entries = reads.entries(connection, kinds=_OF_SESSIONS, session=opened.token)
    entries = [entry for entry in entries if entry.seq <= last_seq]
    return record_of(
        opened,
        [change_of(each.body) for each in _of(entries, EntryKind.INCREMENT)],
        next((published_of(each.body) for each in reversed(_of(entries, EntryKind.SESSION))), None),
        [charge_of(each.body) for each in _of(entries, EntryKind.CHARGE)],
    )
