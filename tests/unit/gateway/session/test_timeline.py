"""A session as a line of time: its lanes by a timeline of one day."""

import pytest

from gateway.session.assessment import review_of
from gateway.session.facts import AnyFact
from gateway.session.policy import Policy
from gateway.session.timeline import Lane, Timeline, timeline
from tests.unit.gateway.session.session_timelines import (
    A1,
    B1,
    at,
    cleared,
    clock,
    day,
    fault,
    offline,
    online,
    pause,
    resume,
    start,
    stop,
)


def of(facts: list[AnyFact], until: str = "13:00") -> Timeline:
    return timeline(review_of(facts, Policy(), at(until), {"SC-A": at(until), "SC-B": at(until)}))


def lane(found: Timeline, *lanes: Lane) -> list[str]:
    return [
        f"{clock(each.start_us)}-{'' if each.goes_on else clock(each.end_us)}"
        for each in found.stretches
        if each.lane in lanes
    ]


def test_a_plain_day() -> None:
    found = of(day(stopped="12:10"))
    assert lane(found, Lane.COUNTED) == ["11:00-12:10"]
    assert lane(found, Lane.INFUSION)[0].endswith("-11:00")
    assert lane(found, Lane.COOLING)[0].endswith("-12:10")
    assert lane(found, Lane.PAUSE, Lane.FAULT, Lane.UNKNOWN) == []
    assert [clock(each) for each in found.attained_us] == ["11:16", "11:46"]
    assert (found.paused_us, found.cap) == (None, A1)


def test_what_goes_on_is_shown_as_far_as_it_is_observed() -> None:
    found = of(day(stopped=None), until="11:20")
    assert found.until_us == at("11:20")
    assert lane(found, Lane.COOLING)[0].endswith("-")
    assert clock(found.next_us or 0) == "11:46"


@pytest.mark.parametrize(
    ("facts", "kind", "stretch"),
    [
        (day(pause("11:10"), resume("11:19:12"), stopped="12:00"), Lane.PAUSE, "11:10-11:19:12"),
        (day(fault("11:20"), cleared("11:30"), stopped="12:00"), Lane.FAULT, "11:20-11:30"),
        (day(offline("11:20"), online("11:30"), stopped="12:00"), Lane.UNKNOWN, "11:20-11:30"),
    ],
)
def test_each_interruption_has_its_lane(facts: list[AnyFact], kind: Lane, stretch: str) -> None:
    assert lane(of(facts), kind) == [stretch]


def test_a_pause_that_goes_on_says_since_when() -> None:
    found = of(day(pause("11:10"), stopped=None), until="11:15")
    assert (clock(found.paused_us or 0), lane(found, Lane.PAUSE)) == ("11:10", ["11:10-"])


def test_the_cap_is_the_one_that_ran_last() -> None:
    assert of(day(stop("11:20"), start("11:25", B1), stopped=None)).cap == B1


def test_before_anything_happened_there_is_no_line() -> None:
    assert of([]).from_us is None
