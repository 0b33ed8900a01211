"""Observation: debounces a unit's readings into facts, and turns gaps between readings into unknown time. Pure.

Theory of operation. This is a debounce: each cap is in one confirmed condition, and a reading that differs makes a
candidate; only the policy's number of equal polls in a row turns it into a fact (P31). Edges are placed so that fewer
minutes count: cooling starts at the first reading that shows it and ends at the last, so that every counted minute has
a good reading on both sides. While a candidate is pending, `observed_until_us` stays at the last reading that agreed
with the confirmed condition: no increment can be attained by a reading that may turn out to be the stop.

A silence is a time without a good reading. If it is longer than `max_gap_us`, by the stamps of the readings, the time
since the last good reading is unknown (P15), or since the one before a change that the silence left unconfirmed. If no
poll was made in it, its cause is the gateway, and its reason says so. A cap's own counters may prove what the cap did
in it: same treatment, and elapsed seconds that rose while it was cooling or did not rise while it was paused. They are
compared with those of the last reading that agreed, by the boot clock.

Of the time that passed and the counter's rise, the smaller one counts. A rise smaller by no more than
`counter_tolerance_us` agrees. So that many small losses are not overlooked, the counters are also compared with those
at the beginning of the run, or at the last loss. When a loss within a silence happened is not known; it is put where it
leaves the fewest minutes, at the end of the silence or, if cooling ended within it, before that end (cooling.py).

Counters of another treatment prove that the cap stopped in the silence and was started again, perhaps for the next
patient: a stop at the last reading that agreed, and a start when the new counter began. Whether that is a pause, the
end of the count or another session, the policy says of it as of any other stop (P12, P24).

A change that was seen and not confirmed is no fact. But if the counters then show that cooling was interrupted, or are
those of another treatment, the loss is recorded as a pause that ends with this reading, with reason UNCONFIRMED. So is
the time since the change was seen where it ended a silence: no counters and no reading before it prove that time.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from drivers.reading import CapReading, Evidence, ReadFault, Reading, RunState, Stamp
from gateway.session.cooling import UNCONFIRMED
from gateway.session.facts import (
    AnyFact,
    CapLoss,
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

_COUNTER_STEP_US = 1_000_000  # resolution of the unit's counter, so the error of each of its readings
_COUNTER_PPM = 200  # largest rate difference between the unit's clock and the gateway's


class CapCondition(StrEnum):
    """The condition of a cap, as far as counting needs to know."""

    STOPPED = "stopped"
    COOLING = "cooling"
    PAUSED = "paused"
    FAULT = "fault"  # counts as a pause (P14)


class ObserveRules(msgspec.Struct, frozen=True):
    """The debounce and gap settings for one unit."""

    confirm_polls: int  # equal polls in a row that make a change (P31)
    max_gap_us: int  # a longer silence is unknown time
    evidence: Evidence


class Counters(msgspec.Struct, frozen=True):
    """A cap's own counters as they were read."""

    at: Stamp
    treatment: int
    elapsed_s: int


class CapState(msgspec.Struct, frozen=True):
    """One cap's confirmed condition, and the candidate for a change."""

    condition: CapCondition = CapCondition.STOPPED
    agreed_us: int = 0  # the last reading that agreed with `condition`, UTC
    candidate: CapCondition | None = None
    candidate_us: int = 0  # the first reading of the candidate
    candidate_polls: int = 0
    mark: Counters | None = None  # at the last reading that agreed
    base: Counters | None = None  # at the beginning of this run, or at the last loss
    silent: Counters | None = None  # after a silence, until a reading agrees: as `mark` was before it


class UnitState(msgspec.Struct, frozen=True):
    """The confirmed state of one unit's caps."""

    caps: tuple[CapState, ...]
    last_good: Stamp | None = None
    offline: bool = False
    missed: bool = False  # a poll since the last good reading gave nothing that counting may use


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
        # Without a failed poll the unit was not polled: its line, the event loop or the disk delayed the gateway.
        reason = "silence" if state.missed else "gateway"
        ends, caps = _after_silence(state, state.last_good, reading, reason, rules)
        facts += ends
    known: list[CapState] = []
    for cap_before, cap, condition in zip(caps, reading.caps, conditions, strict=True):
        if condition is not None:
            cap_after, change = _advance(cap_before, reading, cap, condition, rules)
            known.append(cap_after)
            facts += change
    until_us = min(at.utc_us if cap.candidate is None else cap.agreed_us for cap in known)
    return Observation(UnitState(tuple(known), at), tuple(facts), until_us)


