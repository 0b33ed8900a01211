"""The debounce state of every unit between polls.

It applies `gateway.session.observe` to the polls in their order, with each unit's configuration. After a restart the
state is restored from the recorded facts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from drivers.reading import ReadFault, Reading, RunState, Stamp
from gateway.config.lines import UnitSpec
from gateway.config.load import GatewayConfig
from gateway.recording.recorder import RunStateChange
from gateway.runtime.clock import US_PER_S
from gateway.session.facts import AnyFact, CapRef, ObservedUntil, UnitOffline, UnitOnline, UnitsObserved
from gateway.session.marks import combined
from gateway.session.observe import (
    CapCondition,
    ObserveRules,
    UnitState,
    observe,
    observe_fault,
    observed_until,
    restore,
)

DEFAULT_GAP_POLLS = 3

_RUN_STATES = {
    CapCondition.STOPPED: RunState.STOPPED,
    CapCondition.COOLING: RunState.RUNNING,
    CapCondition.PAUSED: RunState.PAUSED,
    CapCondition.FAULT: RunState.FAULT,
}


class Observed(msgspec.Struct, frozen=True):
    """The result of one poll: the unit's next state, and the facts that follow."""

    unit: str
    seen: UnitState  # after the poll
    facts: tuple[AnyFact, ...]
    until_us: int | None  # the unit is observed until here, UTC; None: the poll gave nothing that counting may use
    run_states: tuple[RunStateChange, ...]  # confirmed by the facts


class _Unit(msgspec.Struct):
    spec: UnitSpec
    seen: UnitState


class Observing:
    """The observation state of every unit of a gateway."""

    def __init__(
        self, config: GatewayConfig, facts: Iterable[AnyFact], observed: Iterable[ObservedUntil], now: Stamp
    ) -> None:
        until = {fact.device: fact for fact in observed}
        of_units: dict[str, list[AnyFact]] = {unit: [fact] for unit, fact in until.items()}
        for fact in facts:
            for kind, name in fact.concerns:
                if kind in ("unit", "cap"):
                    of_units.setdefault(name.rpartition("/")[0] if kind == "cap" else name, []).append(fact)
        self._policies = config.policies
        self._confirm_polls = config.confirm_polls
        self._units = {
            unit.id: _Unit(unit, restore(of_units.get(unit.id, ()), unit.id, unit.profile.caps, now))
            for unit in config.units
        }
        self._until_us = {unit: fact.at_us for unit, fact in until.items()}
        self._gone = {unit for unit, about in of_units.items() if unit not in self._units and not _is_offline(about)}

    @property
    def until_us(self) -> Mapping[str, int]:
        """By unit, the instant until which it is observed by good readings, UTC; removed units are kept."""
        return self._until_us

    def observe(self, answer: Reading | ReadFault) -> Observed:
        """The result of a poll, which changes no state yet: `take` does."""
        unit = self._units[answer.unit]
        before = unit.seen
        match answer:
            case Reading():
                observation = observe(before, answer, self._rules(unit.spec, answer.observed_at))
            case ReadFault():
                observation = observe_fault(before, answer, self._rules(unit.spec, answer.at))
        changes = _run_state_changes(answer.unit, before, observation.state, observation.facts)
        return Observed(
            answer.unit, observation.state, observation.facts, observation.observed_until_us, tuple(changes)
        )

    def take(self, observed: Observed) -> None:
        """Set the unit's state to the result of its last poll."""
        self._units[observed.unit].seen = observed.seen
        if observed.until_us is not None:
            self._until_us[observed.unit] = observed.until_us

    def gone(self, units: Iterable[str], known_at_us: int) -> tuple[UnitOffline, ...]:
        """The silences of those of `units` that the configuration no longer has, each from its last good reading on."""
        return tuple(
            UnitOffline(
                device=unit,
                at_us=self._until_us.get(unit, known_at_us),
                known_at_us=known_at_us,
                reason="not-configured",
            )
            for unit in sorted(self._gone.intersection(units))
        )

    def facts(self, units: frozenset[str] | set[str], known_at_us: int) -> tuple[UnitsObserved, ...]:
        """How far each of `units` is observed, as facts, with the caps' counters that may prove a following silence."""
        return combined(self._until(unit, known_at_us) for unit in sorted(units & self._until_us.keys()))

    def _rules(self, unit: UnitSpec, at: Stamp) -> ObserveRules:
        gap_s = self._policies.at(at.utc_us).max_gap_s or DEFAULT_GAP_POLLS * unit.poll_period_s
        return ObserveRules(self._confirm_polls, round(gap_s * US_PER_S), unit.profile.evidence)

    def _until(self, unit: str, known_at_us: int) -> ObservedUntil:
        seen = self._units[unit].seen if unit in self._units else UnitState(())
        return observed_until(seen, unit, self._until_us[unit], known_at_us)


def _is_offline(facts: Iterable[AnyFact]) -> bool:
    """Whether the facts of a unit leave it out of sight."""
    seen = [fact for fact in facts if isinstance(fact, UnitOffline | UnitOnline)]
    return bool(seen) and isinstance(max(seen, key=lambda fact: (fact.at_us, fact.known_at_us)), UnitOffline)


def _run_state_changes(
    unit: str, before: UnitState, now: UnitState, facts: Sequence[AnyFact]
) -> Iterator[RunStateChange]:
    """Each cap's change of confirmed run state, as of the last of `facts`."""
    if not facts:
        return
    at_us = max(fact.at_us for fact in facts)
    for channel, cap in enumerate(now.caps, start=1):
        was = before.caps[channel - 1] if channel <= len(before.caps) else cap
        old = RunState.UNKNOWN if before.offline else _RUN_STATES[was.condition]
        new = RunState.UNKNOWN if now.offline else _RUN_STATES[cap.condition]
        if old is not new:
            yield RunStateChange(CapRef(unit, channel), old, new, at_us)
