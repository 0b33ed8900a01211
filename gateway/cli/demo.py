"""`capgate demo`: a complete scenario on simulated units, in about two minutes.

One process runs the simulated units, a broker (unless --broker is given), the gateway and a simulated interface engine.
They communicate over sockets, a pseudo-terminal and MQTT only, and share one scaled clock, which waits for the units'
readings if the machine is too slow for the speed.
"""

import asyncio
import logging
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, tzinfo
from pathlib import Path

import click
import msgspec

from drivers.toml.document import TomlProblems
from gateway.app import run_gateway
from gateway.cli.board import Board
from gateway.cli.demo_clock import PacedClock
from gateway.cli.demo_feed import feed
from gateway.cli.watch import follow, redraw
from gateway.config.load import GatewayConfig, load_config
from gateway.config.roles import Role
from gateway.messages.instants import to_us
from gateway.messages.notation import Notation
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttDown
from gateway.runtime.clock import US_PER_S, ScaledClock
from gateway.runtime.loop import run_loop
from gateway.runtime.shipped import shipped_dir
from gateway.web.accounts import Account, hash_secret, read_accounts, write_accounts
from simulators.broker.broker import Broker
from simulators.scenario.scenario import S_PER_MIN, infusion_feed, load_scenario, repeated
from simulators.scenario.scenario_format import Scenario
from simulators.serve import CannotServe, Plant

AFTERWARDS_S = 120.0  # on the scaled clock, for messages that the last readings cause
FAREWELL_S = 10.0  # time-out for the gateway's last messages to arrive from the broker
ACCOUNT = "demo"
DAY_MIN = 24 * 60.0  # so long patients follow each other, by the viewer's clock


