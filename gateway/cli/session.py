"""`capgate session`: what operators do. Thin: the running gateway acts, these commands ask it over its socket."""

import socket
import sys
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from drivers.tomlfile import TomlProblems
from gateway.cli.session_report import Answer
from gateway.config import load_config
from gateway.control import SOCKET_FILE
from gateway.session.facts import AgentClass, Finding

TIMEOUT_S = 20.0

_EXITS = "Exit codes: 0 done, 1 refused, with what would be accepted, 2 wrong use or no gateway."


def _asks(name: str, text: str, example: str, request: dict[str, str], *params: click.Parameter) -> click.Command:
    """A command that puts its parameters, by their names, into a request."""

    def callback(config: Path, as_json: bool, **fields: object) -> None:
        given = {key: value for key, value in fields.items() if value is not None}
        answer = _ask(config, msgspec.json.encode({**request, **given}))
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
    epilog = f"Example: capgate session {name} {example}--config /etc/capgate/gateway.toml. {_EXITS}"
    return click.Command(name, params=[*params, *everywhere], callback=callback, help=text, epilog=epilog)


def _tells(name: str, act: str, text: str, example: str, *params: click.Parameter) -> click.Command:
    """A command that tells the gateway something, by a person and for a reason."""
    who = click.Option(["--person"], required=True, help="Who acts: a name or staff number. Recorded for good.")
    why = click.Option(["--reason"], required=True, help="Why, up to 200 characters. Recorded; name no patient.")
    shown = f'{example} --person rn-4471 --reason "as charted" '
    return _asks(name, text, shown, {"request": "tell", "act": act}, *params, who, why)


def _ask(config: Path, request: bytes) -> bytes:
    """The gateway's answer, one JSON object. Ends the command with 2 where there is none."""
    try:
        path = load_config(config).state_dir / SOCKET_FILE
    except TomlProblems as problems:
        _give_up("\n".join(map(str, problems.problems)))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gateway:
            gateway.settimeout(TIMEOUT_S)
            gateway.connect(str(path))
            with gateway.makefile("rwb") as stream:
                stream.write(request + b"\n")
                stream.flush()
                answer = stream.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        _give_up(f"no gateway runs with this configuration: nobody listens on {path}")
    except PermissionError:
        _give_up(f"{path} belongs to the gateway's user: run this as that user, or as root")
    except OSError as error:
        _give_up(f"no answer from the gateway ({error}); capgate session show says what is recorded")
    if not answer.endswith(b"\n"):
        _give_up("the gateway ended before it answered; capgate session show says what is recorded")
    return answer.rstrip()


