"""`capgate status`: what the running gateway is, and by which policies it counts."""

from gateway.cli.control_client import request_command
from gateway.control.answers import StatusAnswer

command = request_command(
    "",
    "status",
    "Show what the running gateway is: its units, how many sessions are not done, the policy in force, those to come, "
    "and whether the engine acknowledges messages.",
    "",
    {"request": "status"},
    StatusAnswer,
)
