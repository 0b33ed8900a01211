"""`capgate health`: how the running gateway is."""

import sys

import click
import msgspec

from gateway.cli.healthz import healthz
from gateway.config.tables import HealthTable, listen_address
from gateway.runtime.logs import escaped


class _Answer(msgspec.Struct, frozen=True):
    status: str
    reasons: tuple[str, ...]


def _address(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, int]:
    try:
        return listen_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    "health",
    epilog="Example: capgate health. Exit codes: 0 all is well, 1 it runs and something is wrong, 2 wrong use, 3 no "
    "gateway answers.",
)
@click.option(
    "--at",
    "address",
    metavar="HOST:PORT",
    callback=_address,
    default=HealthTable().listen,
    show_default=True,
    help="Where it listens: `listen` of [health].",
)
@click.option("--json", "as_json", is_flag=True, help="Print the gateway's answer as it is.")
def command(address: tuple[str, int], as_json: bool) -> None:
    """Say whether the running gateway is well, and if not, why. It asks /healthz, as a monitor does."""
    host, port = address
    try:
        body = healthz(address)
        answer = msgspec.json.decode(body, type=_Answer)
    except (OSError, msgspec.DecodeError) as error:
        click.echo(f"no gateway answers at {host}:{port}: {error}", err=True)
        sys.exit(3)
    click.echo(body.decode().rstrip() if as_json else "\n".join([answer.status, *map(escaped, answer.reasons)]))
    sys.exit(1 if answer.reasons else 0)
