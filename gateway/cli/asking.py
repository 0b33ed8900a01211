"""What the commands that ask a running gateway share: the question over its socket, and how its answer is shown."""

import socket
import sys
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.session_report import Answer
from gateway.config.load import load_config
from gateway.control.socket import SOCKET_FILE

TIMEOUT_S = 20.0

_EXITS = "Exit codes: 0 done, 1 refused, with what would be accepted, 2 wrong use or no gateway."


def asks(
    group: str, name: str, text: str, example: str, request: dict[str, str], *params: click.Parameter
) -> click.Command:
    """A command that puts its parameters, by their names, into a request."""

    def callback(config: Path, as_json: bool, **fields: object) -> None:
        given = {key: value for key, value in fields.items() if value is not None}
        answer = ask(config, msgspec.json.encode({**request, **given}))
        told = msgspec.json.decode(answer, type=Answer)
        if as_json:
            click.echo(answer)
        else:
            click.echo(told.text(), err=not told.ok)
        sys.exit(0 if told.ok else 1)

    everywhere = (
        click.Option(
            ["--config"], required=True, type=click.Path(path_type=Path), help="The running gateway's configuration."
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the gateway's answer as it is."),
    )
    epilog = f"Example: capgate {group} {name} {example}--config /etc/capgate/gateway.toml. {_EXITS}"
    return click.Command(name, params=[*params, *everywhere], callback=callback, help=text, epilog=epilog)


def signed(shown: str) -> tuple[tuple[click.Option, click.Option], str]:
    """Who acts and why, and an example with them."""
    who = click.Option(["--person"], required=True, help="Who acts: a name or staff number. Recorded for good.")
    why = click.Option(["--reason"], required=True, help="Why, up to 200 characters. Recorded; name no patient.")
    return (who, why), f'{shown} --person rn-4471 --reason "as charted" '


def tells(group: str, name: str, act: str, text: str, example: str, *params: click.Parameter) -> click.Command:
    """A command that tells the gateway something, by a person and for a reason."""
    who_and_why, shown = signed(example)
    return asks(group, name, text, shown, {"request": "tell", "act": act}, *params, *who_and_why)


def ask(config: Path, request: bytes) -> bytes:
    """The gateway's answer, one JSON object. Ends the command with 2 where there is none."""
    try:
        path = load_config(config).state_dir / SOCKET_FILE
    except TomlProblems as problems:
        give_up("\n".join(map(str, problems.problems)))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gateway:
            gateway.settimeout(TIMEOUT_S)
            gateway.connect(str(path))
            with gateway.makefile("rwb") as stream:
                stream.write(request + b"\n")
                stream.flush()
                answer = stream.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        give_up(f"no gateway runs with this configuration: nobody listens on {path}")
    except PermissionError:
        give_up(f"{path} belongs to the gateway's user: run this as that user, or as root")
    except OSError as error:
        give_up(f"no answer from the gateway ({error}); capgate session list says what is recorded")
    if not answer.endswith(b"\n"):
        give_up("the gateway ended before it answered; capgate session list says what is recorded")
    return answer.rstrip()


def give_up(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(2)
