"""Which line, cable or unit answers badly, judged by the days that were counted. Pure.

Theory of operation. A unit is judged by its last recorded day, in two ways. Against its own month: an error of one kind
counts as more than usual where its odds are `UNUSUAL` times those of the kind's median day, of the unit's recorded days
of the month before. Odds, not rates, so that a unit which is switched off every night, and so misses half of its polls
each day, is still found to be worse once it misses nearly all. And against a fixed limit of errors in a thousand polls,
which is all that there is while fewer than `FEWEST_DAYS` days are recorded. What kind of error prevails says what to
look at; whether the others on the line have errors too says whether it is the line's cable or the unit's. "Today" is
the last day in the file, so that a copy says the same on any day and on any machine.

A finding is a code with figures; its words stand in the texts of the page, `gateway/web/texts`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from statistics import median

import msgspec

from drivers.reading import FaultKind
from gateway.ledger.temperatures import READ, Calibration, PollCount

BAD_PER_MILLE = 10.0  # errors in a thousand polls
LEAST_PER_MILLE = 1.0  # what is rarer is not called unusual, however good the month was
FEW = 10  # fewer errors on a day say nothing, unless no poll succeeded
UNUSUAL = 3.0  # times the odds of the median day
FEWEST_DAYS = 5  # before today, for a median
MONTH_DAYS = 30
CALIBRATION_DAYS = 365  # how long a calibration is good for, unless somebody says otherwise

# What a cable, plug or adapter can do.
_CABLE = frozenset({FaultKind.TIMEOUT, FaultKind.GARBLED, FaultKind.LINE_DOWN, FaultKind.UNREACHABLE})


class UnitFinding(StrEnum):
    """How a unit answered on its last day."""

    NOT_POLLED = "not-polled"
    WELL = "well"
    FEW_ERRORS = "few-errors"
    BAD_AS_USUAL = "bad-as-usual"  # over the fixed limit, and no worse than its month
    BAD = "bad"  # over the fixed limit, and too few days are known
    WORSE = "worse"  # than its own month


_ALARMING = frozenset({UnitFinding.BAD, UnitFinding.WORSE})
_BAD = _ALARMING | {UnitFinding.BAD_AS_USUAL}


class LineFinding(StrEnum):
    """Where to look for the fault of a line."""

    WELL = "well"
    LINE_CABLE = "line-cable"  # several units, all of them
    UNIT_CABLE = "unit-cable"  # some units, or the only one: the unit or the cable to it
    NO_CABLE = "no-cable"


class KindErrors(msgspec.Struct, frozen=True):
    """A unit's errors of one kind."""

    kind: str  # a FaultKind
    today: int
    days_7: int
    days_30: int
    per_mille_today: float
    median_per_mille: float | None  # of the days before, of a month; None: too few of them
    worse: bool


class DueCalibration(msgspec.Struct, frozen=True):
    """The site's calibration of one point, and the day from which it is too old."""

    point: str
    offset_c: float
    calibrated_on: str
    due_on: str
    overdue: bool


class UnitHealth(msgspec.Struct, frozen=True):
    """A unit's errors by kind on the last day, in 7 and in 30 days, and what they come to."""

    unit: str
    finding: UnitFinding
    cause: str | None  # the kind of error that the finding rests on; None: there is none
    polls_today: int
    per_mille_today: float
    median_per_mille: float | None  # of the days before, of a month; None: too few of them
    errors: tuple[KindErrors, ...]  # the most frequent of today first
    bad: bool  # somebody should look at it
    alarming: bool  # worse than its own month, or bad with no month to compare with
    calibrations: tuple[DueCalibration, ...]


class LineHealth(msgspec.Struct, frozen=True):
    """A line, its units, and what happened on it on the last day."""

    line: str
    finding: LineFinding
    bad: bool  # one of its units is
    alarming: bool  # the same
    well: int  # units that were polled and answer well
    events_today: Mapping[str, int]
    units: tuple[UnitHealth, ...]


class LinesReport(msgspec.Struct, frozen=True):
    """All lines as of the last day that was counted; `since` is the first."""

    today: str
    since: str
    lines: tuple[LineHealth, ...]


def lines_report(
    counts: Sequence[PollCount], calibrations: Iterable[Calibration], calibration_days: int
) -> LinesReport | None:
    """The report on what was counted; None if nothing was."""
    if not counts:
        return None
    today, since = max(each.day for each in counts), min(each.day for each in counts)
    due: dict[str, list[DueCalibration]] = {}
    for each in calibrations:
        due.setdefault(each.unit, []).append(_due(each, today, calibration_days))
    lines: dict[str, dict[str, list[PollCount]]] = {}
    for each in counts:
        lines.setdefault(each.line, {}).setdefault(each.unit, []).append(each)
    return LinesReport(today, since, tuple(_line(line, of_line, due, today) for line, of_line in sorted(lines.items())))


