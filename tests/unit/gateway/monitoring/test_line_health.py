"""Which cable is bad: counted days in, a finding out, beside each unit's own month."""

from collections.abc import Iterator, Mapping

import pytest

from gateway.ledger.temperatures import READ, Calibration, PollCount
from gateway.monitoring.line_health import LineFinding, LineHealth, UnitFinding, UnitHealth, lines_report

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


def only_unit(by_day: Mapping[int, Mapping[str, int]]) -> UnitHealth:
    (unit,) = line(list(counted("cap-01", by_day))).units
    return unit


def test_a_line_on_which_all_answer_is_well() -> None:
    health = line(well("cap-01"), well("cap-02"))
    assert (health.finding, health.bad, health.alarming) == (LineFinding.WELL, False, False)
    assert [unit.finding for unit in health.units] == [UnitFinding.FEW_ERRORS] * 2


def test_one_of_several_points_to_its_own_cable() -> None:
    health = line(well("cap-01"), bad("cap-02"), well("cap-03"))
    assert (health.finding, health.well, health.alarming) == (LineFinding.UNIT_CABLE, 2, True)
    (unit,) = [each for each in health.units if each.bad]
    assert (unit.unit, unit.finding, unit.cause) == ("cap-02", UnitFinding.WORSE, "timeout")
    (errors,) = unit.errors
    assert (errors.today, errors.days_7, errors.days_30) == (5000, 5060, 5290)
    assert (errors.per_mille_today, errors.median_per_mille) == (500.0, 1.0)


def test_all_of_several_point_to_the_line_s_cable() -> None:
    assert line(bad("cap-01"), bad("cap-02", "garbled")).finding is LineFinding.LINE_CABLE
    assert line(bad("cap-01", "busy"), bad("cap-02", "busy")).finding is LineFinding.NO_CABLE


def test_a_unit_alone_on_its_line_shares_the_blame_with_its_cable() -> None:
    assert line(bad("cap-01", "line-down")).finding is LineFinding.UNIT_CABLE
    assert line(bad("cap-01", "unreachable")).finding is LineFinding.UNIT_CABLE


def test_a_unit_that_is_busy_has_no_bad_cable() -> None:
    assert line(bad("cap-01", "busy"), well("cap-02")).finding is LineFinding.NO_CABLE


def test_what_was_always_bad_is_bad_and_said_to_be_usual() -> None:
    unit = only_unit({number: {READ: 900, "garbled": 100} for number in range(1, 32)})
    assert (unit.finding, unit.bad, unit.alarming) == (UnitFinding.BAD_AS_USUAL, True, False)
    assert (unit.per_mille_today, unit.median_per_mille) == (100.0, 100.0)


def test_an_error_of_a_new_kind_is_seen_among_many_of_the_usual_one() -> None:
    before = {number: {READ: 5_000, "timeout": 5_000} for number in range(1, 31)}
    unit = only_unit({**before, 31: {READ: 4_900, "timeout": 5_000, "garbled": 100}})
    assert (unit.finding, unit.cause) == (UnitFinding.WORSE, "garbled")
    assert [(each.kind, each.worse) for each in unit.errors] == [("timeout", False), ("garbled", True)]


def test_a_unit_that_is_off_every_night_is_worse_once_it_is_nearly_always_off() -> None:
    before = {number: {READ: 6_000, "timeout": 4_000} for number in range(1, 31)}
    assert only_unit({**before, 31: {READ: 5_000, "timeout": 5_000}}).finding is UnitFinding.BAD_AS_USUAL
    assert only_unit({**before, 31: {READ: 500, "timeout": 9_500}}).finding is UnitFinding.WORSE
    assert only_unit({**before, 31: {READ: 0, "timeout": 9_500}}).finding is UnitFinding.WORSE


def test_a_unit_that_was_dead_all_month_is_not_worse_than_that() -> None:
    assert only_unit({number: {"timeout": 3_000} for number in range(1, 32)}).finding is UnitFinding.BAD_AS_USUAL


def test_less_than_one_poll_in_a_hundred_is_worse_than_a_month_without_errors() -> None:
    before = {number: {READ: 20_000} for number in range(1, 31)}
    assert only_unit({**before, 31: {READ: 19_900, "timeout": 100}}).finding is UnitFinding.WORSE
    assert only_unit({**before, 31: {READ: 19_990, "timeout": 10}}).finding is UnitFinding.FEW_ERRORS


def test_one_terrible_day_of_the_month_does_not_move_its_median() -> None:
    before = {number: {READ: 9_990, "timeout": 10} for number in range(1, 31)} | {12: {READ: 1, "timeout": 9_999}}
    assert only_unit({**before, 31: {READ: 9_900, "timeout": 100}}).finding is UnitFinding.WORSE


@pytest.mark.parametrize(
    ("days", "finding"), [(0, UnitFinding.BAD), (4, UnitFinding.BAD), (5, UnitFinding.WORSE), (30, UnitFinding.WORSE)]
)
def test_a_median_takes_five_days(days: int, finding: UnitFinding) -> None:
    before = {number: {READ: 1_000} for number in range(31 - days, 31)}
    unit = only_unit({**before, 31: {READ: 50, "timeout": 50}})
    assert (unit.finding, unit.cause, unit.alarming) == (finding, "timeout", True)
    assert (unit.median_per_mille is None) == (days < 5)


def test_days_on_which_it_was_not_polled_are_no_days_of_its_month() -> None:
    counts = [*counted("cap-01", {31: {READ: 50, "timeout": 50}}), *counted("cap-02", {5: {READ: 100}})]
    assert next(unit for unit in line(counts).units if unit.unit == "cap-01").median_per_mille is None


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
def test_without_a_month_the_limit_is_one_poll_in_a_hundred_and_more_than_a_few(
    today: Mapping[str, int], is_bad: bool
) -> None:
    assert only_unit({31: today}).bad is is_bad


def test_a_unit_that_was_not_polled_today_is_no_witness() -> None:
    gone = list(counted("cap-09", {5: {READ: 100}}))
    health = line(bad("cap-01"), bad("cap-02"), gone)
    assert health.finding is LineFinding.LINE_CABLE
    assert [unit.finding for unit in health.units if unit.unit == "cap-09"] == [UnitFinding.NOT_POLLED]


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
