"""Readings and messages in, ledger and outbox out: the real pipeline on a real ledger, at the speed of a fake clock."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from drivers.reading import RunState, Stamp
from tests.support.pipeline import (
    EPOCH_US,
    HANGS_S,
    MINUTE_US,
    POLL_S,
    FakeClock,
    cool,
    facts_of,
    running,
)


class BootClock(FakeClock):
    """A clock of a machine that runs on, while its wall clock is off whenever a process starts."""

    off_us = 0

    def now(self) -> Stamp:
        return Stamp(self.us + self.off_us, self.us - EPOCH_US, "boot-1")

    def resume(self, stamp: Stamp) -> None:
        assert stamp.boot == "boot-1"
        self.off_us = stamp.utc_us - stamp.boot_us - EPOCH_US


Open = Callable[[], Any]


async def test_an_increment_carries_all_that_an_auditor_asks_for(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        ended_us = suite.clock.us
        await suite.poll(17)
        (event,) = await suite.sent("/increment/json")
        data = event["data"]
        assert event["id"] == data["session"] + "01A"
        assert datetime.fromisoformat(data["attained_at"]).timestamp() * 1e6 == ended_us + 16 * MINUTE_US
        assert data["policy"] == {"name": "midpoint", "revision": "7"}
        assert data["infusion_end"]["source"] == "mar"
        assert data["net_s"] == 960.0
        assert data["chart_minutes"] == 16
        assert [(each["unit"], each["cap"]) for each in data["intervals"]] == [("cap-01", 1)]
        assert data["devices"] == [{"unit": "cap-01", "cap": 1, "serial_number": "SN-1"}]
        assert data["evidence"] == "flow"
        assert data["mode"] == "test"
        assert data["release"] == {"state": "provisional", "reasons": []}
        assert data["patient"]["visit"] == "V-1"


@pytest.mark.requirement("REQ-COUNT-5")
async def test_a_late_end_gives_back_dated_increments_and_a_correction_moves_them(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over(minutes_ago=48)
        assert await suite.increments() == [("emit", 1, "A"), ("emit", 2, "A")]
        order = {"visit": "V-1", "order": "O-1", "source": "mar", "final": True, "version": 2}
        await suite.send_event("c", "infusion.completed", 20, **order)
        assert (await suite.increments())[2:] == [("retract", 2, "A"), ("amend", 1, "B")]
        (*_, amended) = await suite.sent("/increment/json")
        assert amended["causationid"] == "urn:engine|c"
        await suite.send_event("v", "infusion.voided", 0, visit="V-1", order="O-1", version=2)
        assert (await suite.increments())[4:] == [("retract", 1, "B")]


async def test_a_message_that_comes_again_is_answered_and_changes_nothing(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over(minutes_ago=20)
        before = suite.ledger.head.seq
        order = {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar", "final": True}
        suite.clock.us += MINUTE_US
        answer = await suite.send_event("e", "infusion.completed", 21, **order)
        assert answer["result"] == "accepted"
        assert suite.ledger.head.seq == before, "it is answered and leaves no trace"
        assert await suite.increments() == [("emit", 1, "A")]


@pytest.mark.requirement("REQ-COUNT-4")
async def test_a_silence_counts_only_if_the_unit_proves_it(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        await suite.poll(10)
        await suite.silence(10, counted=True)
        assert await suite.increments() == [], "nobody saw it"
        await suite.poll(1)
        assert await suite.increments() == [("emit", 1, "A")]
        await suite.silence(20, counted=False)
        await suite.poll(20)
        assert await suite.increments() == [("emit", 1, "A")], "46 minutes are over, 26 of them proven"
        await suite.poll(20)
        assert await suite.increments() == [("emit", 1, "A"), ("emit", 2, "A")]


async def test_a_restart_goes_on_where_the_ledger_ends(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        for _ in range(50):
            await suite.poll(1)
            await suite.start()
        assert await suite.increments() == [("emit", 1, "A"), ("emit", 2, "A")]
        sessions = {event["data"]["session"] for event in await suite.sent("/session/json")}
        assert len(sessions) == 1


async def test_within_one_boot_a_wrong_wall_clock_at_a_restart_moves_nothing(folder: Path) -> None:
    clock = BootClock()
    async with running(folder, clock) as suite:
        await cool(suite)
        await suite.infusion_over()
        ended_us = clock.us
        for number in range(20):
            clock.off_us = 0 if number % 2 else 60_000_000
            await suite.start()
            await suite.poll(2.5)
        assert await suite.increments() == [("emit", 1, "A"), ("emit", 2, "A")]
        attained = [datetime.fromisoformat(each["data"]["attained_at"]) for each in await suite.sent("/increment/json")]
        assert [(each.timestamp() * 1e6 - ended_us) / MINUTE_US for each in attained] == [16, 46]


async def test_a_restart_while_a_unit_is_out_of_sight_leaves_its_proof(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        await suite.poll(10)
        await suite.silence(5, counted=True)
        await suite.start()
        await suite.silence(30, counted=True)
        await suite.poll(2)
        assert await suite.increments() == [("emit", 1, "A"), ("emit", 2, "A")]


async def test_a_stop_that_one_poll_sees_and_the_counter_shows_does_not_count(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        await suite.poll(15)
        suite.state = RunState.STOPPED
        await suite.poll(POLL_S / 60)
        suite.state = RunState.RUNNING
        await suite.poll(0.5)
        assert await suite.increments() == []
        await suite.poll(1)
        (event,) = await suite.sent("/increment/json")
        assert "counter_shows_loss" in event["data"]["flags"]


async def test_a_cap_taken_off_is_a_pause_and_told_as_one(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        await suite.poll(10)
        suite.connected = False
        await suite.poll(5)
        suite.connected = True
        await suite.poll(6)
        assert await suite.increments() == []
        await suite.poll(2)
        assert await suite.increments() == [("emit", 1, "A")]
        events = [event["data"] for event in await suite.sent("/cap/1/event")]
        states = [(each["from"], each["to"]) for each in events if each["aspect"] == "run-state"]
        assert states == [("stopped", "running"), ("running", "paused"), ("paused", "running")]
        phases = [each["to"] for each in events if each["aspect"] == "phase"]
        assert phases == ["infusion", "post-infusion", "paused", "post-infusion"]


async def test_an_unknown_chair_is_ignored_and_nonsense_rejected_with_what_to_mend(folder: Path) -> None:
    async with running(folder) as suite:
        before = suite.ledger.head.seq
        order = {"visit": "V-9", "order": "O-9", "source": "mar", "final": True, "chair": "c99"}
        assert (await suite.send_event("1", "infusion.completed", 0, **order))["result"] == "ignored"
        nonsense = await suite.send_event("2", "infusion.completed", final="maybe", visit="V-9")
        assert nonsense["result"] == "rejected"
        assert "data.final" in nonsense["text"]
        assert (await suite.answered(b"\xff\x00"))["code"] == "not-json"
        assert suite.ledger.head.seq == before, "none of it concerns anybody here"
        assert suite.pipeline.feed.results == {"ignored": 1, "rejected": 2}


async def test_a_rejected_message_about_a_patient_served_here_is_recorded(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over()
        before = suite.ledger.head.seq
        assert (await suite.send_event("2", "infusion.completed", final="maybe", visit="V-1"))["result"] == "rejected"
        assert suite.ledger.head.seq == before + 1
        assert (await suite.send_event("3", "infusion.completed", final="maybe", visit="V-2"))["result"] == "rejected"
        assert suite.ledger.head.seq == before + 1


async def test_a_message_that_meets_a_defect_is_answered_and_not_sent_for_ever(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(folder) as suite:
        await cool(suite)

        def defect(*_: object, **__: object) -> None:
            raise ZeroDivisionError("V-1")

        monkeypatch.setattr("gateway.recording.steps.advance", defect)
        order = {"chair": "c01", "visit": "V-1", "order": "O-1", "source": "mar", "final": True}
        answer = await suite.send_event("e", "infusion.completed", 0, **order)
        assert (answer["result"], answer["code"]) == ("rejected", "internal-error")


async def test_a_damaged_ledger_is_set_aside_and_the_new_one_says_so(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
    ledger = folder / "state" / "ledger.db"
    ledger.write_bytes(b"no database at all" * 1000)
    async with running(folder) as suite:
        first = (await suite.ledger.entries())[0]
        assert json.loads(first.body)["set_aside"] in {path.name for path in ledger.parent.iterdir()}


async def test_each_minute_a_busy_unit_is_recorded_and_a_stepped_clock_told_once(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        suite.clock.stepped_us = 7_000_000
        suite.clock.speed = 6000.0  # a minute passes in ten milliseconds
        before = len(await facts_of(suite, "units_observed"))
        async with asyncio.timeout(HANGS_S):
            minutes = asyncio.create_task(suite.pipeline.run())
            while len(await facts_of(suite, "units_observed")) < before + 3:
                await suite.poll(1)
            minutes.cancel()
        assert [fact["step_s"] for fact in await facts_of(suite, "clock_stepped")] == [7.0]
        assert suite.clock.stepped_us == 7_000_000, "sessions keep the old time"


async def test_without_a_session_a_stepped_clock_is_followed(folder: Path) -> None:
    async with running(folder) as suite:
        suite.clock.stepped_us = 7_000_000
        suite.clock.speed = 6000.0
        async with asyncio.timeout(HANGS_S):
            minutes = asyncio.create_task(suite.pipeline.run())
            while suite.clock.stepped_us:
                await asyncio.sleep(0.005)
            minutes.cancel()
        assert await facts_of(suite, "clock_stepped") == []


async def test_polls_that_teach_nothing_write_nothing(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        before = suite.ledger.head.seq
        await suite.poll(30)
        assert suite.ledger.head.seq == before
