"""`capgate unit`: changes of units, requested from the running gateway over its control socket."""

import click
import msgspec

from gateway.cli.control_client import request_command, signed
from gateway.control.answers import DoneAnswer

_WHO_AND_WHY, _SWAP_EXAMPLE = signed("cap-07 loaner-2")
_, _BACK_EXAMPLE = signed("cap-07")
_, _CLOCK_EXAMPLE = signed("")


def _overrides(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, object] | None:
    """Parse `KEY=VALUE` arguments into overrides; numbers and booleans keep their type."""
    found: dict[str, object] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals:
            raise click.BadParameter("not KEY=VALUE")
        try:
            found[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[key] = value
    return found or None


_COMMANDS = (
    request_command(
        "unit",
        "swap",
        "Put LOANER in the place of UNIT, until swap-back: same chairs, same line, and a patient who is served goes on "
        "with it. The configuration file is not touched; calibration offsets of UNIT do not apply.",
        _SWAP_EXAMPLE,
        {"request": "swap"},
        DoneAnswer,
        click.Argument(["unit"]),
        click.Argument(["loaner"]),
        click.Option(["--profile"], help="The loaner's profile, if it is another kind of machine."),
        click.Option(["--unit-id"], type=int, help="The loaner's address, if it is another."),
        click.Option(["--url"], help="The loaner's line, if it is another and UNIT was alone on its own."),
        click.Option(["--set"], multiple=True, callback=_overrides, help="KEY=VALUE, an override as in the file."),
        *_WHO_AND_WHY,
    ),
    request_command(
        "unit",
        "swap-back",
        "UNIT is at its place again: what stood in for it is no longer polled.",
        _BACK_EXAMPLE,
        {"request": "swap-back"},
        DoneAnswer,
        click.Argument(["unit"]),
        *_WHO_AND_WHY,
    ),
    request_command(
        "unit",
        "capture",
        "Record a minute of LINE's raw traffic while its units are polled, up to 1 MiB. The file lies in the state "
        "directory, captures/LINE.jsonl, in place of the one before; capgate decode explains it.",
        "net-1 --person bm-17",
        {"request": "capture"},
        DoneAnswer,
        click.Argument(["line"]),
        click.Option(["--person"], required=True, help="Who asks for it: a name or staff number."),
    ),
    request_command(
        "unit",
        "confirm-clock",
        "The gateway's machine shows the right time: say so where a start does not count for want of a clock to "
        "believe, and no time service will vouch for it. Look at another clock first.",
        _CLOCK_EXAMPLE,
        {"request": "confirm-clock"},
        DoneAnswer,
        *_WHO_AND_WHY,
    ),
    request_command(
        "unit",
        "reload",
        "Take up the changed configuration: it is checked as a whole first, then the gateway starts again in the same "
        "process, and its sessions go on. A unit that has a cap in a session must stay in it.",
        "",
        {"request": "reload"},
        DoneAnswer,
    ),
)


@click.group(
    "unit",
    epilog="Example: capgate unit reload --config /etc/capgate/gateway.toml. Each command has its own --help.",
)
def command() -> None:
    """Swap a unit for a loaner, record a line's traffic, or take up a changed configuration."""


for each in _COMMANDS:
    command.add_command(each)
