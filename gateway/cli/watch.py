"""`capgate watch`: shows a live table of units, caps, sessions and increments."""

import asyncio
import secrets
import sys
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.cli.board import Board
from gateway.cli.board_socket import follow_socket
from gateway.cli.control_client import DEFAULT_SOCKET, SOCKET_HELP, ask, give_up
from gateway.cli.own_certificate import cert_option, key_option, with_own_certificate
from gateway.config.load import load_config
from gateway.control.answers import StatusAnswer, read_answer
from gateway.mqtt.client import connect
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttDown, MqttSettings, OutgoingMessage
from gateway.runtime.clock import Clock, SystemClock
from gateway.runtime.loop import run_loop

REDRAWS_PER_S = 4


@click.command(
    "watch",
    epilog="Example: sudo -u capgate capgate watch. Exit codes: 0 ended by Ctrl-C or --for, 1 no "
    "connection to the broker, 2 wrong use or no gateway.",
)
@click.option("--config", type=click.Path(path_type=Path), help="The gateway's configuration: follow it over MQTT.")
@click.option("--socket", "socket_path", type=click.Path(path_type=Path), help=SOCKET_HELP)
@cert_option
@key_option
@click.option("--for", "for_s", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Stop after so long.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end instead of a table.")
def command(
    config: Path | None,
    socket_path: Path | None,
    cert: Path | None,
    key: Path | None,
    for_s: float | None,
    as_json: bool,
) -> None:
    """Follow a gateway: by its socket, which needs no other file, or with --config over MQTT at its broker.

    Over MQTT, where the gateway has a certificate, this command needs one of its own.
    """
    board = Board()
    if config is None or socket_path is not None:
        path = socket_path or DEFAULT_SOCKET
        following, zone = follow_socket(path, board), _zone_of(path)
    else:
        try:
            settings = load_config(config)
        except TomlProblems as problems:
            give_up("\n".join(map(str, problems.problems)))
        own = with_own_certificate(settings.mqtt, cert, key)
        mqtt = msgspec.structs.replace(own, client_id=f"capgate-w-{secrets.token_hex(4)}", session_expiry_s=0)
        root = Topics(settings.site, settings.id, settings.mode).root
        following, zone = follow(mqtt, f"{root}/#", board), settings.people_zone
    try:
        with suppress(KeyboardInterrupt):
            run_loop(_watch(following, board, for_s, None if as_json else zone))
    except* MqttDown as errors:
        click.echo(f"no connection to the broker: {errors.exceptions[0]}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode(board.as_json()))


def _zone_of(path: Path) -> tzinfo:
    """In whose time people of this gateway read. Exits with 2 where none answers."""
    answer = read_answer(ask(path, b'{"request":"status"}'), StatusAnswer)
    return ZoneInfo(answer.time_zone) if isinstance(answer, StatusAnswer) and answer.time_zone else UTC


async def _watch(
    following: Coroutine[None, None, None], board: Board, for_s: float | None, zone: tzinfo | None
) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(for_s), asyncio.TaskGroup() as group:
            group.create_task(following)
            if zone is not None:
                group.create_task(redraw(board, SystemClock(), zone))


async def follow(settings: MqttSettings, topic_filter: str, board: Board) -> None:
    """Apply every message under the topic filter to `board`, until cancelled.

    Raises MqttDown.
    """
    will = OutgoingMessage(f"{topic_filter.partition('/')[0]}/watchers", b"", qos=0)
    async with connect(settings, will) as connection:
        await connection.subscribe([topic_filter], with_retained=True)
        async for message in connection.messages():
            board.take(message.topic, message.payload)
            message.ack()


async def redraw(board: Board, clock: Clock, zone: tzinfo) -> None:
    """Draw the board on the terminal until cancelled, times by `clock` in `zone`."""
    from rich.console import Console  # imported when something is drawn
    from rich.live import Live

    from gateway.cli.board_view import ASCII, UNICODE, drawn

    console = Console()
    signs = ASCII if console.options.ascii_only else UNICODE
    with Live(console=console, auto_refresh=False) as live:
        while True:  # ends with the task
            live.update(drawn(board, clock.now().utc_us, zone, signs), refresh=True)
            await asyncio.sleep(1 / REDRAWS_PER_S)
