"""Why a session has so many units and not one more: all time after the infusion's end, counted or not, by cause. Pure.

Theory of operation. The stretches cover the time from the infusion's end to the end of cooling without gap or overlap.
Those that count add up to the net time by which units are attained; each of the others has the one cause that keeps it
from counting. So whoever adds them up finds the same number as the tracker.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from itertools import pairwise

import msgspec

from gateway.session.cooling import CapTime
from gateway.session.facts import (
    CapRef,
    CapRemoved,
    CoolingPaused,
    CoolingStopCharted,
    EndSource,
    PatientLeft,
)
from gateway.session.increments import net_us
from gateway.session.review import ReviewContext
from gateway.session.spans import US_PER_S, Span, overlapping, union


class Cause(StrEnum):
    """Why a stretch of time counts, or does not."""

    COUNTED = "counted"
    PAUSED = "paused"  # P9, P10
    FAULT = "fault"  # P14
    OUT_OF_SIGHT = "out_of_sight"  # P15: nothing proves that coolant circulated
    STOPPED = "stopped"  # circulation was off
    NOT_CONTINUED = "not_continued"  # P11, P12: cooling was off at the infusion's end, or for too long since


class Obstacle(StrEnum):
    """Why nothing can count at all."""

    NO_COOLING = "no_cooling"
    NO_INFUSION = "no_infusion"  # no agent that counts is known
    INFUSION_RUNNING = "infusion_running"  # an order has no end (P19)
    ORDERS_REMAIN = "orders_remain"  # P7
    END_IN_FUTURE = "end_in_future"  # P20
    NOT_COOLING_AT_END = "not_cooling_at_end"  # P11
    COOLED_NO_LONGER = "cooled_no_longer"  # cooling, or the sight of it, had ended before the infusion did


class Ending(StrEnum):
    """What ended cooling, or that it goes on."""

    GOES_ON = "goes_on"
    LOST = "lost"  # no unit of the session is in sight, and nobody saw its end
    MACHINE = "machine"
    CAP_REMOVED = "cap_removed"
    CHARTED = "charted"
    LEFT = "left"  # the patient did
    NEXT_PATIENT = "next_patient"  # a new patient on the cap


class Stretch(msgspec.Struct, frozen=True):
    """Time after the infusion's end of one cause; `reason` is what the unit or the chart said of a pause."""

    start_us: int
    end_us: int
    cause: Cause
    reason: str = ""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The count of a session as far as it is observed, and what it comes from."""

    attained_us: tuple[int, ...]  # the instant of each unit
    counted_us: int
    needed_us: int  # counted time that one unit more takes
    obstacle: Obstacle | None
    infusion_end_us: int | None
    order: str  # whose end that is; "" if there is none
    source: EndSource | None
    stretches: tuple[Stretch, ...]
    ending: Ending
    ended_us: int | None  # None: cooling goes on, or there was none


def why(context: ReviewContext) -> Why:
    """Why a session has as many units as an assessment that rests on `context` gives it."""
    end = context.infusion.end
    ending, ended_us = _ending(context)
    units, policy = len(context.increments), context.policy
    return Why(
        attained_us=tuple(each.attained_at_us for each in context.increments),
        counted_us=net_us(context.intervals),
        needed_us=(policy.first_threshold_s + units * policy.increment_s) * US_PER_S,
        obstacle=_obstacle(context),
        infusion_end_us=None if end is None else end.at_us,
        order="" if end is None else end.order,
        source=None if end is None else end.source,
        stretches=() if end is None else tuple(_stretches(context, end.at_us)),
        ending=ending,
        ended_us=ended_us,
    )


def _obstacle(context: ReviewContext) -> Obstacle | None:
    infusion, end = context.infusion, context.infusion.end
    if not context.cooling.runs:
        return Obstacle.NO_COOLING
    if end is None:
        if not infusion.agents:
            return Obstacle.NO_INFUSION
        return Obstacle.INFUSION_RUNNING if infusion.running else Obstacle.ORDERS_REMAIN
    if end.at_us > context.until_us:
        return Obstacle.END_IN_FUTURE
    if _ends_us(context) <= end.at_us:
        return Obstacle.COOLED_NO_LONGER
    if context.policy.continuity_required and not context.counted.continuity.continued:
        return Obstacle.NOT_COOLING_AT_END
    return None


def _ending(context: ReviewContext) -> tuple[Ending, int | None]:
    if context.lost_us is not None:
        return Ending.LOST, context.lost_us
    ended_us = context.stopped_us
    if ended_us is None:
        return Ending.GOES_ON, None
    last = max(context.cooling.runs, key=lambda run: run.end_us)
    for fact in context.facts:
        if fact.at_us == ended_us:
            match fact:
                case CapRemoved() if fact.cap == last.cap:
                    return Ending.CAP_REMOVED, ended_us
                case CoolingStopCharted() if fact.cap in (None, last.cap):
                    return Ending.CHARTED, ended_us
                case PatientLeft() if fact.cap in (None, last.cap):
                    return Ending.LEFT, ended_us
                case _:
                    pass
    return (Ending.NEXT_PATIENT if last.implicit else Ending.MACHINE), ended_us


def _ends_us(context: ReviewContext) -> int:
    """How far cooling is known to have gone on, interruptions included; 0 if there was none."""
    lasts_us = max((run.end_us for run in context.cooling.runs), default=0)
    return min(context.until_us, lasts_us if context.lost_us is None else context.lost_us)


def _stretches(context: ReviewContext, begins_us: int) -> Iterator[Stretch]:
    """The time from the infusion's end on, each piece once, neighbours of one cause and reason joined."""
    caps = context.cooling.caps
    ends_us = _ends_us(context)
    counted = union((each.start_us, each.end_us) for each in context.intervals)
    running = union(span for cap in caps for span in cap.running_spans)
    paused = {cap.cap: union((pause.start_us, pause.end_us) for pause in cap.pauses) for cap in caps}
    reasons = {(each.cap, each.at_us): each.reason for each in context.facts if isinstance(each, CoolingPaused)}
    spans = [*counted, *running, context.counted.window]
    spans += [span for cap in caps for span in (*cap.faults, *cap.unknown, *paused[cap.cap])]
    cuts = {at_us for span in spans for at_us in span if begins_us < at_us < ends_us}
    open_: Stretch | None = None
    for start_us, end_us in pairwise(sorted({begins_us, *cuts, ends_us}) if begins_us < ends_us else []):
        piece = (start_us, end_us)
        if overlapping(counted, *piece):
            cause, reason = Cause.COUNTED, ""
        elif not overlapping(running, *piece):
            cause, reason = Cause.STOPPED, ""
        elif not context.counted.window[0] <= start_us < context.counted.window[1]:
            cause, reason = Cause.NOT_CONTINUED, ""
        else:
            cause, reason = _interruption(piece, caps, paused, reasons)
        if open_ is not None and (open_.cause, open_.reason) == (cause, reason):
            open_ = Stretch(open_.start_us, end_us, cause, reason)
            continue
        if open_ is not None:
            yield open_
        open_ = Stretch(start_us, end_us, cause, reason)
    if open_ is not None:
        yield open_


def _interruption(
    piece: Span,
    caps: Iterable[CapTime],
    paused: Mapping[CapRef, tuple[Span, ...]],
    reasons: Mapping[tuple[CapRef, int], str],
) -> tuple[Cause, str]:
    """What interrupts the first cap that runs then; net cooling is what none of these interrupts."""
    cap = next(cap for cap in caps if overlapping(cap.running_spans, *piece))
    if overlapping(cap.faults, *piece):
        return Cause.FAULT, ""
    if overlapping(cap.unknown, *piece):
        return Cause.OUT_OF_SIGHT, ""
    pause = overlapping(paused[cap.cap], *piece)
    return Cause.PAUSED, reasons.get((cap.cap, pause[0][0]), "") if pause else ""
