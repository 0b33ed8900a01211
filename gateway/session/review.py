"""Review of a session: the flags that a reviewer is shown, and when it is finalised. Nothing here counts time. Pure."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator

import msgspec

from gateway.session.cooling import UNCONFIRMED, CapTime, Cooling, Run
from gateway.session.counting import Counted, Interval, interruptions
from gateway.session.facts import (
    AnyFact,
    CapRef,
    CapRemoved,
    ClockStepped,
    CoolingPaused,
    CoolingStopCharted,
    DevicePostTimerStarted,
    OrderChecked,
    PatientLeft,
    PatientReassigned,
    SessionFinalized,
    UnitOnline,
)
from gateway.session.flags import Flag
from gateway.session.increments import Increment, net_us
from gateway.session.infusion import Infusions, ended_us
from gateway.session.local_time import local
from gateway.session.policy import Policy
from gateway.session.spans import (
    FOREVER,
    US_PER_MINUTE,
    US_PER_S,
    Span,
    clip,
    intersect,
    length,
    overlapping,
    subtract,
    union,
)

_CHATTER_US = 10 * US_PER_S  # an interruption no longer than this may be noise
_CHATTER_COUNT = 3
_TIMER_TOLERANCE_US = 5 * US_PER_MINUTE  # how far a unit's own countdown may differ from the chart
_CONFLICT_US = US_PER_MINUTE  # a chart is kept in whole minutes


class ReviewContext(msgspec.Struct, frozen=True):
    """One session as assessed up to `until_us`: the input of flags and finalisation."""

    facts: tuple[AnyFact, ...]
    policy: Policy
    infusion: Infusions
    cooling: Cooling
    net: tuple[Span, ...]  # cooling that is net of what interrupts it, before the infusion's end too
    counted: Counted
    intervals: tuple[Interval, ...]  # counted cooling up to until_us
    increments: tuple[Increment, ...]
    next_attainment_us: int | None  # when the next one is due if cooling goes on
    until_us: int

    @property
    def stopped_us(self) -> int | None:
        """The last end of cooling; None while a cap runs or before any did."""
        ends = [run.end_us for run in self.cooling.runs]
        return max(ends) if ends and max(ends) < FOREVER else None

    @property
    def lost_us(self) -> int | None:
        """The last proven cooling if every cap that may still run is offline; otherwise None."""
        running = [cap for cap in self.cooling.caps for run in cap.runs if run.end_us == FOREVER]
        if not running or any(cap.lost_us == FOREVER for cap in running):
            return None
        return max(min(run.end_us, cap.lost_us) for cap in self.cooling.caps for run in cap.runs)


def flags_of(context: ReviewContext, finalised: int | None) -> tuple[Flag, ...]:
    """The session's flags, sorted; `finalised` is its `finalised_us`. If a reassignment took all of its cooling, that
    is the only one.
    """
    flags: set[Flag] = set()
    reassigned = any(isinstance(fact, PatientReassigned) for fact in context.facts)
    if reassigned:
        flags.add(Flag.PATIENT_REASSIGNED)
    if context.cooling.runs or not reassigned:
        flags |= context.infusion.flags
        flags.update(_infusion_flags(context))
        flags.update(_cooling_flags(context))
        flags.update(_interruption_flags(context))
        flags.update(_record_flags(context, finalised))
    return tuple(sorted(flags))


def signed_us(facts: Iterable[AnyFact]) -> int | None:
    """The instant at which a SessionFinalized fact closed the session; None if none did."""
    return min((fact.at_us for fact in facts if isinstance(fact, SessionFinalized)), default=None)


def finalised_us(context: ReviewContext) -> int | None:
    """P21: when it was signed; otherwise when the infusion's end is known, but not before the policy's window ends."""
    signed = signed_us(context.facts)
    stopped_us = context.stopped_us
    if signed is not None or stopped_us is None:
        return signed
    window_us = stopped_us + context.policy.finalise_after_h * 60 * US_PER_MINUTE
    return ended_us(context.facts, context.policy, window_us)


def order_found(facts: Iterable[AnyFact]) -> bool | None:
    """The result of the last check for an order; None if there was none (P30)."""
    checks = [fact for fact in facts if isinstance(fact, OrderChecked)]
    return max(checks, key=lambda fact: (fact.at_us, fact.known_at_us)).found if checks else None


def _ordered_us(facts: Iterable[AnyFact]) -> float | None:
    asked = [fact for fact in facts if isinstance(fact, OrderChecked) and fact.ordered_post_minutes is not None]
    latest = max(asked, key=lambda fact: (fact.at_us, fact.known_at_us), default=None)
    return None if latest is None else (latest.ordered_post_minutes or 0) * US_PER_MINUTE


def _infusion_flags(context: ReviewContext) -> Iterator[Flag]:
    infusion, cooling = context.infusion, context.cooling
    lost = any(_is_lost(cap) for cap in cooling.caps)
    over = context.stopped_us is not None or lost or signed_us(context.facts) is not None
    if over and not infusion.agents:
        yield Flag.INFUSION_MISSING
    if over and infusion.agents and infusion.end_missing:
        yield Flag.INFUSION_END_MISSING  # P19
    end = infusion.end
    if end is not None and end.at_us <= context.until_us and not context.counted.continuity.continued:
        yield Flag.COOLING_NOT_RUNNING_AT_INFUSION_END  # P11
    if cooling.runs and infusion.first_agent_us is not None and infusion.first_agent_us < cooling.runs[0].start_us:
        yield Flag.NO_PRECOOLING_BEFORE_INFUSION
    if context.stopped_us is not None and infusion.late_report_us > _stop_known_us(cooling.runs):
        yield Flag.LATE_ENTRY
    timers = [fact.at_us for fact in context.facts if isinstance(fact, DevicePostTimerStarted)]
    if any(end is None or abs(at_us - end.at_us) > _TIMER_TOLERANCE_US for at_us in timers):
        yield Flag.DEVICE_TIMER_HINT  # P19


def _cooling_flags(context: ReviewContext) -> Iterator[Flag]:
    cooling = context.cooling
    if context.counted.continuity.restarted:
        yield Flag.POST_INFUSION_RESTART  # P12
    if len({run.cap.device for run in cooling.runs}) > 1:
        yield Flag.TWO_DEVICES  # P23
    if any(run.implicit for run in cooling.runs):
        yield Flag.IMPLICIT_STOP  # P24
    if cooling.left_while_cooling:
        yield Flag.LEFT_FACILITY_WHILE_COOLING  # P28
    if cooling.removed_while_running:
        yield Flag.STOP_AFTER_REMOVAL
    if _stops_conflict(context):
        yield Flag.STOP_CONFLICT  # P13
    if any(_is_lost(cap) for cap in cooling.caps):
        yield Flag.UNIT_LOST  # P15
    caps = {cap.cap for cap in cooling.caps}
    if any(_shows_loss(fact, caps) for fact in context.facts):
        yield Flag.COUNTER_SHOWS_LOSS  # P15, P31
    if any(_interruption_count(cap) >= _CHATTER_COUNT for cap in cooling.caps):
        yield Flag.STATE_CHATTER  # P31


def _interruption_flags(context: ReviewContext) -> Iterator[Flag]:
    """Flags for interruptions of post-infusion cooling."""
    cooling, counted = context.cooling, context.counted
    start_us, end_us = counted.window
    end_us = min(end_us, context.until_us)
    for cap in cooling.caps:
        others = [span for other in cooling.caps if other is not cap for span in other.net_spans]
        running = clip(subtract(cap.running_spans, others), start_us, end_us)
        if intersect(cap.faults, running):
            yield Flag.FAULT_DURING_POST_INFUSION  # P14
        if intersect(cap.unproven, running):
            yield Flag.UNOBSERVED_GAP  # P15
    unknown = union(span for cap in cooling.caps for span in cap.unknown)
    unresumed = {pause.end_us for cap in cooling.caps for pause in cap.pauses if not pause.resumed}
    tolerance_us = context.policy.pause_tolerance_s * US_PER_S
    for gap in interruptions(cooling, counted, context.until_us):
        if gap[1] == counted.window[1]:
            if gap[1] in unresumed:
                yield Flag.PAUSED_UNTIL_STOP
        elif gap[1] - gap[0] > tolerance_us and length(subtract([gap], overlapping(unknown, *gap))) > tolerance_us:
            yield Flag.PAUSE_EXCEEDED_TOLERANCE  # P10


def _record_flags(context: ReviewContext, finalised: int | None) -> Iterator[Flag]:
    if any(isinstance(fact, ClockStepped) for fact in context.facts):
        yield Flag.CLOCK_STEP  # P25
    if context.intervals and _crosses_midnight(context):
        yield Flag.CROSSES_MIDNIGHT  # P27
    if len(context.increments) > context.policy.auto_release_limit_units:
        yield Flag.BEYOND_AUTO_RELEASE_LIMIT  # P29
    ordered_us = _ordered_us(context.facts)
    if ordered_us is not None and net_us(context.intervals) > ordered_us:
        yield Flag.BEYOND_ORDERED_DURATION  # P29
    if order_found(context.facts) is False:
        yield Flag.NO_ORDER  # P30
    if finalised is not None and any(known_us > finalised for known_us in _corrections_known_us(context)):
        yield Flag.CORRECTION_AFTER_RELEASE  # P22


def _corrections_known_us(context: ReviewContext) -> Iterator[int]:
    yield from context.infusion.corrections_known_us
    for fact in context.facts:
        if isinstance(fact, CapRemoved | CoolingStopCharted | PatientLeft | PatientReassigned):
            yield fact.known_at_us


def _crosses_midnight(context: ReviewContext) -> bool:
    first_us, last_us = context.intervals[0].start_us, context.intervals[-1].end_us - 1
    zone = context.policy.zone
    days = {local(at_us, zone).date() for at_us in (first_us, last_us)}
    return len(days) > 1


def _is_lost(cap: CapTime) -> bool:
    return any(run.end_us > cap.lost_us for run in cap.runs)


def _shows_loss(fact: AnyFact, caps: Collection[CapRef]) -> bool:
    """Whether the counters of one of `caps` show an interruption that no reading confirmed."""
    match fact:
        case CoolingPaused():
            return fact.reason == UNCONFIRMED
        case UnitOnline():
            return any(CapRef(fact.device, loss.channel) in caps for loss in fact.lost)
        case _:
            return False


def _stop_known_us(runs: tuple[Run, ...]) -> int:
    return max(runs, key=lambda run: run.end_us).end_known_us


def _stops_conflict(context: ReviewContext) -> bool:
    """Whether the machine's stop and a charted one differ by a minute or more."""
    by_cap: dict[CapRef, list[Run]] = {}
    for run in context.cooling.machine_runs:
        by_cap.setdefault(run.cap, []).append(run)
    for charted in context.facts:
        if isinstance(charted, CoolingStopCharted):
            charted_us = max(charted.at_us, charted.known_at_us)
            ends = [
                min(runs[begun - 1].machine_end_us, context.until_us)
                for cap, runs in by_cap.items()
                if charted.cap in (None, cap) and (begun := bisect_left(runs, charted_us, key=_start_us))
            ]
            if ends and abs(max(ends) - charted.at_us) >= _CONFLICT_US:
                return True
    return False


def _start_us(run: Run) -> int:
    return run.start_us


def _interruption_count(cap: CapTime) -> int:
    """How many interruptions are so short that they may be noise."""
    pauses = [pause.end_us - pause.start_us for pause in cap.pauses if pause.resumed]
    stops = [run.start_us - before.end_us for before, run in zip(cap.runs, cap.runs[1:], strict=False)]
    return sum(gap_us <= _CHATTER_US for gap_us in (*pauses, *stops))
