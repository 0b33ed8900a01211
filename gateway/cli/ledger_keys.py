"""`capgate ledger new-key` and `rekey`: the key that encrypts what a ledger has of patients."""

import secrets
import sys
from pathlib import Path

import click

from gateway.cli.ledger_options import LEDGER, refusing
from gateway.ledger.errors import NothingToDo
from gateway.ledger.key_ring import SECRET_BYTES, LedgerKey, read_ring
from gateway.ledger.rekey_file import rekey_file
from gateway.ledger.rekeying import copies_in_clear


@click.command("new-key", epilog="Example: capgate ledger new-key > ledger.key. Exit codes: 0 done.")
def new_key() -> None:
    """Print a new key for the file that [ledger] key_file names: a line with its id, which is no secret, and the key.

    To change the key, put the new one before the old one and restart the gateway.
    """
    key = LedgerKey(secrets.token_bytes(SECRET_BYTES))
    click.echo(f"{key.secret.hex()}  # {key.id}")


@click.command(
    "rekey",
    epilog="Example: capgate ledger rekey /var/lib/capgate/ledger.db --key /etc/capgate/ledger.key. Exit "
    "codes: 0 done, 1 there is no need, 2 nothing was done.",
)
@LEDGER
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file of keys: that of LEDGER, and before it the one that LEDGER is to have.",
)
@click.option("--clear", is_flag=True, help="Store it in clear again, for a version that knows no encryption.")
def rekey(ledger: Path, key_file: Path, clear: bool) -> None:
    """Encrypt what LEDGER has of patients with the first key of the file, whatever key it has now.

    Stop the gateway first, and run this as its user. The gateway does the same at its start if LEDGER is not large.
    """
    with refusing():
        try:
            key_id = rekey_file(ledger, read_ring(key_file), _show, clear=clear)
        except NothingToDo as error:
            click.echo(str(error), err=True)
            sys.exit(1)
    click.echo(f"{ledger} is encrypted with key {key_id}" if key_id else f"{ledger} is in clear")
    for copy in copies_in_clear(ledger) if key_id else ():
        click.echo(f"{ledger.with_name(copy)} is a copy in clear: delete it")


def _show(done: int, of: int) -> None:
    click.echo(f"{done} of {of} rows", err=True)
