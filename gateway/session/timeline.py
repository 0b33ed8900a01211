"""A session as a line of time: what went on when, what counted, and when each unit was attained. Pure.

The stretches of one lane do not overlap, and neighbours of one kind are joined. Nothing is shown beyond `until_us`,
the instant up to which the session is observed.
"""

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from gateway.session.facts import AgentClass, CapRef, InfusionStarted
from gateway.session.orders import facts_by_order, order_of
from gateway.session.review import ReviewContext
from gateway.session.spans import Span, clip, union


class Lane(StrEnum):
    """What a stretch of the line is about."""

    COOLING = "cooling"  # coolant was known to circulate
    PAUSE = "pause"
    FAULT = "fault"
    UNKNOWN = "unknown"  # out of sight: nothing proves that coolant circulated
    INFUSION = "infusion"  # of one agent's class
    COUNTED = "counted"


class LaneStretch(msgspec.Struct, frozen=True):
    """A stretch of one lane; `goes_on` if its end is only that of the observed time."""

    lane: Lane
    start_us: int
    end_us: int
    goes_on: bool = False
    agent: AgentClass | None = None  # of an infusion, where it is known


class Timeline(msgspec.Struct, frozen=True):
    """A session's stretches, by lane and in order, and the instants of its units."""

    from_us: int | None  # the start of cooling, or of the first infusion before it; None: nothing happened yet
    until_us: int
    stretches: tuple[LaneStretch, ...]
    attained_us: tuple[int, ...]
    next_us: int | None  # when the next unit is due if cooling goes on
    paused_us: int | None  # since when every cap that runs is paused; None: none is
    cap: CapRef | None  # the one that ran last


def timeline(context: ReviewContext) -> Timeline:
    """The line of a session, as an assessment that rests on `context` sees it."""
    stretches = tuple(_stretches(context))
    runs = context.cooling.runs
    return Timeline(
        from_us=min((each.start_us for each in stretches), default=None),
        until_us=context.until_us,
        stretches=stretches,
        attained_us=tuple(each.attained_at_us for each in context.increments),
        next_us=context.next_attainment_us,
        paused_us=_paused_us(context),
        cap=max(runs, key=lambda run: run.start_us).cap if runs else None,
    )


def _stretches(context: ReviewContext) -> Iterator[LaneStretch]:
    caps = context.cooling.caps
    lanes: dict[Lane, tuple[Span, ...]] = {
        Lane.COOLING: union(context.net),
        Lane.PAUSE: union((pause.start_us, pause.end_us) for cap in caps for pause in cap.pauses),
        Lane.FAULT: union(span for cap in caps for span in cap.faults),
        Lane.UNKNOWN: union(span for cap in caps for span in cap.unknown),
        Lane.COUNTED: union((each.start_us, each.end_us) for each in context.intervals),
    }
    for lane, spans in lanes.items():
        yield from _cut(lane, spans, context.until_us)
    yield from _infusions(context)


def _infusions(context: ReviewContext) -> Iterator[LaneStretch]:
    for name, own in sorted(facts_by_order(context.facts).items()):
        order = order_of(name, own)
        if order.starts:
            end_us = context.until_us + 1 if order.end is None else order.end.end_us
            agent = next((fact.admin for fact in own if isinstance(fact, InfusionStarted)), None)
            yield from _cut(Lane.INFUSION, ((order.starts[0], end_us),), context.until_us, agent)


def _cut(lane: Lane, spans: tuple[Span, ...], until_us: int, agent: AgentClass | None = None) -> Iterator[LaneStretch]:
    for start_us, end_us in clip(spans, 0, until_us + 1):
        goes_on = end_us > until_us
        yield LaneStretch(lane, start_us, min(end_us, until_us), goes_on, agent)


def _paused_us(context: ReviewContext) -> int | None:
    """Since when the pause that goes on has lasted; None while any cap cools, or none runs."""
    until_us = context.until_us
    if any(start <= until_us < end for start, end in context.net):
        return None
    return min(
        (
            pause.start_us
            for cap in context.cooling.caps
            if cap.runs and cap.runs[-1].end_us > until_us
            for pause in cap.pauses
            if pause.start_us <= until_us < pause.end_us
        ),
        default=None,
    )
