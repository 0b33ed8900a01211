"""The arguments and the error handling that the ledger commands share."""

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import click

from gateway.control.peer import this_user
from gateway.ledger.access import Access, AccessNotRecorded, Looked, leave
from gateway.ledger.errors import LedgerError, UnknownSession
from gateway.runtime.clock import SystemClock

LEDGER = click.argument("ledger", type=click.Path(exists=True, dir_okay=False, path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
KEY = click.option(
    "--key",
    "key_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file with the key of an encrypted ledger; where the gateway has it, if left out.",
)
IDENTIFY = click.option("--identify", is_flag=True, help="With the patient's identifiers: visit, MRN and account.")


def leave_trace(ledger: Path, looked: Looked, sessions: Iterable[str]) -> None:
    """Leave for the gateway, beside the ledger, that this user reads identifiers in it. Exits with 2 if that fails."""
    me = this_user()
    now_us = SystemClock().now().utc_us
    try:
        leave(ledger.parent, Access(now_us, me.login, me.role, looked, tuple(sessions)))
    except AccessNotRecorded as error:
        click.echo(f"--identify leaves a trace beside the ledger, and cannot: {error}", err=True)
        sys.exit(2)


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
