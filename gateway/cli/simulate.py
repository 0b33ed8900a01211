"""`capgate simulate`: serves simulated units on TCP ports and pseudo-terminals."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import click
import msgspec

from drivers.diagnose.capture import Capture, NotACapture
from drivers.dialects.base import Dialect
from drivers.dialects.registry import DialectName
from drivers.toml.document import TomlProblems
from gateway.runtime.clock import US_PER_S, ScaledClock
from gateway.runtime.shipped import shipped_dir
from simulators.control import controlling
from simulators.endpoints import AUTO, Write, tcp_listener, terminal
from simulators.maps import MapName
from simulators.replayer import RecordedAnswers, ReplayHandler, load_recorded
from simulators.scenario.scenario import S_PER_MIN, load_scenario
from simulators.scenario.scenario_format import LineEntry, Scenario, UnitEntry
from simulators.serve import CannotServe, Plant
from simulators.unit import Moment

WRONG_USE = 2

# The shipped profile that reads each make; the simulators themselves do not use profiles.
PROFILES = {
    MapName.REFERENCE: "reference-cap-unit",
    MapName.SMC_HRS: "smc-hrs",
    MapName.EUROTHERM: "eurotherm-3200",
    MapName.JULABO: "julabo-cf",
    MapName.JULABO_PRESTO: "julabo-presto",
    MapName.JULABO_MAGIO: "julabo-magio",
    MapName.POLYSCIENCE: "polyscience-chiller",
    MapName.POLYSCIENCE_LS: "polyscience-ls",
    MapName.WATLOW: "watlow-ez-zone",
    MapName.NESLAB: "thermo-neslab-ex",
    MapName.THERMOFLEX: "thermo-thermoflex",
    MapName.HUBER: "huber-pb",
    MapName.LAUDA: "lauda-pro",
    MapName.LAUDA_MICROCOOL: "lauda-microcool",
}
PROFILE_DIALECTS = {
    MapName.REFERENCE: DialectName.MODBUS_TCP,
    MapName.SMC_HRS: DialectName.MODBUS_ASCII,
    MapName.EUROTHERM: DialectName.MODBUS_RTU,
    MapName.JULABO: DialectName.JULABO,
    MapName.JULABO_PRESTO: DialectName.MODBUS_TCP,
    MapName.JULABO_MAGIO: DialectName.MODBUS_TCP,
    MapName.POLYSCIENCE: DialectName.POLYSCIENCE,
    MapName.POLYSCIENCE_LS: DialectName.POLYSCIENCE,
    MapName.WATLOW: DialectName.MODBUS_RTU,
    MapName.NESLAB: DialectName.NC,
    MapName.THERMOFLEX: DialectName.NC,
    MapName.HUBER: DialectName.HUBER_PB,
    MapName.LAUDA: DialectName.LAUDA,
    MapName.LAUDA_MICROCOOL: DialectName.LAUDA,
}


# Overrides for a pseudo-terminal, which has no parity, no 7-bit mode and no handshake.
_TERMINAL_SETTINGS = ("bits=8", "parity=none", "handshake=none")


class _Endpoint(msgspec.Struct, frozen=True):
    unit: str
    line: str
    url: str
    dialect: str
    unit_id: int | None
    profile: str
    set: tuple[str, ...]  # overrides that the profile needs, as KEY=VALUE

    def __str__(self) -> str:
        options = [] if self.unit_id is None else [f"--unit-id {self.unit_id}"]
        options += [f"--set {override}" for override in self.set]
        return " ".join([f"{self.unit:10} capgate probe {self.url} --profile {self.profile}", *options])


class _Start(msgspec.Struct, frozen=True):
    scenario: str
    length_s: float
    speed: float
    control: str | None
    endpoints: tuple[_Endpoint, ...]


def _place(_context: click.Context, _option: click.Parameter, text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    try:
        return _host_and_port(text)
    except ValueError:
        raise click.BadParameter("accepted: HOST:PORT on the loopback, such as 127.0.0.1:9700") from None


_EPILOG = """\
\b
Examples:
  capgate simulate --speed 60 --control 127.0.0.1:9700
  capgate simulate --capture bath.jsonl --at auto