@click.command(
    "demo",
    epilog="Example: capgate demo --once --json. Exit codes: 0 shown, 1 the broker cannot be reached, 2 wrong use.",
)
@click.option("--once", is_flag=True, help="End by itself instead of staying up until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end: units, sessions, topics.")
@click.option("--broker", metavar="URL", help="Use this broker, mqtt://HOST:PORT, instead of an embedded one.")
@click.option(
    "--speed", type=click.FloatRange(1, 600), default=90.0, show_default=True, help="Demo seconds in a second."
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep configuration and ledger there.")
def command(once: bool, as_json: bool, broker: str | None, speed: float, keep: Path | None) -> None:
    """Show the whole job: four simulated units, pre-cooling, infusions, post-cooling and 97009 increments."""
    logging.getLogger("capgate").setLevel(logging.ERROR)
    folder = keep or Path(tempfile.mkdtemp(prefix="capgate-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    on_terminal = sys.stdout.isatty() and not as_json
    clock = PacedClock(ScaledClock(speed))
    board = _PacingBoard(clock)
    try:
        stay = on_terminal and not once
        scenario = load_scenario(shipped_dir() / "scenarios" / "clinic.toml")
        shown = repeated(scenario, DAY_MIN * speed) if stay else scenario
        with suppress(KeyboardInterrupt):
            run_loop(_Demo(shown, folder, board, clock).run(broker, draw=on_terminal, stay=stay))
    except* (TomlProblems, CannotServe) as errors:
        click.echo(f"{errors.exceptions[0]}", err=True)
        sys.exit(2)
    except* MqttDown as errors:
        click.echo(f"the broker cannot be reached: {errors.exceptions[0]}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(msgspec.json.encode(board.as_json()))
    else:
        _summary(board, folder)


class _PacingBoard(Board):
    """A board that advances the demo's clock as readings arrive from all units whose link is up."""

    def __init__(self, clock: PacedClock) -> None:
        super().__init__()
        self._clock = clock

    def take(self, topic: str, payload: bytes) -> None:
        """Apply one message, and advance the clock."""
        super().take(topic, payload)
        up = [self.observed[unit] for unit, row in self.units.items() if row.link == "up" and unit in self.observed]
        self._clock.follow(to_us(datetime.fromisoformat(min(up))) if up else None)


class _Demo:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, folder: Path, board: Board, clock: PacedClock) -> None:
        self._scenario = scenario
        self._folder = folder
        self._board = board
        self._clock = clock

    async def run(self, broker: str | None, draw: bool, stay: bool) -> None:
        """Play the scenario to its end; with `stay` until SIGINT.

        Raises MqttDown, CannotServe, TomlProblems, alone or in a group.
        """
        stop = asyncio.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
        async with AsyncExitStack() as stack:
            url = broker or await stack.enter_async_context(_embedded_broker())
            plant = Plant(self._scenario, self._now_s, lambda moment: None)
            urls = await stack.enter_async_context(plant.serving())
            ports = {"health_port": str(_free_port()), "web_port": str(_free_port())}
            config = load_config(self._configuration({"broker": url, **ports, **urls}))
            page = f"http://127.0.0.1:{ports['web_port']}/"
            password = _with_account(config.state_dir)
            click.echo(f"the suite's page: {page}  sign in as {ACCOUNT} with the password {password}", err=True)
            await self._play(config, stop, page, draw, stay)

    async def _play(self, config: GatewayConfig, stop: asyncio.Event, page: str, draw: bool, stay: bool) -> None:
        topics = Topics(config.site, config.id, config.mode)
        client = msgspec.structs.replace(config.mqtt, client_id=f"demo-{secrets.token_hex(4)}", session_expiry_s=0)
        engine = msgspec.structs.replace(client, client_id=f"engine-{secrets.token_hex(4)}")
        items = infusion_feed(self._scenario)
        async with asyncio.TaskGroup() as group:
            gateway_stop = asyncio.Event()
            gateway = group.create_task(run_gateway(config, self._clock, gateway_stop))
            clients = [
                group.create_task(follow(client, f"{topics.root}/#", self._board)),
                group.create_task(
                    feed(
                        engine,
                        topics.inbound(Notation.JSON).topic,
                        items,
                        self._clock.start.utc_us,
                        self._now_s,
                        self._clock.speed,
                        lambda: self._board.gateway.startswith("online"),
                    )
                ),
            ]
            clients.append(group.create_task(self._show(page, config.people_zone, draw)))
            await self._until_end(stop, stay)
            gateway_stop.set()
            await gateway
            await self._last_messages()
            for task in clients:
                task.cancel()

    async def _show(self, page: str, zone: tzinfo, draw: bool) -> None:
        """Name the screen of the first treatment once it runs, then draw the table or print progress."""
        while not self._board.sessions:  # noqa: ASYNC110 - a board has no event for it
            await asyncio.sleep(0.1)
        click.echo(f"a treatment that runs: {page}session/{next(iter(self._board.sessions))}", err=True)
        await (redraw(self._board, self._clock, zone) if draw else _progress(self._board))

    async def _until_end(self, stop: asyncio.Event, stay: bool) -> None:
        length_s = self._scenario.length_min * S_PER_MIN + AFTERWARDS_S
        while not stop.is_set() and (stay or self._now_s() < length_s):
            with suppress(TimeoutError):
                async with asyncio.timeout(None if stay else (length_s - self._now_s()) / self._clock.speed):
                    await stop.wait()

    async def _last_messages(self) -> None:
        """Wait for the gateway's offline status, so that everything published before has reached the board."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while not self._board.gateway.startswith("offline"):  # noqa: ASYNC110 - a board has no event for it
                    await asyncio.sleep(0.02)

    def _now_s(self) -> float:
        """Seconds of the scenario since its start."""
        return (self._clock.now().boot_us - self._clock.start.boot_us) / US_PER_S

    def _configuration(self, words: dict[str, str]) -> Path:
        """Write the demo's configuration with `words` (placeholder -> value) filled in; returns its path."""
        text = (shipped_dir() / "demo.toml").read_text()
        for name, value in words.items():
            text = text.replace(f"{{{name}}}", value)
        path = self._folder / "gateway.toml"
        path.write_text(text)
        return path


def _with_account(state_dir: Path) -> str:
    """Make the demo's account, which may do everything; its password, drawn anew for each demo."""
    password = secrets.token_urlsafe(9)
    account = Account(name=ACCOUNT, role=Role.ADMIN, password=hash_secret(password))
    state_dir.mkdir(parents=True, exist_ok=True)
    write_accounts(state_dir, read_accounts(state_dir).with_account(account))
    return password


@asynccontextmanager
async def _embedded_broker() -> AsyncGenerator[str]:
    async with Broker() as broker:
        yield f"mqtt://127.0.0.1:{broker.port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def _progress(board: Board) -> None:
    """Print a line on stderr for each change of the number of increments, where no table is drawn."""
    shown = 0
    while True:  # ends with the task
        await asyncio.sleep(0.5)
        count = sum(len(session.valid_increments()) for session in board.sessions.values())
        if count != shown:
            click.echo(f"{board.time}  sessions {len(board.sessions)}  97009 increments {count}", err=True)
            shown = count


def _summary(board: Board, folder: Path) -> None:
    """Print sessions, increments and counts of messages, and what to try next."""
    for session in board.sessions.values():
        increments = session.valid_increments()
        place = f"{session.unit} cap {session.cap}"
        click.echo(f"session {session.session} on {place}: {len(increments)} increments of 97009")
        for row in increments:
            click.echo(f"  {row.increment}{row.revision}  attained {row.attained_at}")
        if session.flags:
            click.echo(f"  to review: {', '.join(session.flags)}")
    click.echo(f"messages on {len(board.topics)} topics, {sum(board.topics.values())} in all")
    click.echo(f"configuration and ledger: {folder}")
    click.echo(f"look next: capgate check {folder / 'gateway.toml'}; capgate simulate --help; docs/tutorial.md")
