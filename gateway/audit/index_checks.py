"""Checks of the ledger's index tables, which are outside the hash chain: they must follow from the entries exactly.

A removed row hides a fact from queries by session, cap or patient; an added row shows a fact where it does not belong.
When a session is due (`wake_us`, `due_us`, `watched`, `units`) is not checked: it may be outdated, and is recomputed
with each assessment.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from gateway.audit.report import Area, AuditProblem
from gateway.audit.stream import RawEntry
from gateway.ledger import index, policies
from gateway.ledger.bodies import published_of
from gateway.ledger.entry import EntryKind
from gateway.session.facts import SessionOpened, UnitsObserved, decode_fact
from gateway.session.marks import observed_units

_CONCERN = "SELECT 1 FROM concern WHERE kind = ? AND name = ? AND at_us = ? AND seq = ?"


class _Listed(NamedTuple):
    """What the list of sessions must say of one."""

    seq: int  # of the entry that opens it
    opened_us: int
    is_done: bool
    patient: str


class IndexCheck:
    """Takes all entries in order, and yields every difference of the index from what follows from them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._found = 0  # index rows that follow from facts
        self._altered = policies.altered(connection)
        self._policies = policies.names(connection).difference(self._altered)
        self._observed: dict[str, int] = {}  # by unit: the newest entry with how far it is observed
        self._first_present: int | None = None  # the first entry of a kind that earlier versions did not write
        self._states: dict[str, _Listed] = {}  # by token

    def take(self, transaction: Sequence[RawEntry]) -> Iterator[AuditProblem]:
        """Problems of a transaction: facts that the index lacks under a key that they concern."""
        for entry in transaction:
            if entry.kind == EntryKind.FACT:
                fact = index.fact_of(entry.body)
                if self._first_present is None and isinstance(fact, UnitsObserved):
                    self._first_present = entry.seq
                self._observed.update({} if fact is None else {unit.device: entry.seq for unit in observed_units(fact)})
            rows = index.rows_of(entry.seq, entry.recorded_us, entry.kind, entry.body)
            missing = [row[:2] for row in rows if self._connection.execute(_CONCERN, row).fetchone() is None]
            self._found += len(rows) - len(missing)
            for kind, name in missing:
                yield AuditProblem(Area.INDEX, entry.seq, f"the {entry.kind} is not found by its {kind} {name}")
            if entry.session:
                yield from self._follow(entry)

    def end(self) -> Iterator[AuditProblem]:
        """Problems after all entries: index rows that follow from none, and sessions with another state."""
        (count,) = self._connection.execute("SELECT count(*) FROM concern").fetchone()
        if count != self._found:
            yield from self._foreign()
        for name in self._altered:
            yield AuditProblem(Area.INDEX, 0, f"under policy {name} lies another text")
        yield from self._newest()
        yield from self._sessions()
        yield from self._rules()

    def _follow(self, entry: RawEntry) -> Iterator[AuditProblem]:
        try:
            if entry.kind == EntryKind.FACT:
                fact = decode_fact(entry.body)
                if isinstance(fact, SessionOpened):
                    self._states.setdefault(fact.token, _Listed(entry.seq, fact.at_us, is_done=False, patient=""))
                    name = policies.name_in(fact)
                    if name is not None and name not in self._policies:
                        text = f"the text of its policy {name} is missing or was altered"
                        yield AuditProblem(Area.INDEX, entry.seq, text)
            elif entry.kind == EntryKind.SESSION and entry.session in self._states:
                told, listed = published_of(entry.body), self._states[entry.session]
                self._states[entry.session] = listed._replace(is_done=told.done, patient=told.patient)
        except msgspec.DecodeError:
            pass  # reported by the re-derivation

    def _foreign(self) -> Iterator[AuditProblem]:
        """Index rows that do not follow from their entry."""
        query = """
            SELECT concern.kind, name, at_us, concern.seq, recorded_us, entry.kind, body
              FROM concern LEFT JOIN entry ON entry.seq = concern.seq ORDER BY concern.seq"""
        for kind, name, at_us, seq, recorded_us, of, body in self._connection.execute(query):
            made = [] if of is None else index.rows_of(seq, recorded_us, of, body)
            if (kind, name, at_us, seq) not in made:
                yield AuditProblem(Area.INDEX, seq, f"the entry is found by {kind} {name}, which it does not concern")

    def _newest(self) -> Iterator[AuditProblem]:
        """Units for which the index names another entry as the newest with how far they are observed."""
        noted: dict[str, int] = dict(self._connection.execute("SELECT device, seq FROM observed"))
        for unit in sorted(noted.keys() | self._observed.keys()):
            seq = self._observed.get(unit, 0)
            if noted.get(unit, 0) != seq:
                text = f"unit {unit} is listed as observed last by entry {noted.get(unit, 0)}, against the entries"
                yield AuditProblem(Area.INDEX, seq, text)

    def _sessions(self) -> Iterator[AuditProblem]:
        noted = {
            token: (opened_us, bool(done), patient)
            for token, opened_us, done, patient in self._connection.execute(
                "SELECT token, opened_us, done, patient FROM session_state"
            )
        }
        for token, (seq, opened_us, done, patient) in self._states.items():
            match noted.pop(token, None):
                case None:
                    yield AuditProblem(Area.INDEX, seq, f"session {token} is missing from the list of sessions")
                case noted_us, _, _ if noted_us != opened_us:
                    yield AuditProblem(Area.INDEX, seq, f"session {token} is listed as opened at another instant")
                case _, noted_done, _ if noted_done is not done:
                    is_done = "done" if noted_done else "not done"
                    yield AuditProblem(Area.INDEX, seq, f"session {token} is listed as {is_done}, against its entries")
                case _, _, noted_patient if noted_patient != patient:
                    yield AuditProblem(Area.INDEX, seq, f"session {token} is listed under another patient")
                case _:
                    pass
        for token in noted:
            yield AuditProblem(Area.INDEX, 0, f"session {token} is listed, and no entry opens it")

    def _rules(self) -> Iterator[AuditProblem]:
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()
        rows = [seq for (seq,) in self._connection.execute("SELECT since_seq FROM rules")]
        if len(rows) != 1 or not 0 <= rows[0] <= last:
            yield AuditProblem(Area.INDEX, 0, "it is not recorded since which entry the present rules hold")
        elif self._first_present is not None and rows[0] >= self._first_present:
            text = f"this version recorded it, though entries up to {rows[0]} are noted as those of an earlier one"
            yield AuditProblem(Area.INDEX, self._first_present, text)
