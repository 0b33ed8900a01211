"""`capgate shadow`: compares computed units with minutes charted by hand."""

import sys
from pathlib import Path

import click
import msgspec

from gateway.audit.sessions import sessions
from gateway.audit.shadow import Agreement, ChartUnreadable, Compared, compare_in, read_chart
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import JSON, KEY, LEDGER, refusing


@click.command(
    "shadow",
    epilog="Example: capgate shadow /var/lib/capgate/ledger.db charted.csv. Exit codes: 0 no difference, 1 some, 2 "
    "something cannot be read.",
)
@LEDGER
@click.argument("charted", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@KEY
@JSON
def command(ledger: Path, charted: Path, key_file: Path | None, as_json: bool) -> None:
    """Compare the units computed in LEDGER with the minutes charted by hand in CHARTED, a CSV file.

    Its columns are `minutes`, and `session` (the token) or `visit`. Charted minutes become units under the session's
    own policy. Sessions with units that nobody charted are named, for the days that the file covers.
    """
    try:
        lines = read_chart(charted.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        click.echo(f"{charted}: not UTF-8", err=True)
        sys.exit(2)
    except ChartUnreadable as error:
        click.echo("\n".join(f"{charted}: {problem}" for problem in error.problems), err=True)
        sys.exit(2)
    with refusing(), open_snapshot(ledger, key_file) as connection:
        found = compare_in(connection, sessions(connection), lines)
    differing = sum(each.verdict is not Agreement.SAME for each in found)
    if as_json:
        click.echo(msgspec.json.encode({"differences": differing, **_sums(found), "sessions": found}))
    else:
        _show(found, differing)
    sys.exit(1 if differing else 0)


def _sums(found: list[Compared]) -> dict[str, int]:
    return {
        "computed_units": sum(each.computed_units for each in found),
        "charted_units": sum(each.charted_units for each in found),
    }


def _show(found: list[Compared], differing: int) -> None:
    click.echo(f"  {'session':<12}{'computed':>9}{'min':>9}{'charted':>9}{'min':>9}")
    for each in found:
        mark = " " if each.verdict is Agreement.SAME else "*"
        name = each.session or f"line {each.line}"
        charted = "-" if each.charted_minutes is None else f"{each.charted_minutes:g}"
        verdict = "" if each.verdict is Agreement.SAME else f"  {each.verdict}{each.note and ': '}{each.note}"
        numbers = f"{each.computed_units:>9}{each.computed_minutes:>9g}{each.charted_units:>9}{charted:>9}"
        click.echo(f"{mark} {name:<12}{numbers}{verdict}")
    sums = _sums(found)
    click.echo(f"  {'sum':<12}{sums['computed_units']:>9}{'':>9}{sums['charted_units']:>9}")
    click.echo(f"{len(found)} compared, {differing} differ")
