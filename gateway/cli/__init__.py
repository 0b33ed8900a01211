"""The `capgate` command: each subcommand is a module of this package, imported only when it is asked for."""

import importlib
import sys
from io import TextIOWrapper

import click

_COMMANDS = {
    "run": "Run the gateway.",
    "demo": "Show the whole job on simulated units.",
    "simulate": "Serve simulated units alone.",
    "check": "Check a configuration and name every error.",
    "health": "Say whether the running gateway is well, and if not, why.",
    "status": "Say what the running gateway is, and by which policy it counts.",
    "ports": "List serial ports by stable path, and who has them open.",
    "scan": "Find the units on a line: settings, addresses, likely kinds.",
    "probe": "Read one unit once and show everything it says.",
    "lines": "Say which line, cable or unit answers badly, and when calibrations are due.",
    "diagnose": "Pack what whoever looks for a fault has to know, without secrets or patients.",
    "capture": "Record the raw traffic on a line.",
    "decode": "Explain recorded traffic frame by frame.",
    "explain": "Say how a message of the EHR would be read, and what it would change.",
    "watch": "Follow a gateway live over MQTT.",
    "session": "Look at sessions, and tell the gateway what only a person can.",
    "feed": "Show what became of the messages of the EHR and its interface engine.",
    "why": "Say why a session has so many units and not one more.",
    "unit": "Swap a unit for a loaner, record a line's traffic, take up a changed configuration.",
    "account": "Say who may sign in on the suite's page.",
    "outbox": "Look at the messages that the engine does not have, and send one again.",
    "send-test": "Send a message marked as a test, and say how far it came.",
    "bridge": "Carry HL7 messages between the broker and an engine that speaks MLLP.",
    "ledger": "Verify, show, export, copy, restore and purge what a gateway recorded.",
    "record": "Print the record of a session, for an auditor or a payer.",
    "activity": "Say who did what, and who looked at whom.",
    "shadow": "Compare computed units with minutes charted by hand.",
    "export": "Write out the history of temperatures.",
    "schema": "Print the AsyncAPI description and JSON Schemas of all messages.",
    "replay": "Compute increments from a session timeline file.",
}
# Commands whose module has another name.
_MODULES = {"send-test": "send_trial"}  # pytest would collect `send_test.py` as a test


class _LazyGroup(click.Group):
    """A click group that lists its commands without importing their modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"gateway.cli.{_MODULES.get(cmd_name, cmd_name)}")
        return module.command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in _COMMANDS:
            from drivers.toml.nearest import did_you_mean  # imported when something is misspelt

            ctx.fail(f"No such command {args[0]!r}.{did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: capgate demo. Exit codes: 0 done, 1 the answer is no, 2 wrong use or wrong configuration.",
)
@click.version_option(package_name="capgate", prog_name="capgate")
def main() -> None:
    """Capgate: reads scalp-cooling units, follows sessions, counts 97009 increments."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that lacks a letter gets an escape, no traceback
            stream.reconfigure(errors="backslashreplace")
