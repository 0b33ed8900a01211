"""`capgate ledger reconcile`: what became of the sessions of a day or of several."""

import sys
from datetime import date, datetime
from pathlib import Path

import click
import msgspec

from gateway.audit.listing import listed_days, write_list
from gateway.audit.reconcile import Reconciled, SessionPlace
from gateway.audit.sessions import unopened
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import JSON, KEY, LEDGER, leave_trace, refusing
from gateway.ledger.access import Looked
from gateway.ledger.deliveries import Proof

SHOWN = (Proof.ACKNOWLEDGED, Proof.PENDING, Proof.UNPROVEN, Proof.REJECTED)
_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(
    "reconcile",
    epilog="Example: capgate ledger reconcile /var/lib/capgate/ledger.db --day 2026-03-10. Exit codes: 0 nothing "
    "remains, 1 something does, 2 it cannot be read.",
)
@LEDGER
@click.option("--day", type=_DAY, help="One day, by the calendar of each session's policy.")
@click.option("--from", "first", type=_DAY, help="The first of several days.")
@click.option("--to", "last", type=_DAY, help="The last of them; the first alone if left out.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the sessions as a table, the sums to standard error.")
@click.option("--identify", is_flag=True, help="The table has the visits' numbers.")
@KEY
@JSON
def reconcile(
    ledger: Path,
    day: datetime | None,
    first: datetime | None,
    last: datetime | None,
    as_csv: bool,
    identify: bool,
    key_file: Path | None,
    as_json: bool,
) -> None:
    """List the sessions of a day, or of several, by what became of them; none may be left over.

    Sessions seen = charged + held + incomplete + explained + rejected + corrected + provisional. Of charges and credits
    it says whether the engine acknowledged them.
    """
    days = _days(day, first, last)
    with refusing(), open_snapshot(ledger, key_file) as connection:
        listed = listed_days(connection, *days, unopened(connection), identify=identify)
    if identify and as_csv and listed.rows:
        leave_trace(ledger, Looked.LIST, [row.session for row in listed.rows])
    found = listed.reconciled
    if as_csv:
        write_list(sys.stdout, listed.rows)
        _sum_up(found, days, to_stderr=True)
    elif as_json:
        click.echo(msgspec.json.encode(_content(found, days)))
    else:
        _show(found, days)
    sys.exit(1 if found.remainder else 0)


def _days(day: datetime | None, first: datetime | None, last: datetime | None) -> tuple[date, date]:
    """The first and the last day asked for. Raises UsageError."""
    begun = first or day
    if begun is None or (day is not None and (first, last) != (None, None)):
        raise click.UsageError("give --day, or --from with or without --to")
    ended = last or begun
    if ended < begun:
        raise click.UsageError("--to is before --from")
    return begun.date(), ended.date()


def _content(found: Reconciled, days: tuple[date, date]) -> dict[str, date | int | object]:
    first, last = days
    counts = {place.value: found.count(place) for place in SessionPlace}
    return {
        **({"day": first} if first == last else {}),
        "from": first,
        "to": last,
        "seen": len(found.placed),
        **counts,
        "remainder": found.remainder,
        "charges": {proof.value: found.proven[proof] for proof in SHOWN},
        "sessions": found.placed,
        "unopened": found.unopened,
    }


def _show(found: Reconciled, days: tuple[date, date]) -> None:
    for each in found.placed:
        units = f"{each.attained} attained, {each.charged} charged"
        click.echo(f"{each.session}  {each.place:<12}{units:<26}{each.why}".rstrip())
    _sum_up(found, days, to_stderr=False)


def _sum_up(found: Reconciled, days: tuple[date, date], *, to_stderr: bool) -> None:
    for token in found.unopened:
        click.echo(f"{token}  has entries and was never opened", err=to_stderr)
    parts = " + ".join(f"{found.count(place)} {place}" for place in SessionPlace)
    name = " to ".join(map(str, dict.fromkeys(days)))
    click.echo(f"{name}: {len(found.placed)} seen = {parts}, remainder {found.remainder}", err=to_stderr)
    charges = ", ".join(f"{found.proven[proof]} {proof}" for proof in SHOWN)
    click.echo(f"charges and credits at the engine: {charges}", err=to_stderr)
