"""`capgate ledger restore` and `roll-back`: what the gateway's next start begins a new epoch from."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli.held_files import CHECKPOINTS, PUBLIC_KEY, read_checkpoints, read_keys
from gateway.cli.ledger_options import LEDGER, refusing
from gateway.ledger import succession
from gateway.ledger.errors import CheckpointInvalid, NothingToDo
from gateway.ledger.keys import signed
from gateway.runtime.clock import SystemClock

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    "restore",
    epilog="Example: capgate ledger restore /mnt/backup/ledger-2026-03-10.db /var/lib/capgate/ledger.db "
    "--checkpoints held.jsonl --public-key gw-01.pem. Exit codes: 0 done, start the gateway, 2 nothing was done.",
)
@click.argument("copy", type=_FILE)
@click.argument("ledger", type=click.Path(dir_okay=False, path_type=Path))
@CHECKPOINTS
@PUBLIC_KEY
def restore(copy: Path, ledger: Path, checkpoints: Path | None, public_key: Path | None) -> None:
    """Let a new LEDGER succeed a lost one, of which COPY is left from `capgate ledger backup`.

    Stop the gateway first, and run this as its user. Its next start begins a new epoch with all that COPY proves, and
    marks what came after it as lost: up to the last checkpoint that is held, by one entry at least.
    """
    with refusing():
        held = [] if checkpoints is None else read_checkpoints(checkpoints)
        keys = None if public_key is None else read_keys(public_key)
        for each in held:
            if not signed(each.public_key, each.signature, each.note.encode()) or (
                keys and each.public_key not in keys
            ):
                raise CheckpointInvalid(f"{checkpoints}: the checkpoint of entry {each.head.seq} is not the gateway's")
        made = succession.restore(copy, ledger, [each.head for each in held], SystemClock().now())
    recorded = datetime.fromtimestamp(made.recorded_us / 1e6, UTC).isoformat(timespec="seconds")
    click.echo(f"the copy is of gateway {made.head.gateway}, epoch {made.head.epoch}")
    click.echo(f"it ends at entry {made.head.seq}, recorded at {recorded}; it lies in {made.aside}")
    click.echo(f"the next start begins a new epoch and marks entries {made.head.seq + 1} to {made.known_seq} as lost")
    click.echo("then have the engine send again what it sent since that time")


@click.command(
    "roll-back",
    epilog="Example: capgate ledger roll-back /var/lib/capgate/ledger.db. Exit codes: 0 done, start the "
    "gateway, 1 there is no need, 2 nothing was done.",
)
@LEDGER
def roll_back(ledger: Path) -> None:
    """Let this version go on with LEDGER, which a later version brought to a form that this one does not know.

    Stop the gateway first, and run this as its user. LEDGER is set aside whole, and the next start begins a new epoch
    with all its entries and messages. What only the later version keeps beside them is not taken over.
    """
    with refusing():
        try:
            aside = succession.roll_back(ledger, SystemClock().now())
        except NothingToDo as error:
            click.echo(str(error), err=True)
            sys.exit(1)
    click.echo(f"the later version's ledger lies in {aside}: keep it")
    click.echo("the next start begins a new epoch with its entries and messages")
