"""The recorded transactions fed through a fresh state, as the gateway's own state took them.

Theory of operation. The state is a pure function of what it is told, and what it was told is in the ledger: facts, the
tokens that were drawn, and how far each unit was observed whenever something was told. A session that can change no
more is forgotten by the state; it is handed out first, as it stood.
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

Said = tuple[str, Change | Charge]  # session token, and what was said of it


class Learned(msgspec.Struct):
    """What one transaction told the state, and what it says that the state said; numbers are those of entries."""

    facts: list[AnyFact]
    observed: list[ObservedUntil]
    opened: list[SessionOpened]
    said: list[tuple[int, Said]]
    unreadable: list[tuple[int, str]]


class Recounted(msgspec.Struct, frozen=True):
    """A session as the facts give it; `facts` is empty for a token that another one replaced."""

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
        """What the same facts amount to under another policy."""
        facts = () if self.replaced_by else self.session.facts
        return assess_observed(facts, policy, self.observed, self.until_us)


class Rerun:
    """Takes transactions in order."""

    def __init__(self) -> None:
        self._state = TrackerState(_NO_POLICY)
        self._observed: dict[str, int] = {}
        self._opened: dict[str, SessionOpened] = {}
        self._forgot_us = 0
        self._last_us = 0

    def take(self, learned: Learned, now_us: int) -> Step:
        """What the state says to one transaction. Forged facts may make it raise anything."""
        self._observed.update({fact.device: fact.at_us for fact in learned.observed})
        self._opened.update({fact.token: fact for fact in learned.opened})
        state = self._state
        if learned.opened:
            state = msgspec.structs.replace(state, policy_text=learned.opened[0].policy)
        tokens = iter([fact.token for fact in learned.opened])
        # A token that was not recorded is given a name that no token can have.
        unrecorded = (f"unrecorded-{now_us}-{number}" for number in range(1 << 30))
        self._state, step = advance(
            state, learned.facts, self._observed, now_us, lambda: next(tokens, "") or next(unrecorded)
        )
        self._last_us = now_us
        return step

    def leaving(self, now_us: int) -> Iterator[Recounted]:
        """The sessions that can change no more by `now_us`, each once; the state forgets them."""
        if now_us - self._forgot_us < _HOUR_US:
            return
        yield from self._look(
            [token for token, record in self._state.records.items() if not self._state.keeps(record, now_us)]
        )
        self._state, self._forgot_us = prune(self._state, now_us), now_us

    def remaining(self) -> Iterator[Recounted]:
        """The sessions that were not handed out."""
        yield from self._look(list(self._state.records))

    def _look(self, tokens: Iterable[str]) -> Iterator[Recounted]:
        for token in tokens:
            found = inspect(self._state, token, self._observed, self._last_us)
            if found is not None and token in self._opened:
                yield Recounted(self._opened.pop(token), *found, dict(self._observed), self._last_us)


def read(transaction: Sequence[RawEntry]) -> Learned:
    """What the entries of one transaction tell the state."""
    learned = Learned([], [], [], [], [])
    for entry in transaction:
        try:
            match entry.kind:
                case EntryKind.FACT:
                    _sort(decode_fact(entry.body), learned)
                case EntryKind.INCREMENT:
                    learned.said.append((entry.seq, (entry.session, change_of(entry.body))))
                case EntryKind.CHARGE:
                    learned.said.append((entry.seq, (entry.session, charge_of(entry.body))))
                case _:
                    pass
        except msgspec.DecodeError as error:
            learned.unreadable.append((entry.seq, f"the body of this {entry.kind} cannot be read: {error}"))
    return learned


def _sort(fact: AnyFact, learned: Learned) -> None:
    match fact:
        case ObservedUntil():
            learned.observed.append(fact)
        case SessionOpened():
            learned.opened.append(fact)
        case _:
            learned.facts.append(fact)
