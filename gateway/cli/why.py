"""`capgate why`: why a session has so many units and not one more."""

import click

from gateway.cli.control_client import request_command
from gateway.control.answers import WhyAnswer
from gateway.session.wording import Language

command = request_command(
    "",
    "why",
    "Say why a session has so many units and not one more, in sentences with figures: what counted and what did not, "
    "and what holds its charge. SESSION is its token, its visit's number, or the chair or cap that it is on now.",
    "9RX2M7KQ4 ",
    {"request": "why"},
    WhyAnswer,
    click.Argument(["session"]),
    click.Option(
        ["--language"],
        type=click.Choice([each.value for each in Language]),
        help="Of the sentences.  [default: the page's, by the gateway's configuration]",
    ),
)
