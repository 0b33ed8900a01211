"""`capgate lines`: which line, cable or unit answers badly, and when calibrations are due."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec

from gateway.ledger.temperatures import HistoryUnavailable, calibrations_in_use, read_counts
from gateway.monitoring.line_health import LinesReport, UnitHealth, lines_report
from gateway.runtime.logs import escaped

YEARLY = 365
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
    default=YEARLY,
    show_default=True,
    help="How long a calibration is good for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(file: Path, calibration_days: int, as_json: bool) -> None:
    """Say which cable is bad: read errors of every unit on the last day, in 7 and 30 days, and what they come to.

    FILE is the temperatures.db in the gateway's state directory. It is written once a minute and outlives restarts;
    "today" is the last day in it. A unit's errors stand beside its own median of the days before.
    """
    try:
        report = lines_report(read_counts(file), calibrations_in_use(file), calibration_days)
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
        yield f"{line.line}  {'BAD: ' if line.bad else ''}{line.verdict}"
        if shown := _counts({kind: count for kind, count in line.events_today.items() if kind not in _TRAFFIC}):
            yield f"  on the line today: {shown}"
        for unit in line.units:
            yield from _unit(unit)


def _unit(unit: UnitHealth) -> Iterator[str]:
    yield f"  {unit.unit}  {unit.verdict}"
    usual = "-" if unit.median_per_mille is None else f"{unit.median_per_mille:.1f}"
    yield f"    today {unit.per_mille_today:.1f} of 1000 polls failed, median {usual}, {unit.polls_today} polls"
    for name, errors in (("today", unit.today), ("7 days", unit.days_7), ("30 days", unit.days_30)):
        yield f"    errors {name}: {_counts(errors) or 'none'}"
    for each in unit.calibrations:
        due = f"OVERDUE since {each.due_on}" if each.overdue else f"due {each.due_on}"
        yield f"    {each.point} calibrated {each.calibrated_on} ({each.offset_c:+g} C), {due}"
    if not unit.calibrations:
        yield "    no calibration is known"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
