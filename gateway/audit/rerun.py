"""Reruns the tracker: applies the recorded transactions to a new state, in the order of their commits.

Theory of operation. This is event sourcing: the state follows from its input alone, and its input is in the ledger:
facts, the tokens that were drawn, and how far each unit was observed at each transaction. As in the gateway the state
is a cache: what it lacks for a transaction is read back from the entries before it, so the rerun is limited to no
period, and one session can be re-derived without the others.

Entries of a version with other rules (`session.rules`) followed those. The rerun begins after them, with the sessions
as they were then.
"""

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from gateway.audit.stream import RawEntry
from gateway.ledger import policies, reads
from gateway.ledger.bodies import change_of, charge_of
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.index import LedgerFacts
from gateway.ledger.read_back import last_seen_in, read_back, records_up_to
from gateway.session.assessment import Assessment, assess_observed
from gateway.session.attribution import DEFAULT_IDLE_US, Session
from gateway.session.charges import Charge
from gateway.session.facts import AnyFact, Key, ObservedUntil, SessionOpened, UnitsObserved
from gateway.session.increments import Change
from gateway.session.marks import observed_units
from gateway.session.outcome import Outcome
from gateway.session.policies import policies_of
from gateway.session.policy import Policy
from gateway.session.related import Anchor, gather
from gateway.session.spans import FOREVER
from gateway.session.state import ReadBack, Step, TrackerState, advance, begin, inspect, lacking, prune, with_read_back

# No policy is needed before a session opens, which pins its own.
_NO_POLICY = 'name = "none"\nrevision = "0"\neffective = 2000-01-01\nfirst_threshold_s = 960\n'

Announcement = tuple[str, Change | Charge]  # session token, and the increment change or charge announced of it


class RecordedTransaction(msgspec.Struct):
    """One transaction: the input of the state, and the announcements that it records, with sequence numbers."""

    facts: list[AnyFact]
    observed: list[ObservedUntil]
    opened: list[SessionOpened]
    announced: list[tuple[int, Announcement]]
    unreadable: list[tuple[int, str]]


class RederivedSession(msgspec.Struct, frozen=True):
    """A session as re-derived from its facts; `session.facts` is empty for a token that another one replaced."""

    opened: SessionOpened
    session: Session
    outcome: Outcome
    observed: dict[str, int]
    until_us: int

    @property
    def token(self) -> str:
        """The session's token."""
        return self.opened.token

    @property
    def replaced_by(self) -> str:
        """The token that replaced the session's, or ""."""
        first = self.session.tokens[0]
        return "" if first == self.token else first

    def under(self, policy: Policy) -> Assessment:
        """The same facts assessed under another policy."""
        facts = () if self.replaced_by else self.session.facts
        return assess_observed(facts, policy, self.observed, self.until_us)


class Rerun:
    """A tracker state that takes the recorded transactions in order, from the first one by the current rules."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.since_seq = reads.rules_since(connection)
        self.records = {each.token: each for each in records_up_to(connection, self.since_seq)}
        self._connection = connection
        going_on = [each for each in self.records.values() if not each.done]
        seen = last_seen_in(LedgerFacts(connection, self.since_seq)) if self.since_seq else ()
        self._state = begin(
            policies_of([_NO_POLICY]), seen, going_on, reads.last_happened_us(connection, self.since_seq) + 1
        )
        self._observed = {each.device: each.at_us for each in reads.observed_before(connection, self.since_seq)}
        self._begun = self.since_seq == 0

    def take(self, recorded: RecordedTransaction, before_seq: int, now_us: int) -> Step:
        """The step of one transaction, whose first entry comes after `before_seq`.

        Forged facts may make it raise any exception.
        """
        tokens = iter([fact.token for fact in recorded.opened])
        if not self._begun:
            first = self._first_step(before_seq, now_us, tokens)
            self._begun = True
        else:
            first = Step()
        self._observed.update({fact.device: fact.at_us for fact in recorded.observed})
        state = prune(self._state, now_us)
        if in_force := [fact.policy for fact in recorded.opened if not fact.patient]:  # else it was reassigned
            state = msgspec.structs.replace(state, policies=policies_of(dict.fromkeys(in_force)))
        self._state, step = self._advanced(state, recorded.facts, before_seq, now_us, tokens)
        self.records.update({each.token: each for each in step.records})
        return Step(step.facts, (*first.outcomes, *step.outcomes), step.records, (*first.defects, *step.defects))

    def _first_step(self, before_seq: int, now_us: int, tokens: Iterator[str]) -> Step:
        """What a gateway with the current rules publishes at its first start: without retractions or amendments."""
        state, step = self._advanced(self._state, (), before_seq, now_us, tokens)
        wrong = {each.record.token for each in step.outcomes if each.revises}
        self._state, kept = state.with_asleep(wrong, self.records), step.without(wrong)
        self.records.update({each.token: each for each in kept.records})
        return kept

    def _advanced(
        self, state: TrackerState, facts: Sequence[AnyFact], before_seq: int, now_us: int, tokens: Iterator[str]
    ) -> tuple[TrackerState, Step]:
        if missing := lacking(state, facts, self._observed, now_us):
            source = LedgerFacts(self._connection, before_seq)
            found, whole = gather(source, missing, facts, DEFAULT_IDLE_US)
            opened = [fact.token for fact in found if isinstance(fact, SessionOpened) and fact.token in self.records]
            state = with_read_back(state, ReadBack(found, tuple(self.records[token] for token in opened), whole))
        # A session whose token was not recorded gets a name that no token can have.
        unrecorded = (f"unrecorded-{now_us}-{number}" for number in range(1 << 30))
        return advance(state, facts, self._observed, now_us, lambda: next(tokens, "") or next(unrecorded))


def rederived(connection: sqlite3.Connection, token: str) -> RederivedSession | None:
    """One session re-derived at the end of the ledger; None if no fact opens it."""
    key: Key = ("token", token)
    found = read_back(connection, [Anchor(key, 0)], (), DEFAULT_IDLE_US)
    opened = next((each for each in found.facts if isinstance(each, SessionOpened) and each.token == token), None)
    if opened is None:
        return None
    state = with_read_back(begin(policies_of([opened.policy]), (), (), FOREVER), found)
    observed = {fact.device: fact.at_us for fact in reads.last_observed(connection)}
    until_us = reads.last_recorded_us(connection)
    seen = inspect(state, token, observed, until_us)
    return None if seen is None else RederivedSession(opened, *seen, observed, until_us)


def read(connection: sqlite3.Connection, transaction: Sequence[RawEntry]) -> RecordedTransaction:
    """Decodes the entries of one transaction of this ledger."""
    recorded = RecordedTransaction([], [], [], [], [])
    for entry in transaction:
        try:
            match entry.kind:
                case EntryKind.FACT:
                    _add(policies.read_fact(connection, entry.body), recorded)
                case EntryKind.INCREMENT:
                    recorded.announced.append((entry.seq, (entry.session, change_of(entry.body))))
                case EntryKind.CHARGE:
                    recorded.announced.append((entry.seq, (entry.session, charge_of(entry.body))))
                case _:
                    pass
        except (msgspec.DecodeError, LedgerDamaged) as error:
            recorded.unreadable.append((entry.seq, f"the body of this {entry.kind} cannot be read: {error}"))
    return recorded


def _add(fact: AnyFact, recorded: RecordedTransaction) -> None:
    match fact:
        case ObservedUntil() | UnitsObserved():
            recorded.observed += observed_units(fact)
        case SessionOpened():
            recorded.opened.append(fact)
        case _:
            recorded.facts.append(fact)
