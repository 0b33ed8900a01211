"""A small infusion suite of real processes: mosquitto, simulated units, the installed gateway, and who listens."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.runtime.clock import SystemClock
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant
from tests.broker.harness import Mosquitto, free_port
from tests.bus.recorder import recorded_capgate

CAPGATE = recorded_capgate()
TOPIC_IN = "capgate-test/v1/ward/ehr/in/json"

POLICY = """
name = "fast"
revision = "1"
effective = 2026-01-01
approved_by = "the tests"
first_threshold_s = {first_s}
increment_s = {further_s}
max_gap_s = 2.0
"""

GATEWAY = """
[gateway]
site = "ward"
id = "gw-01"
mode = "test"
state_dir = "state"

[mqtt]
url = "mqtt://127.0.0.1:{broker_port}"

[tracking]
policy = "policy.toml"

[health]
listen = "127.0.0.1:{health_port}"

[[line]]
id = "net-1"
url = "{url}"

[[line.unit]]
id = "cap-01"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 0.5
simulated = true
cap = [{{ cap = 1, chair = "c01" }}]
"""


class Gateway:
    """The installed gateway as a process of its own, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ledger(self) -> Path:
        """Where it keeps what must survive."""
        return self.folder / "state" / "ledger.db"

    async def start(self) -> None:
        """Run it; its log goes to a file that all of its lives share."""
        with (self.folder / "gateway.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                CAPGATE, "run", "--config", self.folder / "gateway.toml", "--log", "json", stderr=log
            )

    async def start_to_die(self, call: str, number: int) -> None:
        """Run it under strace until its ledger's thread makes that call for the `number`-th time, then SIGKILL."""
        strace = ["strace", "-f", "-qq", "-o", "/dev/null"]
        kill = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"]
        gateway = [CAPGATE, "run", "--config", self.folder / "gateway.toml", "--log", "json"]
        with (self.folder / "gateway.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *strace, *kill, *gateway, stderr=log, start_new_session=True
            )

    async def died(self, within_s: float) -> bool:
        """Whether it was killed in time; if not it is killed now, wherever it is."""
        if self._process is None:
            raise AssertionError("it was never started")
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            return False
        assert self._process.returncode == -signal.SIGKILL, (self.folder / "gateway.log").read_text()[-3000:]
        return True

    async def connected(self) -> None:
        """Wait until it has subscribed."""
        await self.says("connected to the broker")

    async def says(self, words: str) -> None:
        """Wait until its log has a line with `words`."""
        async with asyncio.timeout(10):
            while words.encode() not in (self.folder / "gateway.log").read_bytes():
                await asyncio.sleep(0.05)

    async def end(self, signum: signal.Signals) -> int:
        """Send it a signal; its exit code."""
        if self._process is None:
            raise AssertionError("it was never started")
        if self._process.returncode is not None:
            raise AssertionError(f"it ended by itself:\n{(self.folder / 'gateway.log').read_text()[-3000:]}")
        self._process.send_signal(signum)
        return await self._process.wait()


@asynccontextmanager
async def playing(folder: Path, scenario: str) -> AsyncGenerator[dict[str, str]]:
    """Simulated units that live through `scenario` from now on, at the pace of the wall; line -> URL."""
    file = folder / "scenario.toml"
    file.write_text(scenario)
    clock = SystemClock()
    began_us = clock.now().boot_us
    plant = Plant(load_scenario(file), lambda: (clock.now().boot_us - began_us) / 1e6, lambda _: None)
    async with plant.serving() as urls:
        yield urls


@asynccontextmanager
async def listener(broker: Mosquitto, file: Path) -> AsyncGenerator[None]:
    """mosquitto_sub with a lasting session, one line a message: topic, payload in hex."""
    with file.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            "mosquitto_sub", "-V", "mqttv5", "-p", str(broker.port), "-i", "listener", "-c", "-x", "3600", "-q", "1",
            "-t", "capgate-test/#", "-F", "%t %x", stdout=out,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


def heard(file: Path) -> list[tuple[str, bytes]]:
    """What a listener has written: topic and payload."""
    lines = [line.rpartition(" ") for line in file.read_text().splitlines()]
    return [(topic, bytes.fromhex(payload)) for topic, _, payload in lines]


async def tell(broker: Mosquitto, name: str, thing: str, at: datetime, data: dict[str, object]) -> None:
    """What the EHR's interface engine would publish, by a client that others wrote."""
    event = {
        "specversion": "1.0",
        "type": f"org.example.ehr.{thing}.v1",
        "source": "urn:example:engine",
        "id": name,
        "time": at.isoformat(timespec="milliseconds"),
        "data": data,
    }
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-V", "mqttv5", "-p", str(broker.port), "-q", "1", "-t", TOPIC_IN, "-m", json.dumps(event)
    )
    assert await process.wait() == 0


def write_configuration(folder: Path, url: str, broker: Mosquitto, first_s: int, further_s: int) -> None:
    """A gateway for one unit, and a policy whose thresholds pass in seconds."""
    (folder / "policy.toml").write_text(POLICY.format(first_s=first_s, further_s=further_s))
    text = GATEWAY.format(url=url, broker_port=broker.port, health_port=free_port())
    (folder / "gateway.toml").write_text(text)


def in_future(seconds: float) -> datetime:
    """An instant by the wall clock, in whole milliseconds."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def environment_has(*programs: str) -> None:
    """Fails when a program that the tests need is missing."""
    paths = [Path(folder) / program for program in programs for folder in os.environ["PATH"].split(":")]
    missing = [program for program in programs if not any(path.name == program and path.exists() for path in paths)]
    assert not missing, f"not installed: {', '.join(missing)}; run tests/install-tools"
