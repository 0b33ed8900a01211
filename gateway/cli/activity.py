"""`capgate activity`: who did what, and who looked at whom."""

import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from gateway.audit.activity import MOST_ROWS, ActivityView, activity, activity_line
from gateway.audit.stream import open_snapshot
from gateway.audit.tables import write_table
from gateway.cli.ledger_options import JSON, refusing
from gateway.cli.record import LEDGER
from gateway.runtime.logs import escaped

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    "activity",
    epilog="Example: capgate activity --from 2026-03-02 --to 2026-03-08 --person m.curie --csv. Exit codes: 0 done, "
    "1 nobody did or read anything, 2 it cannot be read.",
)
@click.option("--from", "first", type=_DAY, required=True, help="The first day, by the newest policy's calendar.")
@click.option("--to", "last", type=_DAY, help="The last day; the first alone if left out.")
@click.option("--person", default="", help="Only this person: the stated name, or the account.")
@click.option(
    "--ledger",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=LEDGER,
    show_default=True,
    help="The ledger, or a copy of it.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for a spreadsheet.")
@JSON
def command(first: datetime, last: datetime | None, person: str, ledger: Path, as_csv: bool, as_json: bool) -> None:
    """List every act of a person and every reading of patients' identifiers: who, by which account, when, and why.

    Sessions are named by their tokens; no patient is.
    """
    if last is not None and last < first:
        raise click.UsageError("--to is before --from")
    with refusing(), open_snapshot(ledger) as connection:
        found = activity(connection, first.date(), last and last.date(), person)
    if as_json:
        click.echo(msgspec.json.encode(found))
    elif as_csv:
        rows = (msgspec.structs.replace(each, sessions=" ".join(each.sessions)) for each in found.activity)
        write_table(sys.stdout, ActivityView.__struct_fields__, map(msgspec.structs.astuple, rows))
    else:
        for each in found.activity:
            click.echo(escaped(activity_line(each, ZoneInfo(found.time_zone))))
    if found.more:
        click.echo(f"there is more than {MOST_ROWS} rows: ask for fewer days, or for one person", err=True)
    sys.exit(0 if found.activity else 1)