"""


@click.command("simulate", epilog=_EPILOG)
@click.argument("scenario", required=False, type=click.Path(path_type=Path))
@click.option(
    "--speed", type=click.FloatRange(0.1, 1000), default=1.0, show_default=True, help="Simulated seconds a second."
)
@click.option("--control", metavar="HOST:PORT", callback=_place, help="Take commands there, one JSON object a line.")
@click.option("--until-end", is_flag=True, help="Stop at the scenario's end instead of at Ctrl-C.")
@click.option(
    "--capture",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Instead of a scenario, answer what a capture recorded, as it was answered then.",
)
@click.option("--dialect", type=click.Choice([*DialectName]), help="With --capture: the language, if it names none.")
@click.option(
    "--at",
    "place",
    default="127.0.0.1:0",
    show_default=True,
    help='With --capture: HOST:PORT, "auto" for a pseudo-terminal, or a path for a link to one.',
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; the first has every endpoint.")
def command(
    scenario: Path | None,
    speed: float,
    control: tuple[str, int] | None,
    until_end: bool,
    capture: Path | None,
    dialect: str | None,
    place: str,
    as_json: bool,
) -> None:
    """Serve simulated units alone: those of SCENARIO, a TOML file, or of the shipped clinic; or a capture."""
    if capture is not None:
        if scenario is not None or control is not None or until_end:
            raise click.UsageError("--capture goes with --at, --dialect and --json alone")
        _replay(capture, DialectName(dialect) if dialect else None, place, as_json)
        return
    try:
        loaded = load_scenario(scenario or shipped_dir() / "scenarios" / "clinic.toml")
        asyncio.run(_serve(loaded, speed, control, until_end, _json_line if as_json else _text_line))
    except (TomlProblems, CannotServe) as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USE) from None


def _replay(path: Path, override: DialectName | None, place: str, as_json: bool) -> None:
    """Replay the capture's answers until a signal."""
    try:
        recorded, capture, codec = load_recorded(path, override)
        asyncio.run(_serve_recorded(recorded, capture, codec, place, as_json))
    except (NotACapture, OSError, ValueError) as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USE) from None


async def _serve_recorded(
    recorded: RecordedAnswers, capture: Capture, codec: Dialect, place: str, as_json: bool
) -> None:
    stop = _stopped_by_signal()

    def make_handler(write: Write) -> ReplayHandler:
        return ReplayHandler(recorded, codec, write)

    async with AsyncExitStack() as stack:
        if place == AUTO or place.startswith("/"):
            url = stack.enter_context(terminal(place, make_handler))
        else:
            host, port = _host_and_port(place)
            url = f"socket://{host}:{await stack.enter_async_context(tcp_listener(host, port, make_handler))}"
        header = capture.header
        if as_json:
            click.echo(msgspec.json.encode({"url": url, "header": header, "unit_ids": recorded.unit_ids}))
        else:
            address = [f"--unit-id {each}" for each in recorded.unit_ids[:1] if each is not None]
            settings = [f"--set {each}" for each in _TERMINAL_SETTINGS] if url.startswith("/") else []
            example = " ".join([f"capgate probe {url} --profile {header.profile or 'ID'}", *address, *settings])
            click.echo(f"{header.line} as recorded from {header.started_at}\n{example}")
        await stop.wait()


def _host_and_port(place: str) -> tuple[str, int]:
    """Split HOST:PORT. Raises ValueError."""
    host, _, port = place.rpartition(":")
    if not host or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f'{place!r}, accepted: HOST:PORT, "auto", or a path for a link to a pseudo-terminal')
    return host.strip("[]"), int(port)


def _stopped_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    return stop


async def _serve(
    scenario: Scenario,
    speed: float,
    control: tuple[str, int] | None,
    until_end: bool,
    line_for: Callable[[_Start | Moment], str],
) -> None:
    stop = _stopped_by_signal()

    def say(news: _Start | Moment) -> None:
        try:
            click.echo(line_for(news))
        except BrokenPipeError:  # the reader of stdout has closed it
            stop.set()

    length_s = scenario.length_min * S_PER_MIN
    plant = Plant(scenario, _seconds_since_now(speed), say)
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(controlling(plant, *control)) if control else None
        urls = await stack.enter_async_context(plant.serving())
        say(_Start(scenario.name, length_s, speed, place, _endpoints(scenario, urls)))
        try:
            async with asyncio.timeout(length_s / speed if until_end else None):
                await stop.wait()
        except TimeoutError:
            plant.advance()


def _seconds_since_now(speed: float) -> Callable[[], float]:
    clock = ScaledClock(speed)
    start_us = clock.now().boot_us
    return lambda: (clock.now().boot_us - start_us) / US_PER_S


def _endpoints(scenario: Scenario, urls: dict[str, str]) -> tuple[_Endpoint, ...]:
    lines = {line.id: line for line in scenario.line}
    return tuple(_endpoint(unit, lines[unit.line], urls[unit.line]) for unit in scenario.unit)


def _endpoint(unit: UnitEntry, line: LineEntry, url: str) -> _Endpoint:
    overrides = _TERMINAL_SETTINGS if line.pty else ()
    if line.dialect is not PROFILE_DIALECTS[unit.map]:
        overrides = (f"dialect={line.dialect}", *overrides)
    return _Endpoint(unit.id, unit.line, url, line.dialect, unit.unit_id, PROFILES[unit.map], overrides)


def _json_line(news: _Start | Moment) -> str:
    return msgspec.json.encode(news).decode()


def _text_line(news: _Start | Moment) -> str:
    match news:
        case _Start():
            head = f"{news.scenario}: {news.length_s / S_PER_MIN:g} simulated minutes at speed {news.speed:g}"
            control = [f"control at {news.control}"] if news.control else []
            return "\n".join([head, *control, *map(str, news.endpoints)])
        case Moment():
            minutes, seconds = divmod(round(news.at_s), S_PER_MIN)
            cap = "" if news.cap is None else f" cap {news.cap}"
            problem = f": not done, {news.problem}" if news.problem else ""
            return f"{minutes:4}:{seconds:02} {news.unit}{cap}: {news.what}{problem}"
