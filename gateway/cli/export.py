"""`capgate export temperatures`: writes a unit's temperature history as CSV or JSON lines."""

import csv
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC
from itertools import chain
from pathlib import Path
from typing import TextIO

import click
import msgspec

from gateway.ledger.temperatures import WHOLE_UNIT, HistoryUnavailable, Row, read_history, units_in
from gateway.messages.instants import InstantError, read_instant, rfc3339

_EVER_US = 1 << 62


class _Row(msgspec.Struct, frozen=True):
    """One line of the export. `value` includes the offset; it is null (CSV: empty) where `reason` says why."""

    at: str
    unit: str
    cap: int | None
    point: str
    value: float | None
    measured_in: str  # UCUM
    quality: str
    reason: str
    run_state: str
    offset_c: float
    calibrated_on: str


@click.group("export", epilog="Example: capgate export temperatures --help. Exit codes: see each command.")
def command() -> None:
    """Write out what a gateway keeps beside its ledger."""


def _instant(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else read_instant(text, _EVER_US, UTC).at_us
    except InstantError as error:
        raise click.BadParameter(str(error)) from None


@command.command(
    "temperatures",
    epilog="Example: capgate export temperatures /var/lib/capgate/temperatures.db cap-01 --since 2026-03-10 --out "
    "cap-01.csv. Exit codes: 0 written, 1 nothing is kept of that unit and time, 2 it cannot be read or written.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("unit")
@click.option("--since", callback=_instant, metavar="TIME", help="From here on: ISO 8601, UTC if it says nothing else.")
@click.option("--until", callback=_instant, metavar="TIME", help="Up to here.")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", help="json: one object a line.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; else on the terminal.")
def temperatures(file: Path, unit: str, since: int | None, until: int | None, form: str, out: Path | None) -> None:
    """Write the history of UNIT from FILE, the temperatures.db in the gateway's state directory.

    One line a point and sample, oldest first, times in UTC. Temperatures of coolant and caps, none of a body. A value
    has the site's offset in it; the offset and the day of its calibration stand beside it.
    """
    try:
        rows = read_history(file, unit, since or 0, _EVER_US if until is None else until)
        first = next(rows, None)
        if first is None:
            click.echo(
                f"nothing is kept of {unit} then; units in the file: {', '.join(units_in(file)) or 'none'}", err=True
            )
            sys.exit(1)
        with ExitStack() as opened:
            target = sys.stdout if out is None else opened.enter_context(out.open("w", encoding="utf-8", newline=""))
            count = _write(target, form, first, rows)
    except (HistoryUnavailable, OSError) as error:
        click.echo(str(error), err=True)
        sys.exit(2)
    if out is not None:
        click.echo(f"{out}: {count} lines")


def _write(target: TextIO, form: str, first: Row, others: Iterator[Row]) -> int:
    writer = csv.writer(target)
    if form == "csv":
        writer.writerow(_Row.__struct_fields__)
    count = 0
    for row in chain([first], others):
        values = _row(row)
        if form == "csv":
            writer.writerow(msgspec.structs.astuple(values))
        else:
            target.write(msgspec.json.encode(values).decode() + "\n")
        count += 1
    return count


def _row(row: Row) -> _Row:
    sample = row.sample
    return _Row(
        rfc3339(sample.at_us),
        sample.unit,
        None if sample.cap == WHOLE_UNIT else sample.cap,
        sample.point,
        None if sample.value is None else round(sample.value, 4),
        sample.ucum,
        sample.quality,
        sample.reason,
        sample.run_state,
        row.offset_c,
        row.calibrated_on,
    )
