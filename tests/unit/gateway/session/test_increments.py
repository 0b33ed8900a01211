"""The log that keeps up with the list of increments, and the list itself."""

from gateway.session.counting import Interval
from gateway.session.increments import (
    Change,
    Emitted,
    Increment,
    Op,
    attained,
    chart_minutes,
    fold,
    reconcile,
)
from gateway.session.policy import Policy
from gateway.session.spans import FOREVER
from tests.unit.gateway.session.session_timelines import A1, at, clock, day, follow, offline, online


def _increments(*instants: str) -> list[Increment]:
    return [Increment(index, at(text), ()) for index, text in enumerate(instants, start=1)]


def _texts(changes: tuple[Change, ...]) -> list[str]:
    return [f"{each.op} {each.index}{each.revision} {clock(each.attained_at_us)}" for each in changes]


def _emitted(*instants: str, revision: str = "A") -> tuple[Emitted, ...]:
    return tuple(Emitted(index, revision, at(text)) for index, text in enumerate(instants, start=1))


def test_what_did_not_change_is_not_told_again() -> None:
    assert reconcile(_emitted("11:16"), _increments("11:16"), at("12:00")) == ()


def test_retractions_come_from_the_top_then_amendments_then_emissions() -> None:
    assert _texts(reconcile(_emitted("11:16", "11:46", "12:16"), _increments("11:20"), at("12:30"))) == [
        "retract 3A 12:16",
        "retract 2A 11:46",
        "amend 1B 11:20",
    ]
    assert _texts(reconcile(_emitted("11:16"), _increments("11:10", "11:40", "12:10"), at("12:30"))) == [
        "amend 1B 11:10",
        "emit 2A 11:40",
        "emit 3A 12:10",
    ]


def test_a_number_that_was_taken_back_returns_under_a_new_revision() -> None:
    log = fold(_emitted("11:16"), reconcile(_emitted("11:16"), [], at("11:20")))
    assert log == (Emitted(1, "A", at("11:16"), retracted=True),)
    assert reconcile(log, [], at("11:21")) == ()
    (change,) = reconcile(log, _increments("11:40"), at("11:40"))
    assert (change.op, change.revision, change.was_us) == (Op.EMIT, "B", None)


def test_past_the_last_revision_a_number_stays_as_it_is() -> None:
    log = _emitted("11:16", revision="Z")
    assert reconcile(log, _increments("11:20"), at("12:00")) == ()
    assert _texts(reconcile(log, [], at("12:00"))) == ["retract 1Z 11:16"]


def test_cooling_under_way_says_when_the_next_is_due_and_attains_nothing_ahead() -> None:
    intervals = (Interval(at("11:00"), FOREVER, A1),)
    found, next_us = attained(intervals, Policy(), at("11:16") - 1)
    assert (found, next_us) == ((), at("11:16"))
    found, next_us = attained(intervals, Policy(), at("11:16"))
    assert ([each.attained_at_us for each in found], next_us) == ([at("11:16")], at("11:46"))


def test_cooling_that_is_over_has_no_next() -> None:
    assert attained((Interval(at("11:00"), at("11:15"), A1),), Policy(), at("12:00")) == ((), None)


def test_an_increment_carries_the_cooling_that_attained_it() -> None:
    (first, *_) = follow(day(offline("11:10"), online("11:25"))).assessment.increments
    spans = [(clock(each.start_us), clock(each.end_us)) for each in first.intervals]
    assert spans == [("11:00", "11:10"), ("11:25", "11:31")]


def test_chart_minutes_subtract_hours_and_minutes_interval_by_interval() -> None:
    intervals = [Interval(at("11:00:40"), at("11:16:10"), A1), Interval(at("11:20:59"), at("11:21:01"), A1)]
    assert chart_minutes(intervals) == 17