def observe_fault(state: UnitState, fault: ReadFault, rules: ObserveRules) -> Observation:
    """A poll without a reading: after `max_gap_us` without a good one, the unit is offline since the last good one."""
    return _silent(state, fault.unit, fault.at, fault.kind, rules)


def marks(state: UnitState, until_us: int) -> tuple[TreatmentMark, ...]:
    """The caps' own counters as last read, for an ObservedUntil fact at `until_us`."""
    return tuple(
        TreatmentMark(channel, mark.treatment, mark.elapsed_s, None if mark.at.utc_us == until_us else mark.at.utc_us)
        for channel, cap in enumerate(state.caps, start=1)
        if (mark := cap.mark or cap.silent) is not None
    )


def observed_until(state: UnitState, unit: str, until_us: int, known_at_us: int) -> ObservedUntil:
    """The ObservedUntil fact of `unit`, with boot clock and the counters that may prove a silence that follows."""
    last = state.last_good
    boot = ("", 0) if last is None or not last.boot else (last.boot, last.boot_us - (last.utc_us - until_us))
    return ObservedUntil(
        at_us=until_us,
        known_at_us=known_at_us,
        device=unit,
        marks=marks(state, until_us),
        boot=boot[0],
        boot_us=boot[1],
    )


def counter_tolerance_us(length_us: int) -> float:
    """How much less than `length_us` a counter may rise without a loss, microseconds."""
    return 2 * _COUNTER_STEP_US + length_us * _COUNTER_PPM / 1e6


def restore(facts: Iterable[AnyFact], device: str, caps: int, now: Stamp) -> UnitState:
    """The state after the recorded facts; the time since then is a silence that ends with the next reading.

    If the recorded instants come from an earlier process of this boot, `now` must continue that process's stamps.
    """
    conditions = [CapCondition.STOPPED] * caps
    agreed_us = [0] * caps
    counters: dict[int, Counters] = {}
    last_us = 0
    offline = False
    for fact in sorted(facts, key=lambda fact: fact.at_us):
        match fact:
            case CoolingStarted() | CoolingResumed() | CoolingPaused() | CoolingStopped() if fact.cap.device == device:
                conditions[fact.cap.channel - 1] = _condition_after(fact)
                agreed_us[fact.cap.channel - 1] = fact.at_us
            case ObservedUntil() if fact.device == device:
                counters = {mark.channel: _counters_of(mark, fact.at_us, now) for mark in fact.marks}
                agreed_us = [max(agreed, fact.at_us) for agreed in agreed_us]
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
        _restored(condition, agreed, counters.get(channel))
        for channel, (condition, agreed) in enumerate(zip(conditions, agreed_us, strict=True), start=1)
    )
    return UnitState(unit_caps, _stamp(last_us, now), offline, missed=True)


def _condition_after(fact: CoolingStarted | CoolingResumed | CoolingPaused | CoolingStopped) -> CapCondition:
    match fact:
        case CoolingStarted() | CoolingResumed():
            return CapCondition.COOLING
        case CoolingPaused():
            return CapCondition.PAUSED
        case CoolingStopped():
            return CapCondition.STOPPED


def _restored(condition: CapCondition, agreed_us: int, mark: Counters | None) -> CapState:
    silent = None if condition is CapCondition.STOPPED else mark
    return CapState(condition, agreed_us, mark=mark, base=mark, silent=silent)


def _stamp(at_us: int, now: Stamp) -> Stamp:
    """A recorded UTC instant as a Stamp of both clocks."""
    return Stamp(at_us, now.boot_us - (now.utc_us - at_us), now.boot)


def _counters_of(mark: TreatmentMark, fact_us: int, now: Stamp) -> Counters:
    return Counters(_stamp(fact_us if mark.at_us is None else mark.at_us, now), mark.treatment, mark.elapsed_s)


