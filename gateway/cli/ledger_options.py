"""What the commands that read a ledger share: the argument, and how they refuse."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.ledger.errors import LedgerError, UnknownSession

LEDGER = click.argument("ledger", type=click.Path(exists=True, dir_okay=False, path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
IDENTIFY = click.option("--identify", is_flag=True, help="With the patient's identifiers: visit, MRN and account.")


@contextmanager
def refusing() -> Generator[None]:
    """Ends the command with one line: exit code 1 for a session that is not there, 2 for what cannot be read."""
    try:
        yield
    except UnknownSession as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except LedgerError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
