"""The client of the control socket: commands that send one request to a running gateway and print its answer."""

import socket
import sys
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.control_report import ShownAnswer, answer_text
from gateway.config.load import named_state_dir
from gateway.control.answers import ActAnswer, read_answer
from gateway.control.socket import SOCKET_FILE

TIMEOUT_S = 20.0
DEFAULT_SOCKET = Path("/var/lib/capgate") / SOCKET_FILE  # of a gateway that is installed as docs/how-to/install.md says
CONFIG_HELP = "The running gateway's configuration, of which its state_dir alone is read."
SOCKET_HELP = f"The gateway's socket, in place of --config.  [default: {DEFAULT_SOCKET}]"

_EXITS = "Exit codes: 0 done, 1 refused, with what would be accepted, 2 wrong use or no gateway."


def request_command(
    group: str,
    name: str,
    text: str,
    example: str,
    request: dict[str, str],
    accepted: type[ShownAnswer],
    *params: click.Parameter,
) -> click.Command:
    """A command that sends `request` with its parameters as fields, and prints the answer, of type `accepted`.

    `group` is "" for a top-level command.
    """

    def callback(config: Path | None, socket_path: Path | None, as_json: bool, **fields: object) -> None:
        given = {key: value for key, value in fields.items() if value is not None}
        line = ask(socket_path or socket_of(config), msgspec.json.encode({**request, **given}))
        answer = read_answer(line, accepted)
        if as_json:
            click.echo(line)
        else:
            click.echo(answer_text(answer), err=not answer.ok)
        sys.exit(0 if answer.ok else 1)

    common = (
        click.Option(["--config"], type=click.Path(path_type=Path), help=CONFIG_HELP),
        click.Option(["--socket", "socket_path"], type=click.Path(path_type=Path), help=SOCKET_HELP),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the gateway's answer as it is."),
    )
    shown = " ".join(filter(None, (group, name, example.strip())))
    epilog = f"Example: capgate {shown} --config /etc/capgate/gateway.toml. {_EXITS}"
    return click.Command(name, params=[*params, *common], callback=callback, help=text, epilog=epilog)


def signed(shown: str) -> tuple[tuple[click.Option, click.Option], str]:
    """The options `--person` and `--reason`, and the example `shown` with them appended."""
    who = click.Option(["--person"], required=True, help="Who acts: a name or staff number. Recorded for good.")
    why = click.Option(["--reason"], required=True, help="Why, up to 200 characters. Recorded; name no patient.")
    return (who, why), f'{shown} --person rn-4471 --reason "as charted" '


def act_command(group: str, name: str, act: str, text: str, example: str, *params: click.Parameter) -> click.Command:
    """A command that sends the act `act`, with --person and --reason."""
    who_and_why, shown = signed(example)
    return request_command(group, name, text, shown, {"request": "tell", "act": act}, ActAnswer, *params, *who_and_why)


def socket_of(config: Path | None) -> Path:
    """The socket of the gateway with this configuration, however broken the rest is; by default the installed one.

    Exits with 2 if the file does not say where it is.
    """
    if config is None:
        return DEFAULT_SOCKET
    try:
        return named_state_dir(config) / SOCKET_FILE
    except TomlProblems as problems:
        give_up(f"{problems}\nA gateway that runs is reached without the file: --socket STATE_DIR/{SOCKET_FILE}")


def ask(path: Path, request: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """Send a request to the socket; returns the answer, one JSON object. Exits with 2 if none comes."""
    try:
        answer = exchange(path, request, timeout_s)
    except (FileNotFoundError, ConnectionRefusedError):
        give_up(f"no gateway runs here: nobody listens on {path}")
    except PermissionError:
        give_up(f"{path} belongs to the gateway's user: run this as that user, or as root")
    except OSError as error:
        give_up(f"no answer from the gateway ({error}); capgate session list says what is recorded")
    if not answer.endswith(b"\n"):
        give_up("the gateway ended before it answered; capgate session list says what is recorded")
    return answer.rstrip()


def exchange(path: Path, request: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """Send a request to the socket; the line that came, without its end if the gateway ended first. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gateway:
        gateway.settimeout(timeout_s)
        gateway.connect(str(path))
        with gateway.makefile("rwb") as stream:
            stream.write(request + b"\n")
            stream.flush()
            return stream.readline()


def give_up(text: str) -> NoReturn:
    """Print the text to standard error and end the command with exit code 2."""
    click.echo(text, err=True)
    sys.exit(2)
