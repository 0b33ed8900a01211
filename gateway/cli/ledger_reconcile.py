"""`capgate ledger reconcile`."""

import sys
from datetime import date, datetime
from pathlib import Path

import click
import msgspec

from gateway.audit.reconcile import Day, SessionPlace
from gateway.audit.reconcile import reconcile as reconcile_day
from gateway.audit.sessions import sessions_of_day, unopened
from gateway.audit.stream import open_snapshot
from gateway.cli.ledger_options import JSON, LEDGER, refusing
from gateway.ledger.deliveries import Proof, proofs

SHOWN = (Proof.ACKNOWLEDGED, Proof.PENDING, Proof.UNPROVEN, Proof.REJECTED)


@click.command(
    "reconcile",
    epilog="Example: capgate ledger reconcile /var/lib/capgate/ledger.db --day 2026-03-10. Exit codes: 0 nothing "
    "remains, 1 something does, 2 it cannot be read.",
)
@LEDGER
@click.option(
    "--day", required=True, type=click.DateTime(["%Y-%m-%d"]), help="By the calendar of each session's policy."
)
@JSON
def reconcile(ledger: Path, day: datetime, as_json: bool) -> None:
    """List the sessions of a day by what became of them; none may be left over.

    Sessions seen = charged + held + rejected + corrected + provisional. Of charges and credits it says whether the
    engine acknowledged them.
    """
    with refusing(), open_snapshot(ledger) as connection:
        found = reconcile_day(
            sessions_of_day(connection, day.date()), unopened(connection), day.date(), proofs(connection)
        )
    if as_json:
        click.echo(msgspec.json.encode(_content(found)))
    else:
        _show(found)
    sys.exit(1 if found.remainder else 0)


def _content(found: Day) -> dict[str, date | int | object]:
    counts = {place.value: found.count(place) for place in SessionPlace}
    return {
        "day": found.day,
        "seen": len(found.placed),
        **counts,
        "remainder": found.remainder,
        "charges": {proof.value: found.proven[proof] for proof in SHOWN},
        "sessions": found.placed,
        "unopened": found.unopened,
    }


def _show(found: Day) -> None:
    for each in found.placed:
        units = f"{each.attained} attained, {each.charged} charged"
        click.echo(f"{each.session}  {each.place:<12}{units:<26}{each.reason}".rstrip())
    for token in found.unopened:
        click.echo(f"{token}  has entries and was never opened")
    parts = " + ".join(f"{found.count(place)} {place}" for place in SessionPlace)
    click.echo(f"{found.day}: {len(found.placed)} seen = {parts}, remainder {found.remainder}")
    charges = ", ".join(f"{found.proven[proof]} {proof}" for proof in SHOWN)
    click.echo(f"charges and credits at the engine: {charges}")
