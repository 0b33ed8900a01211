"""`capgate lines`: which line, cable or unit answers badly, and when calibrations are due."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from gateway.ledger.temperatures import HistoryUnavailable
from gateway.monitoring.error_history import report_on
from gateway.monitoring.line_health import (
    CALIBRATION_DAYS,
    LineHealth,
    LinesReport,
    UnitFinding,
    UnitHealth,
)
from gateway.runtime.logs import escaped
from gateway.session.wording import Language
from gateway.web.catalogue import texts_of

_TRAFFIC = frozenset({"requests", "replies"})  # events of a line that are no trouble


@click.command(
    "lines",
    epilog="Example: capgate lines /var/lib/capgate/temperatures.db. Exit codes: 0 all is well, 1 a line or unit "
    "answers badly, a calibration is overdue or nothing was counted, 2 it cannot be read.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--calibration-days",
    type=click.IntRange(min=1),
    default=CALIBRATION_DAYS,
    show_default=True,
    help="How long a calibration is good for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: Path, calibration_days: int, as_json: bool) -> None:
    """Say which cable is bad: read errors of every unit on the last day, in 7 and 30 days, and what they come to.

    FILE is the temperatures.db in the gateway's state directory. It is written once a minute and outlives restarts;
    "today" is the last day in it. A unit's errors of each kind stand beside its own median of the month before.
    """
    try:
        report = report_on(file, calibration_days)
    except HistoryUnavailable as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    if report is None:
        click.echo(f"nothing was counted in {file} yet", err=True)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        for line in _lines(report):
            click.echo(escaped(line))
    overdue = any(each.overdue for line in report.lines for unit in line.units for each in unit.calibrations)
    sys.exit(1 if overdue or any(line.bad for line in report.lines) else 0)


def _lines(report: LinesReport) -> Iterator[str]:
    yield f"as of {report.today}, counted since {report.since}"
    for line in report.lines:
        yield f"{line.line}  {'BAD: ' if line.bad else ''}{_line_words(line)}"
        if shown := _counts({kind: count for kind, count in line.events_today.items() if kind not in _TRAFFIC}):
            yield f"  on the line today: {shown}"
        for unit in line.units:
            yield from _unit(unit)


def _unit(unit: UnitHealth) -> Iterator[str]:
    yield f"  {unit.unit}  {_unit_words(unit)}"
    yield (
        f"    today {unit.per_mille_today:.1f} of 1000 polls failed, median {_rate(unit.median_per_mille)}, "
        f"{unit.polls_today} polls"
    )
    for each in unit.errors:
        yield (
            f"    {each.kind}: {each.today} today, {each.days_7} in 7 days, {each.days_30} in 30; "
            f"{each.per_mille_today:.1f} of 1000 today, median {_rate(each.median_per_mille)}"
        )
    for each in unit.calibrations:
        due = f"OVERDUE since {each.due_on}" if each.overdue else f"due {each.due_on}"
        yield f"    {each.point} calibrated {each.calibrated_on} ({each.offset_c:+g} C), {due}"
    if not unit.calibrations:
        yield "    no calibration is known"


def _line_words(line: LineHealth) -> str:
    bad = [unit.unit for unit in line.units if unit.bad]
    found = _text(f"line-finding.{line.finding}", units=", ".join(bad), count=len(bad))
    return f"{found}; {_text('line-finding.others-well', count=line.well)}" if bad and line.well else found


def _unit_words(unit: UnitHealth) -> str:
    """The finding in words; one that is worse than its month has the figures of its cause."""
    of_cause = next((each for each in unit.errors if each.kind == unit.cause), None)
    figures = of_cause if of_cause and unit.finding is UnitFinding.WORSE else unit
    return _text(
        f"unit-finding.{unit.finding}",
        cause=_text(f"look.{unit.cause}") if unit.cause else "",
        rate=f"{figures.per_mille_today:.0f}",
        median=_rate(figures.median_per_mille),
    )


def _text(key: str, **words: object) -> str:
    """The English text of the page with this key."""
    return texts_of(Language.ENGLISH)[key].format(**words)


def _rate(per_mille: float | None) -> str:
    return "-" if per_mille is None else f"{per_mille:.1f}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