def _as_many(caps: tuple[CapState, ...], count: int) -> tuple[CapState, ...] | None:
    """The states of `count` caps; None if the unit no longer reports one that was not stopped."""
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
    ref, counters = CapRef(reading.unit, cap.cap), _counters(cap, reading.observed_at)
    if (began_us := _another_treatment_us(state, condition, counters)) is not None:
        stopped = CoolingStopped(at_us=state.agreed_us, known_at_us=at_us, cap=ref)
        if condition is CapCondition.PAUSED:
            return CapState(agreed_us=at_us), [stopped]
        started = _started(ref, began_us, reading, rules)
        return CapState(condition, at_us, mark=counters, base=counters), [stopped, started]
    if condition is state.condition:
        cooling = condition is CapCondition.COOLING
        lost_us = _lost_unconfirmed_us(state, counters, at_us, rules.max_gap_us) if cooling else 0
        base = counters if lost_us or state.base is None else state.base
        pause = _unconfirmed_pause(ref, at_us, lost_us) if lost_us else []
        return CapState(condition, at_us, mark=counters, base=base), pause
    first_us, polls = (state.candidate_us, state.candidate_polls + 1) if condition is state.candidate else (at_us, 1)
    if polls < rules.confirm_polls:
        return msgspec.structs.replace(state, candidate=condition, candidate_us=first_us, candidate_polls=polls), []
    change = _change(state, condition, ref, first_us, at_us, reading, rules)
    return CapState(condition, at_us, mark=counters, base=counters), change


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
            return [_started(cap, first_us, reading, rules)]
        case ((CapCondition.PAUSED | CapCondition.FAULT), CapCondition.COOLING):
            return [CoolingResumed(at_us=first_us, known_at_us=known_at_us, cap=cap)]
        case _, CapCondition.STOPPED:
            return [CoolingStopped(at_us=state.agreed_us, known_at_us=known_at_us, cap=cap)]
        case CapCondition.COOLING, (CapCondition.PAUSED | CapCondition.FAULT):
            reason = "fault" if to is CapCondition.FAULT else "disconnected"
            return [CoolingPaused(at_us=state.agreed_us, known_at_us=known_at_us, cap=cap, reason=reason)]
        case _:
            return []


def _started(cap: CapRef, at_us: int, reading: Reading, rules: ObserveRules) -> CoolingStarted:
    return CoolingStarted(
        at_us=at_us,
        known_at_us=reading.observed_at.utc_us,
        cap=cap,
        evidence=rules.evidence,
        serial_number=reading.serial_number or "",
    )


def _silent(state: UnitState, unit: str, at: Stamp, reason: str, rules: ObserveRules) -> Observation:
    state = msgspec.structs.replace(state, missed=True)
    if state.last_good is None or state.offline or at.boot_us - state.last_good.boot_us <= rules.max_gap_us:
        return Observation(state)
    if all(cap.condition is CapCondition.STOPPED for cap in state.caps):
        return Observation(state)
    since_us = _sure_us(state, state.last_good, rules.max_gap_us)
    offline = UnitOffline(at_us=since_us, known_at_us=at.utc_us, device=unit, reason=reason)
    return Observation(msgspec.structs.replace(state, offline=True), (offline,))


def _sure_us(state: UnitState, last_good: Stamp, max_gap_us: int) -> int:
    """Until when no change of a cap's cooling is left unconfirmed: not before the silence that a change ended."""
    doubted = (cap for cap in state.caps if cap.candidate is not None and cap.condition is not CapCondition.STOPPED)
    sure = (cap.candidate_us if _ended_silence(cap, max_gap_us) else cap.agreed_us for cap in doubted)
    return min((last_good.utc_us, *sure))


def _ended_silence(cap: CapState, max_gap_us: int) -> bool:
    """Whether the first reading of the candidate was also the first after a silence."""
    return cap.candidate is not None and cap.candidate_us - cap.agreed_us > max_gap_us


def _after_silence(
    state: UnitState, last_good: Stamp, reading: Reading, reason: str, rules: ObserveRules
) -> tuple[list[AnyFact], tuple[CapState, ...]]:
    """The facts of a silence that is over (UnitOffline unless recorded before, UnitOnline), and the caps after it."""
    at = reading.observed_at
    if all(cap.condition is CapCondition.STOPPED for cap in state.caps):
        # A silence that was recorded has an end, though the cooling that it interrupted may be no session's any more.
        over = UnitOnline(at_us=at.utc_us, known_at_us=at.utc_us, device=reading.unit)
        stopped = tuple(msgspec.structs.replace(cap, candidate=None) for cap in state.caps)
        return [over] if state.offline else [], stopped
    facts: list[AnyFact] = []
    since_us = _sure_us(state, last_good, rules.max_gap_us)
    if not state.offline:
        facts.append(UnitOffline(at_us=since_us, known_at_us=at.utc_us, device=reading.unit, reason=reason))
    silence_us = at.boot_us - last_good.boot_us + last_good.utc_us - since_us
    unproven: list[int] = []
    lost: list[CapLoss] = []
    caps: list[CapState] = []
    for before, cap in zip(state.caps, reading.caps, strict=True):
        lost_us = _lost_in_silence_us(before, cap, at)
        if lost_us is None:
            unproven.append(cap.cap)
        elif lost_us:
            lost.append(CapLoss(cap.cap, min(lost_us, silence_us)))
        base = before.base if lost_us == 0 else None
        silent = None if before.condition is CapCondition.STOPPED else before.mark or before.silent
        caps.append(msgspec.structs.replace(before, candidate=None, mark=None, base=base, silent=silent))
    busy = sum(cap.condition is not CapCondition.STOPPED for cap in state.caps)
    facts.append(
        UnitOnline(
            at_us=at.utc_us,
            known_at_us=at.utc_us,
            device=reading.unit,
            continuity=Continuity.UNPROVEN if unproven or lost else Continuity.PROVEN,
            unproven=tuple(unproven) if len(unproven) < busy else (),
            lost=tuple(lost),
        )
    )
    return facts, tuple(caps)


