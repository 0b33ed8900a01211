"""The arguments and the error handling that the ledger commands share."""

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
    """Print errors as one line and exit: with 1 for an unknown session, with 2 for a file that cannot be read."""
    try:
        yield
    except UnknownSession as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except LedgerError as error:
        click.echo(str(error), err=True)
        sys.exit(2)
