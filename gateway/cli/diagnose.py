"""`capgate diagnose`: packs what whoever looks for a fault has to know, without secrets and without patients."""

import os
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from gateway.cli.control_client import exchange
from gateway.config.last_good import last_good
from gateway.config.load import GatewayConfig, examine
from gateway.control.answers import DiagnoseAnswer, RefusalAnswer, read_answer
from gateway.control.socket import SOCKET_FILE
from gateway.describe.diagnose import Living, NotTold, archive

_NICE = 10

_EPILOG = """\
\b
Examples:
  capgate diagnose --config /etc/capgate/gateway.toml --out gw-01.zip
  capgate diagnose --config /etc/capgate/gateway.toml --out - > gw-01.zip
\b
Exit codes:
  0  the archive is made
  2  wrong use, or the archive cannot be written
"""


@click.command("diagnose", epilog=_EPILOG)
@click.option(
    "--config", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Of the gateway."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="The zip archive, which must not exist yet; - for standard output.",
)
def command(config: Path, out: Path) -> None:
    """Pack version, configuration, what check, ledger verify and lines say, counters, log and captures.

    Without secrets, and naming no patient; look through it before it leaves the site all the same. Run it as the
    gateway's user or root. A gateway that does not run is packed as far as it goes; so is one whose configuration has
    errors, from the last good one.
    """
    with suppress(OSError):
        os.nice(_NICE)  # it has time; the gateway on the same machine has not
    found = examine(config).config or last_good(config.absolute())
    packed = archive(config, found, _living(found))
    try:
        with click.open_file(str(out), "xb") as file:
            file.write(packed)
    except OSError as error:
        raise click.UsageError(f"{out}: {error.strerror}") from error
    if str(out) != "-":
        click.echo(f"{out}: look through it before you send it on")


def _living(config: GatewayConfig | None) -> Living | NotTold:
    """What the running gateway says of itself."""
    if config is None:
        return NotTold("the configuration has errors, and none that was good is kept")
    try:
        answer = read_answer(exchange(config.state_dir / SOCKET_FILE, b'{"request":"diagnose"}'), DiagnoseAnswer)
    except (OSError, msgspec.DecodeError) as error:
        return NotTold(f"no gateway that runs with this configuration answers: {error}")
    if isinstance(answer, RefusalAnswer):
        return NotTold(f"the gateway refuses: {answer.error}")
    return Living(answer.metrics, answer.health, answer.log)