def _lost_in_silence_us(before: CapState, cap: CapReading, at: Stamp) -> int | None:
    """For how long of a silence the cap was not in its former condition, by its counters; None: nothing is proven."""
    if before.condition is CapCondition.STOPPED:
        return 0  # there is nothing to count
    now = _counters(cap, at)
    if _condition(cap) is not before.condition or now is None or before.mark is None:
        return None
    if before.condition is CapCondition.COOLING:
        return _lost_us(before, now)
    passed_us = now.at.boot_us - before.mark.at.boot_us
    shortfall_us = _shortfall_us(before.mark, now)
    stood_still = shortfall_us is not None and passed_us - shortfall_us <= counter_tolerance_us(passed_us)
    return 0 if stood_still else None


def _another_treatment_us(state: CapState, condition: CapCondition, now: Counters | None) -> int | None:
    """When a treatment began that the cap shows after a silence, none of which it showed before; None: no such one."""
    if now is None or state.silent is None or condition not in (CapCondition.COOLING, CapCondition.PAUSED):
        return None
    began_us = now.at.utc_us - now.elapsed_s * _COUNTER_STEP_US  # or before that, if it was paused
    return began_us if _is_another(state.silent, now) and began_us > state.agreed_us else None


def _lost_unconfirmed_us(state: CapState, now: Counters | None, at_us: int, max_gap_us: int) -> int:
    """For how long a change that was seen and not confirmed interrupted cooling, by the counters.

    Without counters to compare with: all the time since the change was seen, if that was after a silence.
    """
    if now is None or state.mark is None:
        return at_us - state.candidate_us if _ended_silence(state, max_gap_us) else 0
    if state.candidate is None and now.treatment == state.mark.treatment:
        return 0
    lost_us = _lost_us(state, now)
    return at_us - state.agreed_us if lost_us is None else lost_us


def _lost_us(state: CapState, now: Counters) -> int | None:
    """For how long a cooling cap did not cool, since `mark` or since `base`; None: another treatment."""
    lost_us = 0
    for since in (state.mark, state.base):
        if since is None:
            continue
        shortfall_us = _shortfall_us(since, now)
        if shortfall_us is None:
            return None
        if shortfall_us > counter_tolerance_us(now.at.boot_us - since.at.boot_us):
            lost_us = max(lost_us, shortfall_us)
    return lost_us


def _shortfall_us(since: Counters, now: Counters) -> int | None:
    """Elapsed time minus the counter's rise, at least 0; None if the counter is another treatment's."""
    if _is_another(since, now):
        return None
    passed_us = now.at.boot_us - since.at.boot_us
    return max(0, passed_us - (now.elapsed_s - since.elapsed_s) * _COUNTER_STEP_US)


def _is_another(since: Counters, now: Counters) -> bool:
    return now.treatment != since.treatment or now.elapsed_s < since.elapsed_s


def _counters(cap: CapReading, at: Stamp) -> Counters | None:
    if cap.treatment is None or cap.elapsed_s is None:
        return None
    return Counters(at, cap.treatment, cap.elapsed_s)


def _unconfirmed_pause(cap: CapRef, at_us: int, lost_us: int) -> list[AnyFact]:
    return [
        CoolingPaused(at_us=at_us - lost_us, known_at_us=at_us, cap=cap, reason=UNCONFIRMED),
        CoolingResumed(at_us=at_us, known_at_us=at_us, cap=cap, reason=UNCONFIRMED),
    ]
