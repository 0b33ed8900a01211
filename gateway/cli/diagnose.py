"""`capgate diagnose`: packs what whoever looks for a fault has to know, without secrets and without patients."""

import os
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from gateway.cli.control_client import DEFAULT_SOCKET, SOCKET_HELP, ask, exchange, give_up
from gateway.cli.control_report import answer_text
from gateway.config.last_good import last_good
from gateway.config.load import GatewayConfig, examine
from gateway.control.answers import ArchiveAnswer, DiagnoseAnswer, RefusalAnswer, read_answer
from gateway.control.socket import SOCKET_FILE
from gateway.describe.diagnose import Living, NotTold, archive

_NICE = 10
PACKING_S = 150.0  # the gateway gives up before

_EPILOG = """\
\b
Examples:
  sudo -u capgate capgate diagnose --person bm-17 --out - > gw-01.zip
  capgate diagnose --config /etc/capgate/gateway.toml --out gw-01.zip
  capgate diagnose --config /etc/capgate/gateway.toml --out - > gw-01.zip
\b
Exit codes:
  0  the archive is made
  2  wrong use, or the archive cannot be written
"""


@click.command("diagnose", epilog=_EPILOG)
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Of the gateway.")
@click.option("--socket", "socket_path", type=click.Path(path_type=Path), help=SOCKET_HELP)
@click.option("--person", help="Without --config: who takes the archive, a name or staff number. It is recorded.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="The zip archive, which must not exist yet; - for standard output.",
)
def command(config: Path | None, socket_path: Path | None, person: str | None, out: Path) -> None:
    """Pack version, configuration, what check, ledger verify and lines say, counters, log and captures.

    Without secrets, and naming no patient; look through it before it leaves the site all the same. The running gateway
    makes it, which needs its socket alone. With --config it is made here, by the gateway's user or root: a gateway that
    does not run is packed as far as it goes; so is one whose configuration has errors, from the last good one.
    """
    if config is None or socket_path is not None:
        packed = _by_the_gateway(socket_path or DEFAULT_SOCKET, person)
    else:
        packed = _here(config)
    try:
        with click.open_file(str(out), "xb") as file:
            file.write(packed)
    except OSError as error:
        raise click.UsageError(f"{out}: {error.strerror}") from error
    if str(out) != "-":
        click.echo(f"{out}: look through it before you send it on")


def _here(config: Path) -> bytes:
    with suppress(OSError):
        os.nice(_NICE)  # it has time; the gateway on the same machine has not
    found = examine(config).config or last_good(config.absolute())
    return archive(config, found, _living(found))


def _by_the_gateway(path: Path, person: str | None) -> bytes:
    if person is None:
        raise click.UsageError("--person is missing: who takes the archive")
    request = msgspec.json.encode({"request": "archive", "person": person})
    answer = read_answer(ask(path, request, PACKING_S), ArchiveAnswer)
    if isinstance(answer, RefusalAnswer):
        give_up(answer_text(answer))
    return answer.archive


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
