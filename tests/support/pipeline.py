"""A unit with two caps and the real pipeline on a real ledger, at the speed of a fake clock; restarted at will."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from drivers.reading import CapReading, FaultKind, ReadFault, Reading, RunState, Stamp
from gateway.config.load import GatewayConfig, load_config
from gateway.ledger.key_ring import read_ring
from gateway.ledger.store import Ledger, open_ledger
from gateway.recording.pipeline import Pipeline
from gateway.runtime.kernel_clock import Kept

Json = dict[str, Any]
HANGS_S = 50.0  # what takes longer does not happen at all
EPOCH_US = 1_790_000_000_000_000
MINUTE_US = 60_000_000
POLL_S = 30
CONFIG = """
[gateway]
site = "ward"
id = "gw-01"
mode = "test"
state_dir = "state"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[tracking]
policy = "policy.toml"

[[line]]
id = "net-1"
url = "socket://127.0.0.1:502"

[[line.unit]]
id = "cap-01"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 30
simulated = true
cap = [{ cap = 1, chair = "c01" }, { cap = 2, chair = "c02" }]
"""
POLICY = (
    'name = "midpoint"\nrevision = "7"\neffective = 2026-01-01\napproved_by = "the tests"\nfirst_threshold_s = 960\n'
)


def engine_event(name: str, thing: str, at_us: int, data: Json) -> bytes:
    """A message as the EHR's interface engine would publish it."""
    event = {
        "specversion": "1.0",
        "type": f"org.example.{thing}.v1",
        "source": "urn:engine",
        "id": name,
        "time": datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(),
        "data": data,
    }
    return json.dumps(event).encode()


def configured(folder: Path, tables: str = "") -> Path:
    """The folder, with CONFIG, to which these tables are added, and POLICY."""
    folder.mkdir(exist_ok=True)
    (folder / "gateway.toml").write_text(CONFIG.replace("[[line]]", f"{tables}[[line]]", 1))
    (folder / "policy.toml").write_text(POLICY)
    return folder


class FakeClock:
    """A clock that stands until a test moves it; the wall may be stepped away from it."""

    speed = 1.0
    released_us = 0

    def __init__(self) -> None:
        self.us = EPOCH_US
        self.stepped_us = 0

    def now(self) -> Stamp:
        return Stamp(self.us, self.us - EPOCH_US)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        return self.stepped_us

    def align(self) -> None:
        self.us += self.stepped_us
        self.stepped_us = 0

    def resume(self, stamp: Stamp) -> None:
        pass


class Suite:
    """One unit with two caps, of which the first may cool, and a gateway that may be restarted."""

    def __init__(self, config: GatewayConfig, clock: FakeClock, ledger: Ledger) -> None:
        self.config = config
        self.clock = clock
        self.ledger = ledger
        self.treatment_s = 0
        self.state = RunState.STOPPED
        self.connected = True
        self._pipeline: Pipeline | None = None

    async def start(self) -> None:
        """The pipeline as the ledger leaves it."""
        self._pipeline = await Pipeline.recovered(self.config, self.clock, self.ledger)

    @property
    def unit(self) -> str:
        """The machine that is there: the configured unit, or its loaner."""
        return self.config.units[0].id

    @property
    def pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise AssertionError("not started")
        return self._pipeline

    async def poll(self, minutes: float) -> None:
        """Readings every half minute, for so long."""
        for _ in range(round(minutes * 60 / POLL_S)):
            self.clock.us += POLL_S * 1_000_000
            cooling = self.state is RunState.RUNNING
            self.treatment_s += POLL_S if cooling else 0
            cap = CapReading(1, self.state, self.connected, cooling, {}, treatment=4, elapsed_s=self.treatment_s)
            idle = CapReading(2, RunState.STOPPED, False, False, {}, treatment=0, elapsed_s=0)
            await self.pipeline.answer(Reading(self.unit, self.clock.now(), (cap, idle), {}, (), "SN-1"))

    async def silence(self, minutes: float, *, counted: bool) -> None:
        """Polls without an answer; the unit's own counter goes on if it cooled through."""
        for _ in range(round(minutes * 60 / POLL_S)):
            self.clock.us += POLL_S * 1_000_000
            self.treatment_s += POLL_S if counted else 0
            await self.pipeline.answer(ReadFault(self.unit, self.clock.now(), FaultKind.TIMEOUT, ""))

    async def send_event(self, name: str, thing: str, minutes_ago: float = 0.0, **data: object) -> Json:
        """A message of the engine; the answer to it."""
        at_us = self.clock.us - round(minutes_ago * MINUTE_US)
        return await self.answered(engine_event(name, thing, at_us, data))

    async def answered(self, payload: bytes) -> Json:
        """The answer to a message: in the outbox, or to be sent past the ledger."""
        unrecorded = await self.pipeline.message("any", payload)
        if unrecorded:
            return json.loads(unrecorded[-1].payload)["data"]
        return (await self.sent("/result/json"))[-1]["data"]

    async def infusion_over(self, minutes_ago: float = 0.0) -> None:
        """A bound patient whose only chemotherapy has ended by the chart."""
        place = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
        await self.send_event("b", "association.bound", 60, validated=True, asserted_by="scan", **place)
        order = {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar"}
        await self.send_event("s", "infusion.started", 50, **order)
        await self.send_event("e", "infusion.completed", minutes_ago, final=True, **order)

    async def sent(self, ending: str) -> list[Json]:
        """Events in the outbox on topics that end so, in the order of the ledger."""
        rows = await self.ledger.outbox.pending(0, 100_000)
        return [cast(Json, json.loads(row.payload)) for row in rows if row.topic.endswith(ending)]

    async def increments(self) -> list[tuple[str, int, str]]:
        """Operation, number and revision of everything told of increments."""
        return [
            (event["data"]["op"], event["data"]["index"], event["data"]["revision"])
            for event in await self.sent("/increment/json")
        ]


@asynccontextmanager
async def running(folder: Path, clock: FakeClock | None = None) -> AsyncGenerator[Suite]:
    config = load_config(folder / "gateway.toml")
    clock = clock or FakeClock()
    path, ring = folder / "state" / "ledger.db", read_ring(config.ledger_key)
    async with open_ledger(path, config.id, clock.now, ring=ring) as ledger:
        suite = Suite(config, clock, ledger)
        await suite.start()
        yield suite


async def cool(suite: Suite) -> None:
    await suite.poll(2)
    suite.state = RunState.RUNNING
    await suite.poll(60)


async def facts_of(suite: Suite, kind: str) -> list[Json]:
    bodies = [cast(Json, json.loads(entry.body)) for entry in await suite.ledger.entries()]
    return [body for body in bodies if body.get("fact") == kind]
