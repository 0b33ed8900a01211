"""`capgate ledger`: commands on a ledger's file. Most read it alone, also while the gateway runs."""

import click

from gateway.cli.ledger_copies import backup, export, key
from gateway.cli.ledger_keys import new_key, rekey
from gateway.cli.ledger_list import list_
from gateway.cli.ledger_purge import purge
from gateway.cli.ledger_reconcile import reconcile
from gateway.cli.ledger_show import show
from gateway.cli.ledger_succession import restore, roll_back
from gateway.cli.ledger_verify import verify


@click.group(
    "ledger",
    epilog="Example: capgate ledger verify /var/lib/capgate/ledger.db. Exit codes: 0 done and sound, 1 something is "
    "wrong or not there, 2 it cannot be read.",
)
def command() -> None:
    """Verify, show, export, copy, encrypt, restore and purge what a gateway recorded."""


for each in (verify, list_, show, export, reconcile, key, backup, restore, roll_back, purge, new_key, rekey):
    command.add_command(each)
