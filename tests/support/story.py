"""A day of HL7 in, and charges out in every notation: the real pipeline on a real ledger, restarted throughout.

Local time, UTC-4: registered 08:45, the unit bound 08:55, cooling from 09:00, paclitaxel 09:30 to 11:00, cooling until
12:35, signed 12:40; at 13:09 the chart's end is amended to 11:20.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import hl7

from drivers.reading import CapReading, Reading, RunState
from gateway.audit.verify import verify
from gateway.config.load import load_config
from gateway.ledger.key_ring import read_ring
from gateway.ledger.store import open_ledger
from tests.support.hl7_validators import fields_of, missed_by_all, refused_by_hl7apy
from tests.support.pipeline import FakeClock, Suite
from tests.unit.gateway.messages.hl7_support import SAMPLES

POLL_S = 30
POLICIES = Path(__file__).parents[1] / "data" / "policies"
CONFIG = """
[gateway]
site = "ward"
id = "gw-01"
mode = "test"
state_dir = "state"
time_zone = "America/New_York"

[mqtt]
url = "mqtt://127.0.0.1:1883"

[tracking]
policy = "policy.toml"

[receipts]
expected = "hl7"

[charges]
formats = ["json", "hl7", "fhir"]
sending_facility = "WARD"
assigning_authority = "DEMO"
location = "INFA"

[ehr]
units = { CAP0007 = "cap-07" }

[drugs]
chemo = ["PACLI"]

[[line]]
id = "net-1"
url = "socket://127.0.0.1:502"

[[line.unit]]
id = "cap-07"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 30
simulated = true
cap = [{ cap = 1, chair = "c12" }]
"""


def local(clock: str) -> int:
    """UTC microseconds of a time of that day."""
    return round(datetime.fromisoformat(f"2026-03-10T{clock}-04:00").timestamp() * 1_000_000)


class Day(Suite):
    """The unit at chair C12, read until a time of day, and the engine's messages as the samples have them."""

    async def until(self, clock: str) -> None:
        while self.clock.us < local(clock):
            self.clock.us += POLL_S * 1_000_000
            cooling = self.state is RunState.RUNNING
            self.treatment_s += POLL_S if cooling else 0
            cap = CapReading(1, self.state, True, cooling, {}, treatment=4, elapsed_s=self.treatment_s)
            idle = CapReading(2, RunState.STOPPED, False, False, {}, treatment=0, elapsed_s=0)
            await self.pipeline.answer(Reading("cap-07", self.clock.now(), (cap, idle), {}, (), "CU-20417"))

    async def say(self, sample: str) -> None:
        message = (SAMPLES / f"{sample}.hl7").read_text().replace("\n", "\r")
        await self.pipeline.message("ehr/in/hl7", message.encode())
        answer = (await self.sent("/result/json"))[-1]["data"]
        assert answer["result"] == "accepted", (sample, answer)
        await self.start()

    async def treated(self) -> None:
        """Everything up to the end of cooling."""
        await self.cooled()
        await self.until("09:30")
        await self.infused()

    async def cooled(self) -> None:
        """Everything up to the start of cooling."""
        await self.say("adt_a04_register")
        await self.until("08:55")
        await self.say("oru_r01_dev52_associate")
        await self.until("09:00")
        self.state = RunState.RUNNING

    async def infused(self) -> None:
        """From the start of the infusion to the end of cooling."""
        await self.say("oru_r42_pcd10_start")
        await self.until("09:31")
        await self.say("ras_o17_start")
        await self.until("11:00")
        await self.say("oru_r42_pcd10_complete")
        await self.until("11:02")
        await self.say("ras_o17_complete")
        await self.until("12:35")
        self.state = RunState.STOPPED
        await self.until("12:40")

    async def sign(self) -> None:
        """The nurse charts the preparation, which the samples do not, and signs."""
        await self.send_event("p", "preparation.charted", visit="V770012", person="rn-1")
        await self.send_event("f", "session.finalized", visit="V770012", person="rn-1")
        await self.start()

    async def amend(self) -> None:
        await self.until("13:09")
        await self.say("ras_o17_amended_end")

    async def charges(self) -> list[dict[str, str]]:
        """Those sent as HL7, as somebody else's reader reads them."""
        rows = await self.ledger.outbox.pending(0, 100_000)
        payloads = [row.payload.decode() for row in rows if row.topic.endswith("/charge/hl7")]
        assert [(refused_by_hl7apy(each), missed_by_all(each)) for each in payloads] == [("", [])] * len(payloads)
        return [fields_of(each) for each in payloads]

    async def acknowledgements(self) -> list[bytes]:
        """What an engine answers to them that somebody else wrote."""
        rows = await self.ledger.outbox.pending(0, 100_000)
        charges = [row.payload.decode() for row in rows if row.topic.endswith("/charge/hl7")]
        return [str(cast(Any, hl7).parse(each).create_ack()).encode() for each in charges]


@asynccontextmanager
async def a_day(folder: Path, policy: str, change: Callable[[str], str] = str) -> AsyncGenerator[Day]:
    (folder / "gateway.toml").write_text(change(CONFIG))
    (folder / "policy.toml").write_text(policy)
    config = load_config(folder / "gateway.toml")
    clock = FakeClock()
    clock.us = local("08:45")
    path, ring = folder / "state" / "ledger.db", read_ring(config.ledger_key)
    async with open_ledger(path, config.id, clock.now, ring=ring) as ledger:
        day = Day(config, clock, ledger)
        await day.start()
        yield day
    assert verify(folder / "state" / "ledger.db").problems == ()
