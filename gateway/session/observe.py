"""Observation: turns a unit's readings into facts, debounced, and a silence into unknown time. Pure.

Theory of operation. This is a debounce: each cap is in one confirmed condition, and a reading that differs makes a
candidate; only the policy's number of equal polls in a row turns it into a fact (P31). Edges lean towards fewer
minutes: cooling starts at the first reading that shows it and ends at the last, so that every counted minute has a good
reading on both sides. While a candidate is pending, `observed_until_us` stays at the last reading that agreed with the
confirmed condition: an increment cannot be attained on the strength of a reading that may yet turn out to be the stop.

A silence longer than `max_gap_us` makes the time since the last good reading unknown (P15), by the stamps of the
readings and not by when they were recorded. If no poll was made in it, it is the gateway's and says so. It is proven
only when every cap's own counters account for the whole of it: same treatment, elapsed seconds risen by the length of
the silence while cooling, or not at all while not.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from drivers.reading import CapReading, Evidence, ReadFault, Reading, RunState, Stamp
from gateway.session.facts import (
    AnyFact,
    CapRef,
    Continuity,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopped,
    ObservedUntil,
    TreatmentMark,
    UnitOffline,
    UnitOnline,
)

COUNTER_TOLERANCE_S = 2  # the unit's counter has whole seconds, and so has each end of the silence


class CapCondition(StrEnum):
    """What a cap is doing, as far as counting needs to know."""

    STOPPED = "stopped"
    COOLING = "cooling"
    PAUSED = "paused"
    FAULT = "fault"  # counts as a pause (P14)


class ObserveRules(msgspec.Struct, frozen=True):
    """The debounce and gap settings for one unit."""

    confirm_polls: int  # equal polls in a row that make a change (P31)
    max_gap_us: int  # a longer silence is unknown time
    evidence: Evidence


class CapState(msgspec.Struct, frozen=True):
    """One cap as confirmed, and the change that may be under way."""

    condition: CapCondition = CapCondition.STOPPED
    agreed_us: int = 0  # the last reading that agreed with `condition`, UTC
    candidate: CapCondition | None = None
    candidate_us: int = 0  # the first reading of the candidate
    candidate_polls: int = 0
    mark: TreatmentMark | None = None


class UnitState(msgspec.Struct, frozen=True):
    """The confirmed state of one unit's caps."""

    caps: tuple[CapState, ...]
    last_good: Stamp | None = None
    offline: bool = False
    missed: bool = False  # a poll since the last good reading brought nothing that counting may use


class Observation(msgspec.Struct, frozen=True):
    """The result of one poll. `observed_until_us` is None if counting may not use it."""

    state: UnitState
    facts: tuple[AnyFact, ...] = ()
    observed_until_us: int | None = None


def observe(state: UnitState, reading: Reading, rules: ObserveRules) -> Observation:
    """Apply one reading to `state`. A reading without usable circulation counts as silence."""
    conditions = [_condition(cap) for cap in reading.caps]
    if rules.evidence is Evidence.NONE or None in conditions:
        return _silent(state, reading.unit, reading.observed_at, "circulation unknown", rules)
    at = reading.observed_at
    facts: list[AnyFact] = []
    caps = _as_many(state.caps, len(reading.caps))
    if caps is None:
        return _silent(state, reading.unit, at, "fewer caps than before", rules)
    state = msgspec.structs.replace(state, caps=caps)
    if state.last_good is not None and at.boot_us - state.last_good.boot_us > rules.max_gap_us:
        # Without a poll in vain it was not asked: its line, the event loop or the disk held the gateway up.
        facts += _silence_facts(state, reading, "silence" if state.missed else "gateway")
        caps = tuple(msgspec.structs.replace(cap, candidate=None) for cap in caps)
    known: list[CapState] = []
    for cap_before, cap, condition in zip(caps, reading.caps, conditions, strict=True):
        if condition is not None:
            cap_after, change = _advance(cap_before, reading, cap, condition, rules)
            known.append(cap_after)
            facts += change
    until_us = min(at.utc_us if cap.candidate is None else cap.agreed_us for cap in known)
    return Observation(UnitState(tuple(known), at), tuple(facts), until_us)


