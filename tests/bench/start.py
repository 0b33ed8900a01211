"""What a start costs on a ledger of many entries: `python -m tests.bench.start`.

The installed gateway is started on a new ledger and on large ones, with a hundred units in the middle of a day. For
each: how soon the first unit was asked and how soon all were, the processor time that this took, and the memory, at its
greatest and once the start is over. Prints what was measured and asserts nothing.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.bench.long_ledger import GATEWAY, SITE, Size, unit_id, write_ledger
from tests.bench.measurer import Plant, Record, cpu_s, memory_mib
from tests.broker.harness import Mosquitto

UNITS = 100
FIRST_PORT = 24500
SETTLED_S = 10.0  # from the start on: the first minute's tick has not come, the first answers are recorded
GIVEN_UP_S = 120.0

CONFIG = """
[gateway]
site = "{site}"
id = "{gateway}"
mode = "test"
state_dir = "{state}"

[mqtt]
url = "mqtt://127.0.0.1:{broker_port}"

[health]
listen = "127.0.0.1:0"
"""
LINE = """
[[line]]
id = "line-{number:02d}"
url = "socket://127.0.0.1:{port}"

[[line.unit]]
id = "{unit}"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 1
simulated = true
"""


class Start(msgspec.Struct, frozen=True):
    """One start, from the process's beginning on."""

    first_s: float  # until the first unit was asked
    all_s: float  # until every unit was
    cpu_s: float  # spent by then
    peak_mib: float  # up to the end
    rss_mib: float


def sizes(until_us: int) -> Mapping[str, Size | None]:
    """The ledgers, by what is in them; None: there is none yet."""
    return {
        "new": None,
        "1,000,000 entries, 1,000 held sessions": Size(units=UNITS, held=1_000, until_us=until_us),
        "1,000,000 waiting messages": Size(1_000, UNITS, waiting=1_000_000, until_us=until_us),
    }


def configure(folder: Path, state: Path, broker_port: int) -> Path:
    """The configuration of a hundred units, each with a line of its own."""
    text = CONFIG.format(site=SITE, gateway=GATEWAY, state=state, broker_port=broker_port)
    for number in range(UNITS):
        text += LINE.format(number=number, unit=unit_id(number), port=FIRST_PORT + number)
    path = folder / "gateway.toml"
    path.write_text(text)
    return path


async def start(config: Path) -> Start:
    """Start the gateway, wait until it has asked every unit and settled, and end it."""
    record = Record()
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda n=number: Plant(record, n), "127.0.0.1", FIRST_PORT + number)
        for number in range(UNITS)
    ]
    command = [str(Path(sys.executable).with_name("capgate")), "run", "--config", str(config)]
    began_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        while len(record.polls) < UNITS:
            if process.returncode is not None or time.perf_counter() - began_s > GIVEN_UP_S:
                raise RuntimeError("the gateway does not poll")
            await asyncio.sleep(0.002)
        spent_s = cpu_s(process.pid)
        firsts_s = [instants[0] for instants in record.polls.values()]
        await asyncio.sleep(began_s + SETTLED_S - time.perf_counter())
        peak_mib, rss_mib = memory_mib(process.pid)
        return Start(min(firsts_s) - began_s, max(firsts_s) - began_s, spent_s, peak_mib, rss_mib)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        for server in servers:
            server.close()


async def main(folder: Path) -> None:
    """Print a row for each ledger."""
    say(f"{'ledger':40} {'first poll s':>12} {'all polled s':>12} {'CPU s':>6} {'peak MiB':>9} {'RSS MiB':>8}")
    with Mosquitto(folder, ["max_queued_messages 20000", "set_tcp_nodelay true"]) as broker:
        for name, size in sizes(time.time_ns() // 1000).items():
            state = folder / "state"
            shutil.rmtree(state, ignore_errors=True)
            if size is not None:
                write_ledger(state / "ledger.db", size)
            seen = await start(configure(folder, state, broker.port))
            say(f"{name:40} {seen.first_s:12.2f} {seen.all_s:12.2f} {seen.cpu_s:6.2f} {seen.peak_mib:9.1f} "
                f"{seen.rss_mib:8.1f}")  # fmt: skip


def say(line: str) -> None:
    """A line of the result, at once: writing a ledger takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        asyncio.run(main(Path(name)))
