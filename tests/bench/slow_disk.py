"""Polling beside a slow disk: `python -m tests.bench.slow_disk`.

The installed gateway polls a hundred units once a second while each wait of its ledger for the disk takes longer than
it should (strace delays the call). Every unit begins a session at the start; the rest is the minute's tick. Prints what
was measured and asserts nothing.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measurer import Plant, Record, on_time_percent
from tests.bench.start import FIRST_PORT, UNITS, configure
from tests.broker.harness import Mosquitto
from tests.support import suite

DELAYS_MS = (0, 100, 250)
WARM_UP_S = 15.0  # every unit's session opens meanwhile
WINDOW_S = 75.0  # with a minute's tick in it


def command(config: Path, delay_ms: int) -> Sequence[str]:
    """The gateway, each of whose syncs takes so much longer."""
    run = [str(Path(sys.executable).with_name("capgate")), "run", "--config", str(config)]
    if not delay_ms:
        return run
    slow = f"inject=fdatasync,fsync:delay_exit={delay_ms}000"
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", slow, *run]


async def watch(config: Path, delay_ms: int) -> float:
    """The percentage of polls that came in time within the window."""
    record, loop = Record(), asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda n=number: Plant(record, n), "127.0.0.1", FIRST_PORT + number)
        for number in range(UNITS)
    ]
    process = await asyncio.create_subprocess_exec(
        *command(config, delay_ms), stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        while len(record.polls) < UNITS:
            if process.returncode is not None:
                raise RuntimeError("the gateway does not poll")
            await asyncio.sleep(0.01)
        await asyncio.sleep(WARM_UP_S)
        record.clear()
        began_s = time.perf_counter()
        await asyncio.sleep(WINDOW_S)
        return on_time_percent(record.polls, UNITS, time.perf_counter() - began_s)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)  # strace takes no notice, the gateway does
            await process.wait()
        for server in servers:
            server.close()


def silences(ledger: Path) -> int:
    """How many silences of units were recorded."""
    query = """SELECT count(*) FROM entry WHERE kind = 'fact' AND body GLOB '{"fact":"unit_offline"*'"""
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


async def main(folder: Path) -> None:
    """Print a row for each delay."""
    sys.stdout.write(f"{'ms more a commit':>16} {'on time %':>9} {'silences':>8}\n")
    with Mosquitto(folder, ["max_queued_messages 20000", "set_tcp_nodelay true"]) as broker:
        for delay_ms in DELAYS_MS:
            state = folder / f"state-{delay_ms}"
            on_time = await watch(configure(folder, state, broker.port), delay_ms)
            sys.stdout.write(f"{delay_ms:16d} {on_time:9.2f} {silences(state / 'ledger.db'):8d}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    suite.environment_has("strace")
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        asyncio.run(main(Path(name)))