def observe_fault(state: UnitState, fault: ReadFault, rules: ObserveRules) -> Observation:
    """A poll without a reading: after the longest gap the unit is offline from its last good reading on."""
    return _silent(state, fault.unit, fault.at, fault.kind, rules)


def marks(state: UnitState) -> tuple[TreatmentMark, ...]:
    """The caps' own counters at the last good reading."""
    return tuple(cap.mark for cap in state.caps if cap.mark is not None)


def restore(facts: Iterable[AnyFact], device: str, caps: int, now: Stamp) -> UnitState:
    """The state that the recorded facts leave; the time since is a silence that ends with the next reading."""
    conditions = [CapCondition.STOPPED] * caps
    agreed_us = [0] * caps
    counters: dict[int, TreatmentMark] = {}
    last_us = 0
    offline = False
    for fact in sorted(facts, key=lambda fact: fact.at_us):
        match fact:
            case CoolingStarted() | CoolingResumed() if fact.cap.device == device:
                conditions[fact.cap.channel - 1] = CapCondition.COOLING
            case CoolingPaused() if fact.cap.device == device:
                conditions[fact.cap.channel - 1] = CapCondition.PAUSED
            case CoolingStopped() if fact.cap.device == device:
                conditions[fact.cap.channel - 1] = CapCondition.STOPPED
            case ObservedUntil() if fact.device == device:
                counters = {mark.channel: mark for mark in fact.marks}
                agreed_us = [fact.at_us] * caps
            case UnitOffline() if fact.device == device:
                offline = True
            case UnitOnline() if fact.device == device:
                offline = False
            case _:
                continue
        last_us = max(last_us, fact.at_us)
    if last_us == 0:
        return UnitState(tuple(CapState() for _ in range(caps)))
    unit_caps = tuple(
        CapState(condition=condition, agreed_us=max(agreed, last_us), mark=counters.get(channel))
        for channel, (condition, agreed) in enumerate(zip(conditions, agreed_us, strict=True), start=1)
    )
    return UnitState(unit_caps, Stamp(last_us, now.boot_us - (now.utc_us - last_us)), offline, missed=True)


def _as_many(caps: tuple[CapState, ...], count: int) -> tuple[CapState, ...] | None:
    """The states of `count` caps; None if the unit no longer reports one that was busy."""
    if any(cap.condition is not CapCondition.STOPPED for cap in caps[count:]):
        return None
    return caps[:count] + (CapState(),) * (count - len(caps))


def _condition(cap: CapReading) -> CapCondition | None:
    if cap.circulating is None or cap.run_state is RunState.UNKNOWN:
        return None
    match cap.run_state:
        case RunState.FAULT:
            return CapCondition.FAULT
        case RunState.STOPPED:
            return CapCondition.STOPPED
        case RunState.PAUSED:
            return CapCondition.PAUSED
        case RunState.RUNNING | RunState.READY:
            if cap.connected is False:
                return CapCondition.PAUSED
            return CapCondition.COOLING if cap.circulating else CapCondition.STOPPED


def _advance(
    state: CapState, reading: Reading, cap: CapReading, condition: CapCondition, rules: ObserveRules
) -> tuple[CapState, list[AnyFact]]:
    at_us = reading.observed_at.utc_us
    if state.condition is CapCondition.STOPPED and condition is not CapCondition.COOLING:
        condition = CapCondition.STOPPED  # a pause or fault of a cap that does not cool changes nothing
    mark = None
    if cap.treatment is not None and cap.elapsed_s is not None:
        mark = TreatmentMark(cap.cap, cap.treatment, cap.elapsed_s)
    if condition is state.condition:
        return CapState(condition, at_us, mark=mark), []
    first_us, polls = (state.candidate_us, state.candidate_polls + 1) if condition is state.candidate else (at_us, 1)
    if polls < rules.confirm_polls:
        return CapState(state.condition, state.agreed_us, condition, first_us, polls, mark), []
    change = _change(state, condition, CapRef(reading.unit, cap.cap), first_us, at_us, reading, rules)
    return CapState(condition, at_us, mark=mark), change


