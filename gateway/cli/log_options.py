"""The options of the log, for commands that run as services."""

import click

from gateway.runtime.logs import LogLevel

form_option = click.option(
    "--log", "form", type=click.Choice(["json", "text"]), help="Form of log lines; text on a terminal."
)
level_option = click.option(
    "--log-level",
    type=click.Choice([each.value for each in LogLevel]),
    default=LogLevel.INFO.value,
    show_default=True,
    help="Leave out log lines below this level.",
)
