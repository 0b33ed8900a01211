"""Which line, cable or unit answers badly, judged by the days that were counted. Pure.

Theory of operation. A unit is judged by its last recorded day: errors in a thousand polls, against a fixed limit, and
beside its own median of the days before. What kind of error prevails says what to look at; whether the others on the
line have errors too says whether it is the line's cable or the unit's. "Today" is the last day in the file, so that a
copy says the same on any day and on any machine.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from statistics import median

import msgspec

from drivers.reading import FaultKind
from gateway.ledger.temperatures import READ, Calibration, PollCount

BAD_PER_MILLE = 10.0  # errors in a thousand polls
FEW = 10  # fewer errors on a day say nothing, unless no poll succeeded
UNUSUAL = 3.0  # times the median
_MEDIAN_DAYS = 30

FAULT_MEANINGS: Mapping[str, str] = {
    FaultKind.TIMEOUT: "no answer comes: look at power, plug, address and cable",
    FaultKind.GARBLED: "answers arrive damaged: look for noise, shield, termination, or two units with one address",
    FaultKind.LINE_DOWN: "the port or the connection is not there: look at the adapter, the device server, the network",
    FaultKind.UNREACHABLE: "the device server answers and the unit behind it does not: look at the cable between them",
    FaultKind.BUSY: "the unit says that it is busy: no cable is to blame, poll it less often",
    FaultKind.DEVICE_FAILURE: "the unit reports a failure of its own: no cable is to blame",
    FaultKind.REFUSED: "the unit refuses what is asked: no cable is to blame, the profile does not fit",
    FaultKind.WRONG_IDENTITY: "another unit answers at this address: no cable is to blame",
    FaultKind.NEEDS_CONSENT: "the unit's watchdog is armed, so it is not polled: no cable is to blame",
}
_CABLE = frozenset({FaultKind.TIMEOUT, FaultKind.GARBLED, FaultKind.LINE_DOWN})


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
    polls_today: int
    today: Mapping[str, int]
    days_7: Mapping[str, int]
    days_30: Mapping[str, int]
    per_mille_today: float
    median_per_mille: float | None  # of the days before; None: there is none
    bad: bool
    verdict: str
    calibrations: tuple[DueCalibration, ...]


class LineHealth(msgspec.Struct, frozen=True):
    """A line, its units, and what happened on it on the last day."""

    line: str
    bad: bool
    verdict: str
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


def _unit(unit: str, counts: Sequence[PollCount], today: str, calibrations: tuple[DueCalibration, ...]) -> UnitHealth:
    errors = [each for each in counts if each.kind != READ]
    of_today = _by_kind(errors, today, 1)
    polls = sum(each.count for each in counts if each.day == today)
    rate, usual = _per_mille(counts, today), _usual(counts, today)
    failed = sum(of_today.values())
    bad = rate >= BAD_PER_MILLE and (failed >= FEW or failed == polls)
    return UnitHealth(
        unit=unit,
        polls_today=polls,
        today=of_today,
        days_7=_by_kind(errors, today, 7),
        days_30=_by_kind(errors, today, 30),
        per_mille_today=rate,
        median_per_mille=usual,
        bad=bad,
        verdict=_unit_verdict(of_today, rate, usual, polls, bad=bad),
        calibrations=calibrations,
    )


def _unit_verdict(errors: Mapping[str, int], rate: float, usual: float | None, polls: int, *, bad: bool) -> str:
    if not polls:
        return "it was not polled"
    if not bad:
        return "it answers well" if not errors else "it answers well, but for single errors"
    kind = next(iter(errors))
    if usual is None:
        beside = "there is no day before to compare with"
    elif rate >= UNUSUAL * usual:
        beside = f"its median is {usual:.1f}"
    else:
        beside = f"that is usual for it: its median is {usual:.1f}"
    return f"{FAULT_MEANINGS.get(kind, kind)} ({rate:.0f} of 1000 polls fail; {beside})"


def _line(
    line: str,
    counts: Mapping[str, Sequence[PollCount]],
    due: Mapping[str, Sequence[DueCalibration]],
    today: str,
) -> LineHealth:
    """The line with these counts by unit; those of "" are its own events."""
    units = tuple(_unit(unit, own, today, tuple(due.get(unit, ()))) for unit, own in counts.items() if unit)
    bad = [each for each in units if each.bad]
    events = _by_kind(counts.get("", ()), today, 1)
    return LineHealth(line, bool(bad), _line_verdict(bad, units), events, units)


def _line_verdict(bad: Sequence[UnitHealth], units: Sequence[UnitHealth]) -> str:
    if not bad:
        return "well"
    polled = [each for each in units if each.polls_today]
    if len(bad) == len(polled) > 1:
        on_wire = all(next(iter(each.today)) in _CABLE for each in bad)
        what = "the line's own cable, plug or adapter is bad" if on_wire else "no single cable is to blame"
        return f"all {len(bad)} units on it have errors: {what}"
    well = len(polled) - len(bad)
    rest = f"; the other {well} on the line {'is' if well == 1 else 'are'} well" if well else ""
    return f"{', '.join(each.unit for each in bad)}: the unit or its cable{rest}"


def _by_kind(counts: Iterable[PollCount], today: str, days: int) -> dict[str, int]:
    """The counts of the last `days` days by kind, the most frequent first."""
    first = (date.fromisoformat(today) - timedelta(days=days - 1)).isoformat()
    found = Counter[str]()
    for each in counts:
        if each.day >= first:
            found[each.kind] += each.count
    return dict(found.most_common())


def _per_mille(counts: Iterable[PollCount], day: str) -> float:
    of_day = [each for each in counts if each.day == day]
    polls = sum(each.count for each in of_day)
    return 1000 * sum(each.count for each in of_day if each.kind != READ) / polls if polls else 0.0


def _usual(counts: Sequence[PollCount], today: str) -> float | None:
    """The median rate of the recorded days before, of the last month."""
    first = (date.fromisoformat(today) - timedelta(days=_MEDIAN_DAYS)).isoformat()
    days = {each.day for each in counts if first <= each.day < today}
    return median(_per_mille(counts, day) for day in days) if days else None


def _due(calibration: Calibration, today: str, days: int) -> DueCalibration:
    due_on = (date.fromisoformat(calibration.calibrated_on) + timedelta(days=days)).isoformat()
    return DueCalibration(
        calibration.point, calibration.offset_c, calibration.calibrated_on, due_on, overdue=due_on < today
    )