def _change(
    state: CapState,
    to: CapCondition,
    cap: CapRef,
    first_us: int,
    known_at_us: int,
    reading: Reading,
    rules: ObserveRules,
) -> list[AnyFact]:
    """The fact of one confirmed change; none where counting sees no difference (a pause that becomes a fault)."""
    match state.condition, to:
        case CapCondition.STOPPED, CapCondition.COOLING:
            return [
                CoolingStarted(
                    at_us=first_us,
                    known_at_us=known_at_us,
                    cap=cap,
                    evidence=rules.evidence,
                    serial_number=reading.serial_number or "",
                )
            ]
        case ((CapCondition.PAUSED | CapCondition.FAULT), CapCondition.COOLING):
            return [CoolingResumed(at_us=first_us, known_at_us=known_at_us, cap=cap)]
        case _, CapCondition.STOPPED:
            return [CoolingStopped(at_us=state.agreed_us, known_at_us=known_at_us, cap=cap)]
        case CapCondition.COOLING, (CapCondition.PAUSED | CapCondition.FAULT):
            reason = "fault" if to is CapCondition.FAULT else "disconnected"
            return [CoolingPaused(at_us=state.agreed_us, known_at_us=known_at_us, cap=cap, reason=reason)]
        case _:
            return []


def _silent(state: UnitState, unit: str, at: Stamp, reason: str, rules: ObserveRules) -> Observation:
    state = msgspec.structs.replace(state, missed=True)
    if state.last_good is None or state.offline or at.boot_us - state.last_good.boot_us <= rules.max_gap_us:
        return Observation(state)
    if all(cap.condition is CapCondition.STOPPED for cap in state.caps):
        return Observation(state)
    offline = UnitOffline(at_us=state.last_good.utc_us, known_at_us=at.utc_us, device=unit, reason=reason)
    return Observation(msgspec.structs.replace(state, offline=True), (offline,))


def _silence_facts(state: UnitState, reading: Reading, reason: str) -> list[AnyFact]:
    """Both ends of a silence that is over; its beginning may have been recorded before."""
    if state.last_good is None or all(cap.condition is CapCondition.STOPPED for cap in state.caps):
        return []
    at = reading.observed_at
    facts: list[AnyFact] = []
    if not state.offline:
        facts.append(
            UnitOffline(at_us=state.last_good.utc_us, known_at_us=at.utc_us, device=reading.unit, reason=reason)
        )
    silence_s = (at.boot_us - state.last_good.boot_us) / 1e6
    proven = all(_accounts_for(before, cap, silence_s) for before, cap in zip(state.caps, reading.caps, strict=True))
    continuity = Continuity.PROVEN if proven else Continuity.UNPROVEN
    facts.append(UnitOnline(at_us=at.utc_us, known_at_us=at.utc_us, device=reading.unit, continuity=continuity))
    return facts


def _accounts_for(before: CapState, cap: CapReading, silence_s: float) -> bool:
    """Whether the cap's own counters prove that its condition lasted through the silence."""
    if before.condition is CapCondition.STOPPED and _condition(cap) is CapCondition.STOPPED:
        return True
    if before.mark is None or cap.treatment != before.mark.treatment or cap.elapsed_s is None:
        return False
    if _condition(cap) is not before.condition:
        return False
    cooled_s = cap.elapsed_s - before.mark.elapsed_s
    expected_s = silence_s if before.condition is CapCondition.COOLING else 0.0
    return abs(cooled_s - expected_s) <= COUNTER_TOLERANCE_S
