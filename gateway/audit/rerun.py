"""Reruns the tracker: feeds the recorded transactions to a fresh state, in the order in which they were committed.

Theory of operation. This is event sourcing: the state is a pure function of its input, and its input is in the ledger:
facts, the tokens that were drawn, and how far each unit was observed at each transaction. A session that can change no
more is pruned from the state; it is yielded first, in its last form.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gateway.audit.stream import RawEntry
from gateway.ledger.bodies import change_of, charge_of
from gateway.ledger.entry import EntryKind
from gateway.session.assessment import Assessment, assess_observed
from gateway.session.attribution import Session
from gateway.session.charges import Charge
from gateway.session.facts import AnyFact, ObservedUntil, SessionOpened, decode_fact
from gateway.session.increments import Change
from gateway.session.outcome import Outcome
from gateway.session.policy import Policy
from gateway.session.state import Step, TrackerState, advance, inspect, prune

_HOUR_US = 3_600_000_000
# Until a session opens and brings its own, no policy decides anything.
_NO_POLICY = 'name = "none"\nrevision = "0"\neffective = 2000-01-01\nfirst_threshold_s = 960\n'

Announcement = tuple[str, Change | Charge]  # session token, and the increment change or charge announced of it


class RecordedTransaction(msgspec.Struct):
    """One transaction: the input of the state, and the announcements it records; numbers are those of entries."""

    facts: list[AnyFact]
    observed: list[ObservedUntil]
    opened: list[SessionOpened]
    announced: list[tuple[int, Announcement]]
    unreadable: list[tuple[int, str]]


class RederivedSession(msgspec.Struct, frozen=True):
    """A session as re-derived from its facts; `facts` is empty for a token that another one replaced."""

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
        """The token under which this session goes on; "" for its own."""
        first = self.session.tokens[0]
        return "" if first == self.token else first

    def under(self, policy: Policy) -> Assessment:
        """The same facts assessed under another policy."""
        facts = () if self.replaced_by else self.session.facts
        return assess_observed(facts, policy, self.observed, self.until_us)


class Rerun:
    """A fresh tracker state that takes the recorded transactions in order."""

    def __init__(self) -> None:
        self._state = TrackerState(_NO_POLICY)
        self._observed: dict[str, int] = {}
        self._opened: dict[str, SessionOpened] = {}
        self._pruned_us = 0
        self._last_us = 0

    def take(self, recorded: RecordedTransaction, now_us: int) -> Step:
        """The step that one transaction's input makes. Forged facts may make it raise anything."""
        self._observed.update({fact.device: fact.at_us for fact in recorded.observed})
        self._opened.update({fact.token: fact for fact in recorded.opened})
        state = self._state
        if recorded.opened:
            state = msgspec.structs.replace(state, policy_text=recorded.opened[0].policy)
        tokens = iter([fact.token for fact in recorded.opened])
        # A token that was not recorded is given a name that no token can have.
        unrecorded = (f"unrecorded-{now_us}-{number}" for number in range(1 << 30))
        self._state, step = advance(
            state, recorded.facts, self._observed, now_us, lambda: next(tokens, "") or next(unrecorded)
        )
        self._last_us = now_us
        return step

    def settled(self, now_us: int) -> Iterator[RederivedSession]:
        """The sessions that can change no more by `now_us`, each once; they are pruned from the state."""
        if now_us - self._pruned_us < _HOUR_US:
            return
        yield from self._inspect(
            [token for token, record in self._state.records.items() if not self._state.keeps(record, now_us)]
        )
        self._state, self._pruned_us = prune(self._state, now_us), now_us

    def remaining(self) -> Iterator[RederivedSession]:
        """The sessions that `settled` did not yield."""
        yield from self._inspect(list(self._state.records))

    def _inspect(self, tokens: Iterable[str]) -> Iterator[RederivedSession]:
        for token in tokens:
            found = inspect(self._state, token, self._observed, self._last_us)
            if found is not None and token in self._opened:
                yield RederivedSession(self._opened.pop(token), *found, dict(self._observed), self._last_us)


def read(transaction: Sequence[RawEntry]) -> RecordedTransaction:
    """Decodes the entries of one transaction."""
    recorded = RecordedTransaction([], [], [], [], [])
    for entry in transaction:
        try:
            match entry.kind:
                case EntryKind.FACT:
                    _add(decode_fact(entry.body), recorded)
                case EntryKind.INCREMENT:
                    recorded.announced.append((entry.seq, (entry.session, change_of(entry.body))))
                case EntryKind.CHARGE:
                    recorded.announced.append((entry.seq, (entry.session, charge_of(entry.body))))
                case _:
                    pass
        except msgspec.DecodeError as error:
            recorded.unreadable.append((entry.seq, f"the body of this {entry.kind} cannot be read: {error}"))
    return recorded


def _add(fact: AnyFact, recorded: RecordedTransaction) -> None:
    match fact:
        case ObservedUntil():
            recorded.observed.append(fact)
        case SessionOpened():
            recorded.opened.append(fact)
        case _:
            recorded.facts.append(fact)
