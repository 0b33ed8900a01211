"""`capgate ledger list`: the sessions of some days or of a visit, one row each."""

import sys
from datetime import date, datetime
from pathlib import Path

import click
import msgspec

from gateway.audit.listing import ListedSession, listed, placed_in, sessions_of_visit, write_list
from gateway.audit.sessions import sessions_of_days
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import JSON, KEY, LEDGER, leave_trace, refusing
from gateway.ledger.access import Looked

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    "list",
    epilog="Example: capgate ledger list /var/lib/capgate/ledger.db --from 2026-03-02 --to 2026-03-08 --csv. Exit "
    "codes: 0 done, 1 no session, 2 it cannot be read.",
)
@LEDGER
@click.option("--from", "first", type=_DAY, help="The first day, by the calendar of each session's policy.")
@click.option("--to", "last", type=_DAY, help="The last day; the first alone if left out.")
@click.option("--visit", help="Only the sessions of this visit, of any day if none is given.")
@click.option("--identify", is_flag=True, help="With the visit's number.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for a spreadsheet.")
@KEY
@JSON
def list_(
    ledger: Path,
    first: datetime | None,
    last: datetime | None,
    visit: str | None,
    identify: bool,
    as_csv: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """List the sessions of some days or of a visit: when and where, what was counted and charged, and if not, why."""
    if first is None and (visit is None or last is not None):
        raise click.UsageError("give --from with or without --to, or --visit")
    if first is not None and last is not None and last < first:
        raise click.UsageError("--to is before --from")
    begun = date.min if first is None else first.date()
    ended = date.max if first is None else (last or first).date()
    with refusing(), open_snapshot(ledger, key_file) as connection:
        found = sessions_of_days(connection, begun, ended) if visit is None else sessions_of_visit(connection, visit)
        every = (listed(connection, each, placed_in(connection, each), identify=identify) for each in found)
        rows = [row for row in every if begun <= row.day <= ended]
    if identify and rows:
        leave_trace(ledger, Looked.LIST, [row.session for row in rows])
    if as_json:
        click.echo(msgspec.json.encode({"sessions": rows}))
    elif as_csv:
        write_list(sys.stdout, rows)
    else:
        for row in rows:
            click.echo(_line(row))
    sys.exit(0 if rows else 1)


def _line(row: ListedSession) -> str:
    units = f"{row.attained} attained, {row.charged} charged"
    visit = f"  {row.visit}" if row.visit else ""
    return f"{row.opened_at}  {row.session}{visit}  {row.caps}  {row.place:<12}{units}  {row.why}".rstrip()
