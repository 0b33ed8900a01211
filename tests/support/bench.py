"""Units on a line in memory, and the commands of the first hour run against them in virtual time.

How fast the machine is changes nothing: the commands' timeouts and the units' delays pass on the same virtual clock.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import click
from click.testing import CliRunner, Result

from drivers.dialects.registry import DialectName, dialect
from drivers.errors import SettingsRefused
from drivers.reading import Stamp
from drivers.transport.base import ByteLink, Connector, SerialSettings
from drivers.transport.memory import FarEnd
from simulators.endpoints import MakeByteHandler
from simulators.faults import Fault
from simulators.scenario.scenario import build_units, load_scenario
from simulators.serve import UnitHandler
from simulators.unit import SimulatedUnit
from tests.virtual_time import run_virtual

SERIAL = "/dev/in-memory"
NETWORK = "socket://in-memory:502"
_OPENERS = ("gateway.cli.probe.connector", "gateway.cli.capture.connector", "drivers.diagnose.scan.connector")
_US_PER_S = 1_000_000


class _LoopClock:
    """The time of the loop that runs; before one does, its beginning."""

    def now(self) -> Stamp:
        try:
            at_us = round(asyncio.get_running_loop().time() * _US_PER_S)
        except RuntimeError:
            at_us = 0
        return Stamp(1_790_000_000 * _US_PER_S + at_us, at_us)


@contextmanager
def line_in_memory(
    make_handler: MakeByteHandler, takes: Callable[[SerialSettings], bool] = lambda _: True
) -> Generator[None]:
    """While it lasts, commands run in virtual time, and whatever line they open has a new handler at its far end.

    `takes` says which settings the port takes.
    """

    def connector(url: str, settings: SerialSettings) -> Connector:
        async def connect() -> ByteLink:
            if not takes(settings):
                raise SettingsRefused(f"{url}: the port does not take {settings}")
            far_end = FarEnd()
            link = far_end.open()
            far_end.on_request = make_handler(far_end.send).receive
            return link

        return connect

    with ExitStack() as stack:
        stack.enter_context(patch("asyncio.run", run_virtual))
        stack.enter_context(patch("gateway.cli.capture.SystemClock", _LoopClock))
        for opener in _OPENERS:
            stack.enter_context(patch(opener, connector))
        yield


def unit(map_name: str, unit_id: int | None = None, more: str = "") -> str:
    """A unit's table, all but its id and line."""
    address = "" if unit_id is None else f"unit_id = {unit_id}\n"
    return f'map = "{map_name}"\nserial_number = "10012345"\nset_point_c = -4.0\nsupply_c = -4.2\n{address}{more}'


def units_of(folder: Path, language: str, *tables: str) -> list[SimulatedUnit]:
    """Those units on one line, at rest."""
    head = 'schema = 1\nname = "bench"\nlength_min = 1'
    line = f'[[line]]\nid = "line-1"\ndialect = "{language}"\ntcp = "127.0.0.1:0"'  # a place must be named
    units = [f'[[unit]]\nid = "unit-{at}"\nline = "line-1"\n{table}' for at, table in enumerate(tables)]
    (folder / "bench.toml").write_text("\n".join([head, line, *units]))
    (built,) = build_units(load_scenario(folder / "bench.toml")).values()
    return list(built)


@contextmanager
def bench(
    folder: Path,
    language: str,
    *tables: str,
    cooling: bool = False,
    fault: Fault | None = None,
    takes: Callable[[SerialSettings], bool] = lambda _: True,
) -> Generator[str]:
    """Those units on one line in memory, at rest or cooling with cap 1, all with the fault; gives its URL."""
    units = units_of(folder, language, *tables)
    for each in units:
        each.advance(0.0)
        if cooling:
            each.machine.connect(1)
            each.machine.start(1)
        if fault is not None:
            each.begin_fault(fault)
    codec, at_address = dialect(DialectName(language)), {each.unit_id: each for each in units}
    with line_in_memory(lambda write: UnitHandler(codec, at_address, lambda _: None, write), takes):
        yield NETWORK if language == "modbus-tcp" else SERIAL


def run(command: click.Command, *arguments: str) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(command, list(arguments))
