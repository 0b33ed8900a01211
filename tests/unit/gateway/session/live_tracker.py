"""Facts of a case as a running gateway meets them: each when it was learned, every unit observed in between."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import Enum

from gateway.session.charges import Charge
from gateway.session.facts import AnyFact
from gateway.session.increments import Change
from gateway.session.outcome import Published
from gateway.session.policy import Policy
from gateway.session.state import Step, TrackerState, advance, prune, rebuild

ALL_UNITS = 1 << 60


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

    def __init__(self, policy: Policy, *, restarts: bool = False) -> None:
        self.state = TrackerState(policy_text(policy))
        self.facts: list[AnyFact] = []
        self.changes: list[tuple[str, Change]] = []
        self.tellings: list[tuple[str, Published]] = []
        self.charges: list[tuple[str, Charge]] = []
        self._restarts = restarts
        self._tokens = itertools.count(1)

    def learn(self, facts: Sequence[AnyFact], now_us: int) -> Step:
        """Learn facts at an instant, every unit being observed up to it."""
        step = self._advance(facts, now_us)
        if self._restarts:
            before = prune(self.state, now_us).records
            self.state = rebuild(self.state.policy_text, self.facts, self.changes, self.tellings, self.charges)
            again = self._advance((), now_us, everything=True)
            if again.facts or again.outcomes:
                raise AssertionError(f"a restart told something: {again}")
            if (after := prune(self.state, now_us).records) != before:
                raise AssertionError(f"a restart changed what is known: {before} became {after}")
        return step

    def observe_until(self, until_us: int) -> None:
        """Let readings go on to just before `until_us`, stopping wherever something is due."""
        while (due_us := min([self.state.wake_us, *self.state.due_us().values()])) < until_us:
            self.learn((), due_us)

    def play(self, facts: Sequence[AnyFact]) -> None:
        """All facts, each when it was learned, and what readings bring up to the last instant they name."""
        for now_us, group in itertools.groupby(sorted(facts, key=_known), key=_known):
            self.observe_until(now_us)
            self.learn(list(group), now_us)

    def log_of(self, patient: str) -> list[Change]:
        """What was told of a patient's increments, in order."""
        return [change for token, change in self.changes if self.state.records[token].patient == patient]

    def _advance(self, facts: Sequence[AnyFact], now_us: int, *, everything: bool = False) -> Step:
        self.state, step = advance(
            self.state, facts, Watched(now_us), now_us, lambda: f"T{next(self._tokens):08d}", everything=everything
        )
        self.facts += step.facts
        for outcome in step.outcomes:
            self.changes += [(outcome.record.token, change) for change in outcome.changes]
            if outcome.happened and outcome.record.published is not None:
                self.tellings.append((outcome.record.token, outcome.record.published))
            self.charges += [(outcome.record.token, charge) for charge in outcome.release.charges]
        return step


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
