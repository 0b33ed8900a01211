"""`make bench`: the gateway beside two yardsticks, each on the same schedule and payload, at several sizes.

Prints what was measured and asserts nothing. Each subject is a process of its own; its CPU seconds and resident memory
are the kernel's figures for that process over the counted window. The units and the subscriber live in this process.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measurer import Figures, Plant, Record, Subscriber, cpu_s, memory_mib, on_time_percent
from tests.broker.harness import Mosquitto

HERE = Path(__file__).parent
WARM_UP_S = 12.0  # at the start every cap of the plant begins a session at once; polling is what is measured
WINDOW_S = 15.0
SIZES = (10, 100, 500, 1000)
FIRST_PORT = 21500

GATEWAY = """
[gateway]
site = "bench"
id = "gw-01"
mode = "test"
state_dir = "state-{units}"

[mqtt]
url = "mqtt://127.0.0.1:{broker_port}"

[health]
listen = "127.0.0.1:0"
"""
LINE = """
[[line]]
id = "l{number:04d}"
url = "socket://127.0.0.1:{port}"

[[line.unit]]
id = "u{number:04d}"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 1
simulated = true
"""


def gateway_config(folder: Path, units: int, broker_port: int) -> Path:
    """A gateway configuration with one TCP line a unit, polled once a second."""
    text = GATEWAY.format(units=units, broker_port=broker_port)
    for number in range(units):
        text += LINE.format(number=number, port=FIRST_PORT + number)
    path = folder / f"gateway-{units}.toml"
    path.write_text(text)
    return path


async def measure(command: Sequence[str], record: Record, units: int) -> Figures:
    """Run one subject against the plant and take its figures over the window."""
    started_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while record.first_message_at_s is None:
            if process.returncode is not None or time.perf_counter() - started_s > 60:
                raise RuntimeError(f"no message came from: {' '.join(command)}")
            await asyncio.sleep(0.002)
        first_message_s = record.first_message_at_s - started_s
        await asyncio.sleep(WARM_UP_S)
        record.clear()
        before_s, opened_s = cpu_s(process.pid), time.perf_counter()
        await asyncio.sleep(WINDOW_S)
        spent_s, window_s = cpu_s(process.pid) - before_s, time.perf_counter() - opened_s
        latencies = sorted(record.latencies_s)
        cuts = statistics.quantiles(latencies, n=100)
        return Figures(
            readings=len(latencies),
            cpu_s_per_1000=1000 * spent_s / len(latencies),
            rss_mib=memory_mib(process.pid)[1],
            p50_ms=1000 * cuts[49],
            p99_ms=1000 * cuts[98],
            on_time_percent=on_time_percent(record.polls, units, window_s),
            first_message_s=first_message_s,
            payload_bytes=record.payload_bytes,
        )
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def one(kind: str, units: int, folder: Path, broker_port: int) -> Figures:
    """A fresh plant, subscriber and subject of one kind at one size."""
    record = Record()
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda n=number: Plant(record, n), "127.0.0.1", FIRST_PORT + number)
        for number in range(units)
    ]
    subscriber, _ = await loop.create_connection(
        lambda: Subscriber(record, "capgate-test/v1/bench/#"), "127.0.0.1", broker_port
    )
    if kind == "capgate":
        config = gateway_config(folder, units, broker_port)
        command = [str(Path(sys.executable).with_name("capgate")), "run", "--config", str(config)]
    else:
        command = [sys.executable, str(HERE / f"{kind}.py"), str(units), str(FIRST_PORT), str(broker_port)]
    try:
        return await measure(command, record, units)
    finally:
        subscriber.close()
        for server in servers:
            server.close()


async def main(sizes: Sequence[int]) -> None:
    """Print a table row for each kind and size, then the ratios."""
    say(f"{'units':>5} {'subject':8} {'readings':>8} {'CPU s/1000':>10} {'RSS MiB':>8} {'p50 ms':>7} {'p99 ms':>7} "
        f"{'on time %':>9} {'first msg s':>11} {'bytes':>6}")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="capgate-bench-") as name:
        folder = Path(name)
        with Mosquitto(folder, ["max_queued_messages 20000", "set_tcp_nodelay true"]) as broker:
            for units in sizes:
                rows = {kind: await one(kind, units, folder, broker.port) for kind in ("floor", "naive", "capgate")}
                for kind, row in rows.items():
                    say(f"{units:5d} {kind:8} {row.readings:8d} {row.cpu_s_per_1000:10.3f} {row.rss_mib:8.1f} "
                        f"{row.p50_ms:7.2f} {row.p99_ms:7.2f} {row.on_time_percent:9.2f} {row.first_message_s:11.2f} "
                        f"{row.payload_bytes:6d}")  # fmt: skip
                ours = rows["capgate"].cpu_s_per_1000
                floor, naive = rows["floor"].cpu_s_per_1000, rows["naive"].cpu_s_per_1000
                say(f"      capgate / floor {ours / floor:.2f}, capgate / naive {ours / naive:.2f}")


def say(line: str) -> None:
    """A line of the result, at once: the sizes take a minute each."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main([int(size) for size in sys.argv[1:]] or SIZES))
