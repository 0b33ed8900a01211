"""A small infusion suite of real processes: mosquitto, simulated units, the installed gateway, and who listens."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.runtime.clock import SystemClock
from simulators.faults import Fault
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant
from simulators.unit import Verb, perform
from tests.broker.harness import Mosquitto, eventually, free_port
from tests.broker.proxy import Proxy
from tests.bus.recorder import recorded_capgate

CAPGATE = recorded_capgate()
ROOT = "capgate-test"
TOPIC_IN = f"{ROOT}/v1/ward/ehr/in/json"
LAST_TOPIC = f"{ROOT}/over"
HANGS_S = 120.0  # what takes longer does not happen at all

POLICY = """
name = "fast"
revision = "1"
effective = 2026-01-01
approved_by = "the tests"
first_threshold_s = {first_s}
increment_s = {further_s}
max_gap_s = 2.0
auto_release_limit_units = 99
"""

GATEWAY = """
[gateway]
site = "ward"
id = "{gateway}"
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
id = "{unit}"
profile = "reference-cap-unit"
unit_id = {unit_id}
poll_period_s = 0.5
simulated = true
cap = [{{ cap = 1, chair = "{chair}" }}]
"""

LINE = """
schema = 1
name = "one-line"
length_min = 1

[[line]]
id = "net-1"
dialect = "modbus-tcp"
tcp = "127.0.0.1:0"
"""
UNIT = """
[[unit]]
id = "{id}"
line = "net-1"
map = "reference"
unit_id = {unit_id}
serial_number = "RCU1-00000{unit_id}"
set_point_c = -4.0
"""

SECOND_UNIT = """
[[line.unit]]
id = "cap-02"
profile = "reference-cap-unit"
unit_id = 2
poll_period_s = 0.5
simulated = true
"""  # to be added to GATEWAY, on its line


class Gateway:
    """The installed gateway as a process of its own, to be killed and started again."""

    def __init__(self, folder: Path, program: Path = CAPGATE) -> None:
        self.folder = folder
        self.program = program
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ledger(self) -> Path:
        """Where it keeps what must survive."""
        return self.folder / "state" / "ledger.db"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        if self._process is None:
            raise AssertionError("it was never started")
        return self._process.pid

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Run it; its log goes to a file that all of its lives share."""
        with (self.folder / "gateway.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self.program, "run", "--config", self.folder / "gateway.toml", "--log", "json", stderr=log
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

    async def died(self) -> None:
        """Wait until it was killed."""
        if self._process is None:
            raise AssertionError("it was never started")
        try:
            async with asyncio.timeout(HANGS_S):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.returncode == -signal.SIGKILL, (self.folder / "gateway.log").read_text()[-3000:]

    async def connected(self) -> None:
        """Wait until it has subscribed."""
        await self.says("connected to the broker")

    async def says(self, words: str, times: int = 1) -> None:
        """Wait until its log has `words`, in all of its lives together so many times."""
        log = self.folder / "gateway.log"
        await until(lambda: log.read_text().count(words) >= times, f"the gateway says: {words}")

    async def end(self, signum: signal.Signals) -> int:
        """Send it a signal; its exit code."""
        if self._process is None:
            raise AssertionError("it was never started")
        if self._process.returncode is not None:
            raise AssertionError(f"it ended by itself:\n{(self.folder / 'gateway.log').read_text()[-3000:]}")
        self._process.send_signal(signum)
        return await self._process.wait()


def one_line(*units: str) -> str:
    """A scenario with those units and no more, at rest, on one line of Modbus TCP; unit ids count from 1."""
    tables = [UNIT.format(id=unit, unit_id=number) for number, unit in enumerate(units, start=1)]
    return LINE + "".join(tables)


class Units:
    """Simulated units, whose only line is at `url`."""

    def __init__(self, plant: Plant, url: str) -> None:
        self.url = url
        self._plant = plant

    def cool(self, unit: str) -> None:
        """Somebody puts the cap on and starts."""
        self._do(unit, Verb.CONNECT)
        self._do(unit, Verb.START)

    def stop(self, unit: str) -> None:
        """Somebody stops it."""
        self._do(unit, Verb.STOP)

    def afflict(self, unit: str, fault: Fault) -> None:
        """Something goes wrong with it."""
        self._plant.unit(unit).begin_fault(fault)

    def _do(self, unit: str, verb: Verb) -> None:
        perform(self._plant.unit(unit).machine, verb, 1)


@asynccontextmanager
async def serving(folder: Path, scenario: str) -> AsyncGenerator[Units]:
    """The units of a scenario of one line, which live at the pace of the wall and are worked by the test."""
    file = folder / "scenario.toml"
    file.write_text(scenario)
    clock = SystemClock()
    began_us = clock.now().boot_us
    plant = Plant(load_scenario(file), lambda: (clock.now().boot_us - began_us) / 1e6, lambda _: None)
    async with plant.serving() as urls:
        (url,) = urls.values()
        yield Units(plant, url)


@asynccontextmanager
async def listener(broker: Mosquitto, file: Path, form: str = "%t %x") -> AsyncGenerator[None]:
    """mosquitto_sub with a lasting session, one line a message in its own notation: topic, payload in hex.

    It has subscribed when the block begins; when the block ends, it has heard all that was published until then.
    """
    with file.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            "stdbuf", "-oL", "mosquitto_sub", "-d", "-V", "mqttv5", "-p", str(broker.port), "-i", "listener",
            "-c", "-x", "3600", "-q", "1", "-t", f"{ROOT}/#", "-F", form, stdout=out,
        )  # fmt: skip
        try:
            await until(lambda: "Subscribed" in file.read_text(), "the listener subscribes")
            yield
            await publish(broker, LAST_TOPIC, "over")
            await until(lambda: f"\n{LAST_TOPIC}" in file.read_text(), "the listener has heard everything")
        finally:
            process.terminate()
            await process.wait()


