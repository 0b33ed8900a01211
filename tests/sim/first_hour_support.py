"""Units on a bench, and the commands of the first hour run against them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from click.testing import CliRunner, Result

from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant


def unit(map_name: str, unit_id: int | None = None, more: str = "") -> str:
    """A unit's table, all but its id and line."""
    address = "" if unit_id is None else f"unit_id = {unit_id}\n"
    return f'map = "{map_name}"\nserial_number = "10012345"\nset_point_c = -4.0\nsupply_c = -4.2\n{address}{more}'


@asynccontextmanager
async def bench(folder: Path, dialect: str, *units: str, place: str = 'tcp = "127.0.0.1:0"') -> AsyncGenerator[str]:
    """Those units on one line, at rest; gives its URL."""
    tables = [f'[[unit]]\nid = "unit-{at}"\nline = "line-1"\n{each}' for at, each in enumerate(units)]
    (folder / "bench.toml").write_text(
        "\n".join(
            [
                'schema = 1\nname = "bench"\nlength_min = 1',
                f'[[line]]\nid = "line-1"\ndialect = "{dialect}"\n{place}',
                *tables,
            ]
        )
    )
    plant = Plant(load_scenario(folder / "bench.toml"), lambda: 0.0, lambda _: None)
    async with plant.serving() as urls:
        yield urls["line-1"]


async def run(command: click.Command, *arguments: str) -> Result:
    """The command, in a thread of its own while the units answer on the loop."""
    return await asyncio.to_thread(CliRunner().invoke, command, list(arguments))
