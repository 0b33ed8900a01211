"""Why a session has so many units: each cause and ending by a timeline of one day."""

import pytest

from gateway.session.assessment import review_of
from gateway.session.facts import AnyFact
from gateway.session.policy import Policy
from gateway.session.why import Cause, Ending, Obstacle, Why, why
from tests.unit.gateway.session.session_timelines import (
    B1,
    at,
    begun,
    charted_stop,
    cleared,
    clock,
    day,
    ended,
    fault,
    left,
    offline,
    online,
    pause,
    removed,
    resume,
    start,
    stop,
)


def of(facts: list[AnyFact], until: str = "13:00", policy: Policy | None = None) -> Why:
    return why(review_of(facts, policy or Policy(), at(until), {"SC-A": at(until), "SC-B": at(until)}))


def shown(found: Why) -> list[str]:
    return [f"{clock(each.start_us)}-{clock(each.end_us)} {each.cause}" for each in found.stretches]


def test_what_counts_and_what_the_next_unit_lacks() -> None:
    found = of(day(stopped="12:10"))
    assert shown(found) == ["11:00-12:10 counted"]
    assert [clock(each) for each in found.attained_us] == ["11:16", "11:46"]
    assert (found.counted_us, found.needed_us) == (70 * 60_000_000, 76 * 60_000_000)
    assert (found.obstacle, found.ending, found.ended_us) == (None, Ending.MACHINE, at("12:10"))


@pytest.mark.parametrize(
    ("facts", "stretches"),
    [
        (day(pause("11:10"), resume("11:19:12"), stopped="12:00"), ["11:10-11:19:12 paused"]),
        (day(pause("10:55"), resume("11:05"), stopped="12:00"), ["11:00-11:05 paused"]),
        (day(fault("11:20"), cleared("11:30"), stopped="12:00"), ["11:20-11:30 fault"]),
        (day(offline("11:20"), online("11:30"), stopped="12:00"), ["11:20-11:30 out_of_sight"]),
        (day(offline("11:20"), online("11:30", proven=True), stopped="12:00"), []),
        (day(stop("11:20"), start("11:28"), stopped="12:00"), ["11:20-11:28 stopped"]),
        (
            day(stop("11:20"), start("11:40"), stopped="12:00"),
            ["11:20-11:40 stopped", "11:40-12:00 not_continued"],
        ),
        (day(stop("11:20"), start("11:40", B1), stop("12:00", B1), stopped=None), ["11:20-11:40 stopped"]),
    ],
)
def test_what_does_not_count_has_its_cause(facts: list[AnyFact], stretches: list[str]) -> None:
    found = of(facts)
    assert [each for each in shown(found) if not each.endswith("counted")] == stretches


def test_a_pause_has_the_reason_that_the_unit_gave() -> None:
    found = of(day(pause("11:10", reason="disconnected"), resume("11:19"), stopped="12:00"))
    assert [each.reason for each in found.stretches if each.cause is Cause.PAUSED] == ["disconnected"]


@pytest.mark.parametrize(
    ("facts", "ending", "ended_at"),
    [
        (day(stopped="12:00"), Ending.MACHINE, "12:00"),
        (day(removed("11:50"), stopped="12:00"), Ending.CAP_REMOVED, "11:50"),
        (day(charted_stop("11:40"), stopped="12:00"), Ending.CHARTED, "11:40"),
        (day(left("11:45"), stopped="12:00"), Ending.LEFT, "11:45"),
        (day(offline("11:30"), stopped=None), Ending.LOST, "11:30"),
    ],
)
def test_what_ended_cooling(facts: list[AnyFact], ending: Ending, ended_at: str) -> None:
    found = of(facts)
    assert (found.ending, found.ended_us) == (ending, at(ended_at))
    assert found.stretches[-1].end_us == at(ended_at)


def test_while_cooling_goes_on_it_is_explained_as_far_as_it_is_observed() -> None:
    found = of(day(stopped=None), until="11:20")
    assert (shown(found), found.ending, found.ended_us) == (["11:00-11:20 counted"], Ending.GOES_ON, None)


@pytest.mark.parametrize(
    ("facts", "obstacle"),
    [
        ([], Obstacle.NO_COOLING),
        ([start("09:00"), stop("12:00")], Obstacle.NO_INFUSION),
        ([start("09:00"), begun("A", "09:30"), stop("12:00")], Obstacle.INFUSION_RUNNING),
        (day(ended("A", "11:00", remaining=1), infusion_end=None), Obstacle.ORDERS_REMAIN),
        (day(infusion_end="14:00"), Obstacle.END_IN_FUTURE),
        (day(start("11:10"), stop("12:40"), stopped="10:30"), Obstacle.NOT_COOLING_AT_END),
        (day(stopped="10:30"), Obstacle.COOLED_NO_LONGER),
        (day(offline("10:30"), stopped=None), Obstacle.COOLED_NO_LONGER),
    ],
)
def test_what_keeps_all_of_it_from_counting(facts: list[AnyFact], obstacle: Obstacle) -> None:
    found = of(facts)
    assert (found.obstacle, found.attained_us, found.counted_us) == (obstacle, (), 0)