def _give_up(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(2)


def _either(names: str, text: str) -> click.Option:
    """A choice of two that must be made: a click flag takes none for no."""

    def chosen(context: click.Context, option: click.Parameter, value: bool | None) -> bool:
        if value is None:
            raise click.MissingParameter(ctx=context, param=option)
        return value

    return click.Option([names], default=None, callback=chosen, help=text)


_TOKEN = click.Argument(["token"])
_PLACE = click.Argument(["place"])
_AT = click.Option(["--at"], metavar="TIME", help="When: ISO 8601 with offset, or HH:MM of today; now if left out.")
_IDENTIFY = click.Option(["--identify"], is_flag=True, help="Show whose it is: visit, MRN and account.")
_VISIT = (
    click.Option(["--visit"], required=True, help="The patient's visit number."),
    click.Option(["--mrn"], help="The patient's medical record number."),
    click.Option(["--account"], help="The patient's account number."),
)
_FINDING = click.Choice([finding.value for finding in Finding])

_COMMANDS = (
    _asks(
        "list",
        "List the open sessions, those that go on or wait for a person, with what holds them and what is missing.",
        "",
        {"request": "sessions"},
        click.Option(["--all"], is_flag=True, help="Also those that are done with and may still change."),
        _IDENTIFY,
    ),
    _asks(
        "show",
        "Show one session with its intervals, increments and facts.",
        "9RX2M7KQ4 ",
        {"request": "session"},
        _TOKEN,
        _IDENTIFY,
    ),
    _tells("finalise", "finalise", "Sign a session whose cooling has stopped.", "9RX2M7KQ4", _TOKEN),
    _tells(
        "lift-hold",
        "lift-hold",
        "Let increments go in spite of what holds them: the codes that `list` shows.",
        "9RX2M7KQ4 no_order",
        _TOKEN,
        click.Argument(["holds"], nargs=-1, required=True, metavar="CODE..."),
    ),
    _tells(
        "decide",
        "decide-correction",
        "Decide whether the released charge CHARGE is credited and charged anew.",
        "9RX2M7KQ4 9RX2M7KQ400A --approve",
        _TOKEN,
        click.Argument(["charge"]),
        _either("--approve/--refuse", "Correct it, or leave it as it is."),
    ),
    _tells(
        "prepared",
        "prepared",
        "Chart that hair was prepared, the cap placed and pre-cooled: the evidence for 97008.",
        "9RX2M7KQ4 --at 08:55",
        _TOKEN,
        _AT,
    ),
    _tells(
        "tolerance",
        "tolerance",
        "Chart a check of how the patient bears the cooling.",
        "9RX2M7KQ4 --comfort ok --scalp ok",
        _TOKEN,
        click.Option(["--vital-signs"], type=_FINDING, help="How the vital signs are."),
        click.Option(["--comfort"], type=_FINDING, help="How comfortable the patient is."),
        click.Option(["--scalp"], type=_FINDING, help="How the skin of the scalp looks."),
        _AT,
    ),
    _tells(
        "cap-id",
        "cap-id",
        "Chart which cap the patient wears.",
        "9RX2M7KQ4 SC-M-0431 --lot L2601",
        _TOKEN,
        click.Argument(["cap_id"]),
        click.Option(["--lot"], help="The cap's lot."),
        _AT,
    ),
    _tells(
        "note",
        "note",
        "Add a remark for whoever reviews the session. It is kept for good: name no patient.",
        '9RX2M7KQ4 "cap refitted twice"',
        _TOKEN,
        click.Argument(["text"]),
    ),
    _tells(
        "order",
        "order-checked",
        "Chart whether there is an order for scalp cooling.",
        "9RX2M7KQ4 --found --minutes 90",
        _TOKEN,
        _either("--found/--not-found", "Whether there is one."),
        click.Option(
            ["--minutes", "ordered_post_minutes"], type=float, help="How long it asks for after the infusion."
        ),
        _AT,
    ),
    _tells(
        "infusion-ended",
        "infusion-ended",
        "Tell when ORDER ended, where the EHR does not. `show` names the orders that are known.",
        "9RX2M7KQ4 RX55821 --at 15:00",
        _TOKEN,
        click.Argument(["order"]),
        click.Option(["--at"], required=True, metavar="TIME", help="When: ISO 8601 with offset, or HH:MM of today."),
        click.Option(
            ["--agent"], type=click.Choice([agent.value for agent in AgentClass]), help="What a new order infuses."
        ),
        click.Option(["--correct"], is_flag=True, default=None, help="Replace the end that was told before."),
    ),
    _tells(
        "stop-charted",
        "stop-charted",
        "Chart that cooling ended, whatever the machine says.",
        "9RX2M7KQ4 --at 16:35",
        _TOKEN,
        _AT,
    ),
    _tells(
        "cap-removed",
        "cap-removed",
        "Tell that the cap came off.",
        "9RX2M7KQ4 --at 16:40",
        _TOKEN,
        click.Option(["--cap"], metavar="UNIT:CAP", help="Which, where the session has several."),
        _AT,
    ),
    _tells(
        "bind",
        "bind",
        "Tell whom a cap serves. PLACE: a chair, UNIT:CAP, or the token of a session that is nobody's, which is then "
        "bound from its beginning.",
        "c12 --visit V770012",
        _PLACE,
        *_VISIT,
        _AT,
    ),
    _tells(
        "release",
        "release",
        "Tell that a cap serves its patient no longer. PLACE: a chair, UNIT:CAP or a token.",
        "c12",
        _PLACE,
        _AT,
    ),
    _tells(
        "reassign",
        "reassign",
        "Tell that a session was another patient's all along.",
        "9RX2M7KQ4 --visit V770013",
        _TOKEN,
        *_VISIT,
    ),
)

command = click.Group(
    "session",
    commands=list(_COMMANDS),
    help="Look at the sessions of a running gateway, and tell it what only a person can. Acts become facts; increments "
    "follow from them.",
    epilog="Example: capgate session list --config /etc/capgate/gateway.toml. Each command has its own --help.",
)
