"""Numbers of patients on the real pipeline and ledger: sessions found by them, and what is charged once they change."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.verify import verify
from tests.support.pipeline import MINUTE_US, Suite, configured, cool, running
from tests.support.signing import signed

WORDS = """
[ehr]
visit_from = ["PV1-19", "PID-18"]
mrn_types = ["MR", "EPI"]

[charges]
formats = ["json", "hl7"]
assigning_authority = "SITE"

[drugs]
chemo = ["PACLI"]

"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configured(tmp_path, WORDS)


class Numbers:
    """An engine whose messages are about numbers; the gateway is started anew after each of them."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._number = 0

    def at(self, minutes_ago: float = 0.0) -> str:
        us = self._suite.clock.us - round(minutes_ago * MINUTE_US)
        return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y%m%d%H%M%S+0000")

    async def say(self, kind: str, *lines: str) -> dict[str, Any]:
        self._number += 1
        head = f"MSH|^~\\&|EHR|H|C|N|{self.at()}||{kind}|N{self._number}|P|2.5.1"
        payload = "\r".join([head, f"EVN||{self.at()}", *lines, ""])
        answer = await self._suite.answered(payload.encode())
        await self._suite.start()
        return answer

    async def given(self, who: str, order: str, end_min: float) -> dict[str, Any]:
        """An infusion of `who`, a PID and a PV1, that ended so long ago."""
        line = f"RXA|0|1|{self.at(50)}|{self.at(end_min)}|PACLI||||STOPPED|||||||||||CP|A|{self.at()}"
        return await self.say("RAS^O17", *who.split("\n"), f"ORC|RE|{order}|||CM", line)


AT_CHAIR = "PID|1||90001234^^^NORTH^EPI|||||||||||||||770012^^^NORTH^AN\nPV1|1|O|A^B^C01||||||||||||||||V-1^^^NORTH"


async def entries(suite: Suite) -> int:
    return len(await suite.ledger.entries())


async def charged(suite: Suite) -> Mapping[str, Any]:
    await signed(suite)
    (charge,) = await suite.sent("/charge/json")
    return charge["data"]["patient"]


async def counted(suite: Suite) -> int:
    return len(await suite.increments())


@pytest.mark.parametrize(
    "who",
    [
        "PID|1|||||||||||||||||770012\nPV1|1|O",
        "PID|1||90001234^^^NORTH^EPI\nPV1|1|O",
        "PID|1||1^^^NORTH^SS~90001234^^^NORTH^EPI|||||||||||||||770012^^^NORTH\nPV1|1|O|X^Y^Z9",
    ],
)
async def test_papers_without_a_visit_find_the_session_under_way_after_a_restart_too(folder: Path, who: str) -> None:
    async with running(folder) as suite:
        engine = Numbers(suite)
        await engine.say("ADT^A04", *AT_CHAIR.split("\n"))
        await cool(suite)
        assert (await engine.given(who, "RX1", 20))["result"] == "accepted"
        assert await counted(suite) == 1
    assert verify(folder / "state" / "ledger.db").problems == ()


@pytest.mark.parametrize(
    "patient", [{"account": "770012"}, {"mrn": "90001234"}, {"account": {"system": "urn:oid:1.2", "value": "770012"}}]
)
async def test_events_without_a_visit_find_the_session_under_way_after_a_restart_too(
    folder: Path, patient: dict[str, object]
) -> None:
    async with running(folder) as suite:
        engine = Numbers(suite)
        await engine.say("ADT^A04", *AT_CHAIR.split("\n"))
        await cool(suite)
        await suite.start()
        await suite.poll(1)
        order = {"order": "O-1", "agent_class": "chemo", "source": "mar", "patient": patient}
        assert (await suite.send_event("s", "infusion.started", 50, **order))["result"] == "accepted"
        assert (await suite.send_event("e", "infusion.completed", 20, **order))["result"] == "accepted"
        assert await counted(suite) == 1
        before = await entries(suite)
        foreign = order | {"patient": {"mrn": "70007777"}}
        assert (await suite.send_event("f", "infusion.completed", 20, **foreign))["code"] == "no-visit"
        assert await entries(suite) == before
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_papers_of_another_authoritys_number_count_for_nobody_here(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Numbers(suite)
        await engine.say("ADT^A04", *AT_CHAIR.split("\n"))
        await cool(suite)
        answer = await engine.given("PID|1||90001234^^^SOUTH^EPI\nPV1|1|O", "RX1", 20)
        assert (answer["result"], answer["code"]) == ("rejected", "no-visit")
        answer = await engine.given("PID|1\nPV1|1|O|||||||||||||||||V-1^^^SOUTH", "RX1", 20)
        assert answer["result"] == "accepted"
        assert await counted(suite) == 0
        assert [item.raised.what for item in suite.pipeline.state.work] == ["patient_unclear"]


async def test_a_charge_names_the_numbers_that_the_ehr_has_given_since(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Numbers(suite)
        await engine.say("ADT^A04", *AT_CHAIR.split("\n"))
        await cool(suite)
        new = "PID|1||90005555^^^NORTH^EPI|||||||||||||||770055^^^NORTH^AN"
        changed = await engine.say(
            "ADT^A42",
            new,
            "MRG|90001234^^^NORTH^EPI||770012^^^NORTH||V-1^^^NORTH",
            "PV1|1|O|||||||||||||||||V-9^^^NORTH",
        )
        assert changed["result"] == "accepted"
        await engine.given(f"{new}\nPV1|1|O|||||||||||||||||V-9^^^NORTH", "RX1", 30)
        await suite.poll(1)
        assert await counted(suite) == 1, "the same visit"
        await engine.given(AT_CHAIR, "RX2", 25)
        assert await charged(suite) == {"visit": "V-9", "mrn": "90005555", "account": "770055"}
        rows = await suite.ledger.outbox.pending(0, 100_000)
        (dft,) = [row.payload.decode() for row in rows if row.topic.endswith("/charge/hl7")]
        assert "|V-9^^^NORTH^VN" in dft
        assert "|90005555^^^NORTH^MR|" in dft
        assert "770012" not in dft
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_what_came_for_the_new_number_before_the_change_waits_for_a_person(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Numbers(suite)
        await engine.say("ADT^A04", *AT_CHAIR.split("\n"))
        await cool(suite)
        await engine.given("PID|1\nPV1|1|O|||||||||||||||||V-9", "RX1", 30)
        await engine.say("ADT^A50", "PID|1||90001234^^^NORTH^EPI", "MRG|||||V-1", "PV1|1|O|||||||||||||||||V-9")
        assert {item.raised.what for item in suite.pipeline.state.work} == {"visits_joined"}


async def test_a_feed_of_another_house_leaves_no_entry(folder: Path) -> None:
    async with running(folder) as suite:
        engine = Numbers(suite)
        await engine.say("ADT^A04", *AT_CHAIR.split("\n"))
        await cool(suite)
        before = await entries(suite)
        stay = "PV1|1|O|X^Y^Z9||||||||||||||||V-77^^^NORTH"
        for trigger in (
            "A01",
            "A02",
            "A03",
            "A04",
            "A06",
            "A08",
            "A11",
            "A13",
            "A17",
            "A31",
            "A34",
            "A40",
            "A45",
            "A50",
        ):
            who = ["PID|1||70007777^^^NORTH^EPI|||||||||||||||770077", "MRG|70007770^^^NORTH^EPI||770070||V-70", stay]
            second = ["PID|2||70008888^^^NORTH^EPI", "PV1|1|O|X^Y^Z8||||||||||||||||V-78"]
            answer = await engine.say(f"ADT^{trigger}", *who, *(second if trigger == "A17" else []))
            assert (answer["result"], answer["code"]) == ("ignored", "not-ours"), trigger
        assert await entries(suite) == before
