"""Facts of a case as a running gateway meets them: each when it was learned, every unit observed in between."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import Enum, StrEnum

import msgspec

from gateway.session.charges import Charge
from gateway.session.facts import AnyFact, SessionOpened
from gateway.session.increments import Change
from gateway.session.outcome import Published, SessionRecord
from gateway.session.policies import policies_of
from gateway.session.policy import Policy
from gateway.session.related import Anchor, gather, last_seen
from gateway.session.state import (
    MEMORY_US,
    ReadBack,
    Step,
    TrackerState,
    advance,
    begin,
    lacking,
    prune,
    record_of,
    with_read_back,
)

ALL_UNITS = 1 << 60
FORGOTTEN_US = 1 << 61  # nothing happened so late: all is to be read back


class Memory(StrEnum):
    """What the gateway does between two inputs."""

    KEEPS = "running on"
    RESTARTS = "restarted at every step"
    PRUNES = "pruned at every step"
    FORGETS = "all read back at every step"


class Watched(Mapping[str, int]):
    """Every unit, observed as far as `until_us`."""

    def __init__(self, until_us: int) -> None:
        self.until_us = until_us

    def __getitem__(self, unit: str) -> int:
        return self.until_us

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class Live:
    """A state, its ledger, and who drives it."""

    def __init__(self, policy: Policy, memory: Memory = Memory.KEEPS) -> None:
        self.state = TrackerState(policies_of([policy_text(policy)]))
        self.facts: list[AnyFact] = []
        self.changes: list[tuple[str, Change]] = []
        self.published: list[tuple[str, Published]] = []
        self.charges: list[tuple[str, Charge]] = []
        self.records: dict[str, SessionRecord] = {}
        self._memory = memory
        self._tokens = itertools.count(1)

    def learn(self, facts: Sequence[AnyFact], now_us: int) -> Step:
        """Learn facts at an instant, every unit being observed up to it."""
        observed = Watched(now_us)
        if missing := lacking(self.state, facts, observed, now_us):
            self.state = with_read_back(self.state, self._read_back(missing, facts))
        self.state, step = advance(self.state, facts, observed, now_us, lambda: f"T{next(self._tokens):08d}")
        self.facts += step.facts
        self.records.update({each.token: each for each in step.records})
        for outcome in step.outcomes:
            self.changes += [(outcome.record.token, change) for change in outcome.changes]
            if outcome.happened and outcome.record.published is not None:
                self.published.append((outcome.record.token, outcome.record.published))
            self.charges += [(outcome.record.token, charge) for charge in outcome.release.charges]
        match self._memory:
            case Memory.KEEPS:
                pass
            case Memory.RESTARTS:
                self.restart(now_us)
            case Memory.PRUNES:
                self.state = prune(self.state, now_us)
            case Memory.FORGETS:
                undone = [each for each in self.state.records.values() if not each.done]
                self.state = begin(self.state.policies, (), undone, FORGOTTEN_US)
        return step

    def restart(self, now_us: int, policy: Policy | None = None) -> None:
        """Begin anew with what the ledger has, perhaps under another policy."""
        policies = self.state.policies if policy is None else policies_of([policy_text(policy)])
        whole_from_us = now_us - MEMORY_US
        recorded = begin(policies, self.facts, (), 0).facts
        recent = dict.fromkeys(fact for fact in self.facts if fact.known_at_us >= whole_from_us)
        recent.update(dict.fromkeys(last_seen(recorded, recorded.by_key)))
        lately = {fact.token for fact in recent if isinstance(fact, SessionOpened)}
        kept = [self._recorded(each.token) for each in self.records.values() if not each.done or each.token in lately]
        self.state = begin(policies, recent, kept, whole_from_us)

    def whole_state(self) -> TrackerState:
        """The state of a gateway that has read back everything."""
        return begin(self.state.policies, self.facts, self.records.values(), 0)

    def observe_until(self, until_us: int) -> None:
        """Let readings go on to just before `until_us`, stopping wherever something is due."""
        while (agenda := self.state.sessions.agenda) and agenda[0][0] < until_us:
            self.learn((), agenda[0][0])

    def play(self, facts: Sequence[AnyFact]) -> None:
        """All facts, each when it was learned, and what readings bring up to the last instant they name."""
        for now_us, group in itertools.groupby(sorted(facts, key=_known), key=_known):
            self.observe_until(now_us)
            self.learn(list(group), now_us)

    def log_of(self, patient: str) -> list[Change]:
        """What was published of a patient's increments, in order."""
        return [change for token, change in self.changes if self.records[token].patient == patient]

    def _read_back(self, missing: Sequence[Anchor], learned: Sequence[AnyFact]) -> ReadBack:
        recorded = begin(self.state.policies, self.facts, (), 0)
        facts, whole = gather(recorded.facts, missing, learned, self.state.policies.longest_idle_us)
        tokens = [fact.token for fact in facts if isinstance(fact, SessionOpened)]
        return ReadBack(facts, tuple(map(self._recorded, tokens)), whole)

    def _recorded(self, token: str) -> SessionRecord:
        opened = next(fact for fact in self.facts if isinstance(fact, SessionOpened) and fact.token == token)
        made = record_of(
            opened,
            [change for of, change in self.changes if of == token],
            next((each for of, each in reversed(self.published) if of == token), None),
            [charge for of, charge in self.charges if of == token],
        )
        now = self.records[token]
        made = msgspec.structs.replace(
            made, units=now.units, watched=now.watched, due_us=now.due_us, wake_us=now.wake_us
        )
        differing = [name for name in made.__struct_fields__ if getattr(made, name) != getattr(now, name)]
        assert differing == [], "the ledger's record of a session differs from memory's"
        return made


def policy_text(policy: Policy) -> str:
    """The policy as its file would have it."""
    lines: list[str] = []
    for name in Policy.__struct_fields__:
        match getattr(policy, name):
            case None:
                continue
            case date() as day:
                lines.append(f"{name} = {day.isoformat()}")
            case value:
                lines.append(f"{name} = {json.dumps(value.value if isinstance(value, Enum) else value)}")
    return "\n".join(lines)


def _known(fact: AnyFact) -> int:
    return fact.known_at_us