class _Days:
    """The counts of one unit, or of a line's own events, by day and kind."""

    def __init__(self, counts: Iterable[PollCount], today: str) -> None:
        self._today = today
        self._by_day: dict[str, dict[str, int]] = {today: {}}
        for each in counts:
            self._by_day.setdefault(each.day, {})[each.kind] = each.count
        first = self._back(MONTH_DAYS)
        self._before = [day for day in self._by_day if first <= day < today and self._polls(day)]

    @property
    def today(self) -> Mapping[str, int]:
        """What was counted today, by kind."""
        return self._by_day[self._today]

    @property
    def polls_today(self) -> int:
        """All polls of today."""
        return self._polls(self._today)

    def kinds(self) -> list[str]:
        """The kinds of errors of the last 30 days, the most frequent of today first."""
        counted = {kind for of_day in self._by_day.values() for kind in of_day} - {READ}
        found = {kind: self.within(kind, MONTH_DAYS) for kind in counted}
        ordered = sorted(found, key=lambda kind: (-self.today.get(kind, 0), -found[kind], kind))
        return [kind for kind in ordered if found[kind]]

    def within(self, kind: str, days: int) -> int:
        """How often it happened in the last `days` days, today included."""
        first = self._back(days - 1)
        return sum(of_day.get(kind, 0) for day, of_day in self._by_day.items() if day >= first)

    def per_mille(self, kinds: Iterable[str]) -> float:
        """Errors of these kinds in a thousand polls, today."""
        return self._per_mille(self._today, kinds)

    def median(self, kinds: Sequence[str]) -> float | None:
        """The same of the median day of the month before; None where too few days are known."""
        if len(self._before) < FEWEST_DAYS:
            return None
        return median(self._per_mille(day, kinds) for day in self._before)

    def _per_mille(self, day: str, kinds: Iterable[str]) -> float:
        polls = self._polls(day)
        return 1000 * sum(self._by_day[day].get(kind, 0) for kind in kinds) / polls if polls else 0.0

    def _polls(self, day: str) -> int:
        return sum(self._by_day[day].values())

    def _back(self, days: int) -> str:
        return (date.fromisoformat(self._today) - timedelta(days=days)).isoformat()


def _unit(unit: str, counts: Sequence[PollCount], today: str, calibrations: tuple[DueCalibration, ...]) -> UnitHealth:
    days = _Days(counts, today)
    errors = tuple(_errors(kind, days) for kind in days.kinds())
    kinds = [each.kind for each in errors]
    rate, usual = days.per_mille(kinds), days.median(kinds)
    finding, cause = _finding(errors, days, rate, usual)
    return UnitHealth(
        unit=unit,
        finding=finding,
        cause=cause,
        polls_today=days.polls_today,
        per_mille_today=rate,
        median_per_mille=usual,
        errors=errors,
        bad=finding in _BAD,
        alarming=finding in _ALARMING,
        calibrations=calibrations,
    )


def _errors(kind: str, days: _Days) -> KindErrors:
    count, rate, usual = days.today.get(kind, 0), days.per_mille([kind]), days.median([kind])
    return KindErrors(
        kind=kind,
        today=count,
        days_7=days.within(kind, 7),
        days_30=days.within(kind, MONTH_DAYS),
        per_mille_today=rate,
        median_per_mille=usual,
        worse=usual is not None and _says_something(count, days) and _is_unusual(rate, usual),
    )


def _finding(
    errors: Sequence[KindErrors], days: _Days, rate: float, usual: float | None
) -> tuple[UnitFinding, str | None]:
    """The finding and its cause; `errors` are the most frequent first."""
    if not days.polls_today:
        return UnitFinding.NOT_POLLED, None
    if worse := next((each.kind for each in errors if each.worse), None):
        return UnitFinding.WORSE, worse
    failed = sum(each.today for each in errors)
    if not failed:
        return UnitFinding.WELL, None
    if rate < BAD_PER_MILLE or not _says_something(failed, days):
        return UnitFinding.FEW_ERRORS, None
    return UnitFinding.BAD if usual is None else UnitFinding.BAD_AS_USUAL, errors[0].kind


def _says_something(failed: int, days: _Days) -> bool:
    return failed >= FEW or failed == days.polls_today


def _is_unusual(rate: float, usual: float) -> bool:
    """Whether the odds of an error are UNUSUAL times the usual ones; both in a thousand polls."""
    return rate >= LEAST_PER_MILLE and rate * (1000 - usual) > UNUSUAL * usual * (1000 - rate)


def _line(
    line: str,
    counts: Mapping[str, Sequence[PollCount]],
    due: Mapping[str, Sequence[DueCalibration]],
    today: str,
) -> LineHealth:
    """The line with these counts by unit; those of "" are its own events."""
    units = tuple(_unit(unit, own, today, tuple(due.get(unit, ()))) for unit, own in counts.items() if unit)
    bad = [each for each in units if each.bad]
    well = sum(1 for each in units if each.polls_today and not each.bad)
    return LineHealth(
        line=line,
        finding=_line_finding(bad, well),
        bad=bool(bad),
        alarming=any(each.alarming for each in bad),
        well=well,
        events_today=_Days(counts.get("", ()), today).today,
        units=units,
    )


def _line_finding(bad: Sequence[UnitHealth], well: int) -> LineFinding:
    if not bad:
        return LineFinding.WELL
    by_cable = sum(1 for each in bad if each.cause in _CABLE)
    if not by_cable:
        return LineFinding.NO_CABLE
    all_of_several = by_cable == len(bad) > 1 and not well
    return LineFinding.LINE_CABLE if all_of_several else LineFinding.UNIT_CABLE


def _due(calibration: Calibration, today: str, days: int) -> DueCalibration:
    due_on = (date.fromisoformat(calibration.calibrated_on) + timedelta(days=days)).isoformat()
    return DueCalibration(
        calibration.point, calibration.offset_c, calibration.calibrated_on, due_on, overdue=due_on < today
    )
