"""Which messages of the engine are repeats: those with the id and the content of one that was taken, at any time."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.verify import verify
from gateway.ledger.entry import EntryKind
from gateway.monitoring.feed import FeedResult
from gateway.session.facts import InfusionEnded, InfusionStarted
from gateway.session.state import MEMORY_US
from tests.support.pipeline import Suite, configured, cool, running

AGAIN = "this message was taken before"
YEARS_US = 3 * 366 * 86_400 * 1_000_000


def infusion(thing: str, time: str, **data: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": f"org.example.infusion.{thing}.v1",
        "source": "urn:engine",
        "id": "1",  # a sender that counts from its start
        "time": time,
        "data": {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar", "final": True, **data},
    }


def ras(ended: str, order: str = "RX1") -> bytes:
    return (
        f"MSH|^~\\&|EHR|H|CAPGATE|N|20260310||RAS^O17|1|P|2.5.1\r"
        f"PV1|1|O|A^B^C01||||||||||||||||V-1\r"
        f"ORC|RE|{order}|||CM\r"
        f"RXA|0|1|20260310090000Z|{ended}|PACLI||||STOPPED|||||||||||CP|A\r"
    ).encode()


async def entries(suite: Suite) -> int:
    return len(await suite.ledger.entries())


async def infusions(suite: Suite) -> list[str]:
    """The instants of the infusion's starts and ends, as recorded."""
    state = suite.pipeline.state
    (patient,) = state.serving(suite.clock.us).values()
    facts = state.facts.of(("patient", patient))
    instants = [fact for fact in facts if isinstance(fact, InfusionStarted | InfusionEnded)]
    return [datetime.fromtimestamp(fact.at_us / 1e6, UTC).strftime("%H:%M") for fact in instants]


async def bound(suite: Suite) -> None:
    place = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
    await cool(suite)
    await suite.send_event("b", "association.bound", 5, validated=True, asserted_by="scan", **place)


async def test_another_message_under_the_same_id_is_taken(folder: Path) -> None:
    async with running(folder) as suite:
        await bound(suite)
        for payload in (
            infusion("started", "2026-03-10T08:00:00Z"),
            infusion("completed", "2026-03-10T08:40:00Z"),
            infusion("started", "2026-03-10T08:10:00Z", order="O-2"),
        ):
            answer = await suite.answered(json.dumps(payload).encode())
            assert (answer["result"], answer.get("text") == AGAIN) == ("accepted", False)
        assert await infusions(suite) == ["08:00", "08:10", "08:40"]
        for ended in ("20260310093000Z", "20260310094000Z"):
            assert (await suite.answered(ras(ended))).get("text") != AGAIN
        assert await infusions(suite) == ["08:00", "08:10", "08:40", "09:00", "09:30", "09:40"]
    assert verify(folder / "state" / "ledger.db").problems == ()


@pytest.mark.parametrize("later_us", [0, MEMORY_US * 2, YEARS_US])
async def test_the_same_message_is_a_repeat_after_a_restart_and_after_years(folder: Path, later_us: int) -> None:
    event = infusion("completed", "2026-03-10T08:40:00Z")
    ends = ras("20260310093000Z")
    admitted = ras("").replace(b"RAS^O17", b"ADT^A08")  # says nothing but who it is
    async with running(folder) as suite:
        await bound(suite)
        for payload in (json.dumps(event).encode(), ends, admitted):
            assert (await suite.answered(payload)).get("text") != AGAIN
        suite.clock.us += later_us
        await suite.start()
        before = await entries(suite)
        carried = (
            json.dumps(event).encode(),
            json.dumps(dict(reversed(event.items())), indent=1).encode(),
            ends,
            b"\x0b" + ends.replace(b"\r", b"\r\n") + b"\x1c\r",
            admitted,
        )
        for payload in carried:
            assert (await suite.answered(payload))["text"] == AGAIN
        assert await entries(suite) == before, "a repeat leaves no trace"
        assert suite.pipeline.feed.results[FeedResult.REPEATED] == len(carried)
    assert verify(folder / "state" / "ledger.db").problems == ()


async def test_what_was_not_taken_may_come_again(folder: Path) -> None:
    async with running(folder) as suite:
        await bound(suite)
        bad = json.dumps(infusion("completed", "yesterday")).encode()
        assert [(await suite.answered(bad))["result"] for _ in range(2)] == ["rejected"] * 2
        assert suite.pipeline.feed.results[FeedResult.REPEATED] == 0


async def test_the_ledger_keeps_no_content_of_a_message(folder: Path) -> None:
    """The seal is salted: who has the ledger's entries alone can test no guess of what a message said."""
    payload = json.dumps(infusion("completed", "2026-03-10T08:40:00Z")).encode()
    seals: set[str] = set()
    for name in ("one", "other"):
        async with running(configured(folder / name)) as suite:
            await bound(suite)
            await suite.answered(payload)
            entry = (await suite.ledger.entries(kinds=[EntryKind.STATUS]))[-1]
            seals.add(json.loads(entry.body)["taken"])
    assert len(seals) == 2
