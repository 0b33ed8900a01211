"""One session as its screen shows it: why it has so many units, its line of time, its temperatures. Pure."""

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from gateway.control.act_context import SessionSnapshot
from gateway.control.answers import Answer, SessionView, WhyView
from gateway.control.board import ChairSession
from gateway.messages.instants import rfc3339
from gateway.session.facts import AgentClass
from gateway.session.keys import increment_key
from gateway.session.review import ReviewContext
from gateway.session.timeline import Lane, timeline
from gateway.telemetry.latest import TrendPoint

MAX_POINTS = 400


class LaneView(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A stretch of one lane of the line of time; `goes_on` if its end is only that of the observed time."""

    lane: Lane
    from_: str
    to: str
    goes_on: bool
    agent: AgentClass | None


class ToldView(msgspec.Struct, frozen=True, kw_only=True):
    """What was last published of one unit; a revision past A was amended, one without an instant retracted."""

    increment: str
    amended: bool
    attained_at: str | None


class ScreenAnswer(Answer, frozen=True, kw_only=True):
    """To `screen`: a session, what came of it and why, and what a person may have to tell."""

    now: str
    chair: str
    cap: str  # the one that ran last
    shown: ChairSession
    session: SessionView
    why: WhyView
    lanes: tuple[LaneView, ...]
    until: str  # how far the session is observed
    attained: tuple[str, ...]
    told: tuple[ToldView, ...]
    temperatures: tuple[TrendPoint, ...]


def lanes_of(review: ReviewContext) -> tuple[tuple[LaneView, ...], str, tuple[str, ...]]:
    """The session's line of time, how far it is observed, and the instants of its units."""
    line = timeline(review)
    views = tuple(
        LaneView(
            lane=each.lane,
            from_=rfc3339(each.start_us),
            to=rfc3339(each.end_us),
            goes_on=each.goes_on,
            agent=each.agent,
        )
        for each in line.stretches
    )
    return views, rfc3339(line.until_us), tuple(map(rfc3339, line.attained_us))


def told_of(snapshot: SessionSnapshot) -> tuple[ToldView, ...]:
    """What was published of each unit, those included that do not stand any more."""
    record = snapshot.outcome.record
    return tuple(
        ToldView(
            increment=increment_key(record.token, each.index, each.revision),
            amended=each.revision != "A" and not each.retracted,
            attained_at=None if each.retracted else rfc3339(each.attained_at_us),
        )
        for each in record.emitted
    )


def thinned(points: Sequence[TrendPoint]) -> tuple[TrendPoint, ...]:
    """At most MAX_POINTS of them, evenly spread, the last one among them."""
    step = max(1, -(-len(points) // MAX_POINTS))
    return tuple(points[::-1][::step][::-1])


def joined(stored: Iterable[TrendPoint], recent: Iterable[TrendPoint]) -> Iterator[TrendPoint]:
    """What was stored, then what is newer and not stored yet."""
    last_us = 0
    for each in stored:
        last_us = each.at_us
        yield each
    for each in recent:
        if each.at_us > last_us:
            yield each
