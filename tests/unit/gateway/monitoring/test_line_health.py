"""Which cable is bad: counted days in, a sentence out, beside each unit's own median."""

from collections.abc import Iterator, Mapping

import pytest

from drivers.reading import FaultKind
from gateway.ledger.temperatures import READ, Calibration, PollCount
from gateway.monitoring.line_health import FAULT_MEANINGS, LineHealth, lines_report

TODAY = "2026-03-31"


def day(number: int) -> str:
    return f"2026-03-{number:02d}"


def counted(unit: str, by_day: Mapping[int, Mapping[str, int]], line: str = "net-1") -> Iterator[PollCount]:
    for number, kinds in by_day.items():
        for kind, count in kinds.items():
            yield PollCount(day(number), line, unit, kind, count)


def well(unit: str) -> list[PollCount]:
    """A unit with one error in a thousand polls on each day of the month."""
    return list(counted(unit, {number: {READ: 9_990, "timeout": 10} for number in range(1, 32)}))


def bad(unit: str, kind: str = "timeout") -> list[PollCount]:
    """The same until today, when every second poll fails."""
    before = {number: {READ: 9_990, "timeout": 10} for number in range(1, 31)}
    return list(counted(unit, {**before, 31: {READ: 5_000, kind: 5_000}}))


def line(*units: list[PollCount]) -> LineHealth:
    report = lines_report([each for unit in units for each in unit], [], 365)
    assert report is not None
    assert report.today == TODAY
    (only,) = report.lines
    return only


def test_a_line_on_which_all_answer_is_well() -> None:
    health = line(well("cap-01"), well("cap-02"))
    assert (health.bad, health.verdict) == (False, "well")
    assert [unit.verdict for unit in health.units] == ["it answers well, but for single errors"] * 2


def test_one_of_several_points_to_its_own_cable() -> None:
    health = line(well("cap-01"), bad("cap-02"), well("cap-03"))
    assert health.verdict == "cap-02: the unit or its cable; the other 2 on the line are well"
    (unit,) = [each for each in health.units if each.bad]
    assert unit.verdict == (
        "no answer comes: look at power, plug, address and cable (500 of 1000 polls fail; its median is 1.0)"
    )
    assert (unit.today, unit.days_7, unit.days_30) == ({"timeout": 5000}, {"timeout": 5060}, {"timeout": 5290})


def test_all_of_several_point_to_the_line_s_cable() -> None:
    assert line(bad("cap-01"), bad("cap-02", "garbled")).verdict == (
        "all 2 units on it have errors: the line's own cable, plug or adapter is bad"
    )
    assert line(bad("cap-01", "busy"), bad("cap-02", "busy")).verdict == (
        "all 2 units on it have errors: no single cable is to blame"
    )


def test_a_unit_alone_on_its_line_shares_the_blame_with_its_cable() -> None:
    assert line(bad("cap-01", "line-down")).verdict == "cap-01: the unit or its cable"


def test_what_was_always_bad_is_bad_and_said_to_be_usual() -> None:
    always = list(counted("cap-01", {number: {READ: 900, "garbled": 100} for number in range(1, 32)}))
    (unit,) = line(always).units
    assert unit.bad
    assert unit.verdict.endswith("(100 of 1000 polls fail; that is usual for it: its median is 100.0)")


def test_the_first_day_has_nothing_to_be_compared_with() -> None:
    (unit,) = line(list(counted("cap-01", {31: {READ: 50, "timeout": 50}}))).units
    assert unit.median_per_mille is None
    assert "no day before" in unit.verdict


@pytest.mark.parametrize(
    ("today", "is_bad"),
    [
        ({READ: 0, "timeout": 3}, True),  # a dead unit is asked rarely
        ({READ: 100, "timeout": 9}, False),
        ({READ: 100, "timeout": 10}, True),
        ({READ: 1_990, "timeout": 19}, False),
        ({READ: 1_980, "timeout": 20}, True),
    ],
)
def test_the_limit_is_one_poll_in_a_hundred_and_more_than_a_few(today: Mapping[str, int], is_bad: bool) -> None:
    (unit,) = line(list(counted("cap-01", {31: today}))).units
    assert unit.bad is is_bad


def test_a_unit_that_was_not_polled_today_is_no_witness() -> None:
    gone = list(counted("cap-09", {5: {READ: 100}}))
    health = line(bad("cap-01"), bad("cap-02"), gone)
    assert health.verdict.startswith("all 2 units on it have errors")
    assert [unit.verdict for unit in health.units if unit.unit == "cap-09"] == ["it was not polled"]


def test_every_kind_of_fault_has_a_meaning() -> None:
    assert set(FAULT_MEANINGS) == set(FaultKind)


@pytest.mark.parametrize(
    ("calibrated_on", "due_on", "overdue"),
    [("2025-03-31", "2026-03-31", False), ("2025-03-30", "2026-03-30", True), ("2026-03-01", "2027-03-01", False)],
)
def test_a_calibration_is_due_after_a_year(calibrated_on: str, due_on: str, overdue: bool) -> None:
    report = lines_report(well("cap-01"), [Calibration("cap-01", "cap_front", 0, 0.4, calibrated_on)], 365)
    assert report is not None
    ((due,),) = (unit.calibrations for unit in report.lines[0].units)
    assert (due.point, due.offset_c, due.due_on, due.overdue) == ("cap_front", 0.4, due_on, overdue)


def test_events_of_the_line_are_those_of_the_last_day() -> None:
    events = [PollCount(day(30), "net-1", "", "bad-check", 7), PollCount(day(31), "net-1", "", "bad-check", 2)]
    assert line(well("cap-01"), events).events_today == {"bad-check": 2}


def test_without_counts_there_is_no_report() -> None:
    assert lines_report([], [], 365) is None