def received(file: Path) -> list[tuple[str, bytes]]:
    """What a listener has written: topic and payload."""
    lines = [line.split(" ") for line in whole_lines(file)]
    return [(topic, bytes.fromhex(payload)) for topic, payload in lines]


def whole_lines(file: Path) -> list[str]:
    """A listener's lines that have their end, without its own remarks."""
    whole = file.read_text().rpartition("\n")[0].splitlines()
    return [line for line in whole if line.startswith(f"{ROOT}/") and not line.startswith(LAST_TOPIC)]


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what other processes do; a busy machine may take its time. Fails with `what` when they hang."""
    await eventually(condition, what, HANGS_S)


async def publish(broker: Mosquitto, topic: str, payload: str) -> None:
    """One message, by a client that others wrote."""
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", "-V", "mqttv5", "-p", str(broker.port), "-q", "1", "-t", topic, "-m", payload
    )
    assert await process.wait() == 0


async def send_event(broker: Mosquitto, name: str, thing: str, at: datetime, data: dict[str, object]) -> None:
    """What the EHR's interface engine would publish, by a client that others wrote."""
    event = {
        "specversion": "1.0",
        "type": f"org.example.ehr.{thing}.v1",
        "source": "urn:example:engine",
        "id": name,
        "time": at.isoformat(timespec="milliseconds"),
        "data": data,
    }
    await publish(broker, TOPIC_IN, json.dumps(event))


def write_configuration(
    folder: Path,
    url: str,
    broker: Mosquitto | Proxy,
    first_s: int,
    further_s: int,
    *,
    gateway: str = "gw-01",
    unit_id: int = 1,
    chair: str = "c01",
) -> None:
    """A gateway for one unit, `cap-01` at address 1, and a policy whose thresholds pass in seconds."""
    (folder / "policy.toml").write_text(POLICY.format(first_s=first_s, further_s=further_s))
    text = GATEWAY.format(
        url=url,
        broker_port=broker.port,
        health_port=free_port(),
        gateway=gateway,
        unit=f"cap-{unit_id:02d}",
        unit_id=unit_id,
        chair=chair,
    )
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
