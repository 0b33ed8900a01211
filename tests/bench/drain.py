"""How fast waiting messages reach the broker: `python -m tests.bench.drain`.

The installed gateway is started with a hundred units and a hundred thousand waiting messages, a subscriber with QoS 1
is there. Prints what was measured and asserts nothing.
"""

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.long_ledger import Size, write_ledger
from tests.bench.measurer import Plant, Record, memory_mib
from tests.bench.start import FIRST_PORT, UNITS, configure
from tests.broker.harness import Mosquitto

WAITING = 100_000
GIVEN_UP_S = 600.0


def waiting(ledger: Path) -> int:
    """How many messages the broker has not taken."""
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT rows FROM row_count WHERE what = 'waiting'").fetchone()[0]
    finally:
        connection.close()


async def drain(config: Path, ledger: Path, broker_port: int) -> None:
    """Start the gateway, wait until nothing waits, and print a row."""
    loop = asyncio.get_running_loop()
    for number in range(UNITS):
        await loop.create_server(lambda n=number: Plant(Record(), n), "127.0.0.1", FIRST_PORT + number)
    listen = ["mosquitto_sub", "-p", str(broker_port), "-q", "1", "-t", "#"]
    listener = await asyncio.create_subprocess_exec(*listen, stdout=asyncio.subprocess.DEVNULL)
    run = [str(Path(sys.executable).with_name("capgate")), "run", "--config", str(config)]
    process = await asyncio.create_subprocess_exec(*run, stderr=asyncio.subprocess.DEVNULL)
    try:
        first, began_s = waiting(ledger), time.perf_counter()
        while waiting(ledger) == first:  # until it begins to drain
            await asyncio.sleep(0.01)
        first, began_s = waiting(ledger), time.perf_counter()
        while (left := waiting(ledger)) > UNITS and time.perf_counter() - began_s < GIVEN_UP_S:
            await asyncio.sleep(0.1)
        rate = (first - left) / (time.perf_counter() - began_s)
        sys.stdout.write(f"{first - left} messages, {rate:.0f} a second, peak {memory_mib(process.pid)[0]:.1f} MiB\n")
    finally:
        for each in (process, listener):
            each.terminate()
            await each.wait()


def main() -> None:
    """Write the ledger and drain it."""
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        folder = Path(name)
        ledger = folder / "state" / "ledger.db"
        write_ledger(ledger, Size(1, 1, waiting=WAITING))
        with Mosquitto(folder, ["max_queued_messages 0", "set_tcp_nodelay true"]) as broker:
            asyncio.run(drain(configure(folder, folder / "state", broker.port), ledger, broker.port))


if __name__ == "__main__":
    main()
