"""`capgate feed`: what became of the interface engine's messages."""

from gateway.cli.control_client import request_command
from gateway.control.answers import FeedAnswer

command = request_command(
    "",
    "feed",
    "Show what became of the messages of the EHR and its interface engine: today's and all since the gateway started, "
    "by sender, type and answer, with the last one's id. No content of a message is kept or shown.",
    "",
    {"request": "feed"},
    FeedAnswer,
)
