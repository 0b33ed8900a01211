"""What comes weeks, months and years later, on the real pipeline and ledger, with and without restarts."""

from pathlib import Path
from typing import TypedDict

import pytest

from gateway.audit.verify import verify
from gateway.config.load import load_config
from gateway.ledger.batch import Batch
from gateway.ledger.entry import EntryKind, append
from gateway.session.fact_types import WorkKind
from gateway.session.facts import (
    CapRef,
    CoolingStopped,
    HoldLifted,
    PatientReassigned,
    SessionExplained,
    ToleranceChecked,
    WorkDone,
    WorkRaised,
    encode_fact,
)
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionState
from gateway.session.worklist import WORK, item_id
from tests.support.operator import Operator
from tests.support.pipeline import MINUTE_US, Suite, cool, facts_of, running

DAY_US = 24 * 60 * MINUTE_US
ORDER = {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar", "final": True}


class Instants(TypedDict):
    """The instants of a fact."""

    at_us: int
    known_at_us: int


async def finished(suite: Suite) -> str:
    """A session of two units whose cooling is over; its token."""
    await cool(suite)
    await suite.infusion_over(minutes_ago=48)
    suite.state = suite.state.STOPPED
    await suite.poll(2)
    (opened, *_) = await suite.sent("/session/json")
    return opened["data"]["session"]


async def signed(suite: Suite) -> str:
    """A session that is released by a signature; its token."""
    token = await finished(suite)
    await suite.send_event("p", "preparation.charted", 0, session=token, person="rn")
    await suite.send_event("f", "session.finalized", 0, session=token, person="rn")
    return token


async def pass_days(suite: Suite, days: float, *, restart: bool) -> None:
    """Nothing happens for so long but the minutes' ticks; at the end the gateway may be started anew."""
    suite.clock.us += round(days * DAY_US)
    if restart:
        await suite.start()
    else:
        await suite.pipeline.tick()


def assert_sound(folder: Path) -> None:
    report = verify(folder / "state" / "ledger.db")
    assert report.problems == ()


@pytest.mark.requirement("REQ-CHARGE-3")
@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
@pytest.mark.parametrize("days", [6, 40, 800])
async def test_a_correction_of_a_charged_session_is_put_before_a_person(
    folder: Path,
    days: int,
    *,
    restart: bool,
) -> None:
    async with running(folder) as suite:
        token = await finished(suite)
        await suite.send_event("p", "preparation.charted", 0, session=token, person="rn")
        await pass_days(suite, 4, restart=False)
        (charge,) = await suite.sent("/charge/json")
        assert charge["data"]["quantity"] == 2
        await pass_days(suite, days, restart=restart)
        answer = await suite.send_event("c", "infusion.completed", (days + 4) * 24 * 60 + 20, **ORDER, version=2)
        assert answer["result"] == "accepted"
        assert (await suite.increments())[2:4] == [("retract", 2, "A"), ("amend", 1, "B")]
        (*_, last) = await suite.sent("/session/json")
        assert last["data"]["session"] == token
        assert [item["counted"] for item in last["data"]["corrections"]] == [1]
        assert not suite.pipeline.state.records[token].done
    assert_sound(folder)


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
async def test_what_is_listed_is_a_matter_of_days_and_not_of_memory(folder: Path, *, restart: bool) -> None:
    async with running(folder) as suite:
        token = await signed(suite)
        await pass_days(suite, 2.5, restart=restart)
        assert (await Operator(suite).session(all=True))["token"] == token
        await pass_days(suite, 1, restart=restart)
        assert (await Operator(suite).ask(request="session", token=token))["ok"]  # it is in memory again
        assert (await Operator(suite).ask(request="sessions", all=True))["sessions"] == []


@pytest.mark.parametrize("days", [5.1, 40])
async def test_a_first_end_told_weeks_later_gives_its_units(folder: Path, days: float) -> None:
    async with running(folder) as suite:
        await cool(suite)
        place = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
        await suite.send_event("b", "association.bound", 60, validated=True, asserted_by="scan", **place)
        suite.state = suite.state.STOPPED
        await suite.poll(2)
        await pass_days(suite, days, restart=True)
        await suite.send_event("s", "infusion.started", days * 24 * 60 + 60, **{**ORDER, "final": False})
        await suite.send_event("e", "infusion.completed", days * 24 * 60 + 50, **ORDER)
        assert [op for op, _, _ in await suite.increments()] == ["emit", "emit"]
    assert_sound(folder)


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
@pytest.mark.parametrize("days", [5, 40, 800])
async def test_papers_of_a_visit_whose_session_is_done_are_taken_however_late(
    folder: Path,
    days: float,
    *,
    restart: bool,
) -> None:
    async with running(folder) as suite:
        token = await finished(suite)
        await suite.send_event("p", "preparation.charted", 0, session=token, person="rn")
        await pass_days(suite, 4, restart=False)
        await pass_days(suite, days, restart=restart)
        assert token not in suite.pipeline.state.records
        answer = await suite.send_event("o", "order.checked", 0, visit="V-1", found=True)
        assert answer["result"] == "accepted"
        answer = await suite.send_event("t", "tolerance.checked", 0, visit="V-1", person="rn", scalp="ok")
        assert answer["result"] == "accepted"
        session, _ = await suite.pipeline.session(token) or (None, None)
        assert session is not None
        assert [fact.person for fact in session.facts if isinstance(fact, ToleranceChecked)] == ["rn"]
    assert_sound(folder)


async def test_a_restart_remembers_the_sessions_that_a_running_gateway_does(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        suite.state = suite.state.STOPPED
        await suite.poll(2)
        (unclaimed,) = suite.pipeline.state.records
        await pass_days(suite, 40, restart=False)
        at: Instants = {"at_us": suite.clock.us, "known_at_us": suite.clock.us}
        cap, began_us = CapRef("cap-01", 1), suite.clock.us - 40 * DAY_US
        moved = PatientReassigned(**at, cap=cap, from_patient="", to_patient="p2", began_before_us=began_us)
        await suite.pipeline.record([moved])
        (claimed,) = suite.pipeline.state.records.keys() - {unclaimed}
        await suite.pipeline.record([SessionExplained(**at, token=claimed, person="rn", reason="a trial", units=0)])
        for days, count in ((0.5, 1), (3, 1), (2, 0)):
            await pass_days(suite, days, restart=False)
            remembered = suite.pipeline.state.records.keys()
            await suite.start()
            assert suite.pipeline.state.records.keys() == remembered
            assert len(remembered) == count
    assert_sound(folder)


async def test_a_downtime_changes_no_charge(folder: Path) -> None:
    async with running(folder) as suite:
        token = await finished(suite)
        await suite.send_event("p", "preparation.charted", 0, session=token, person="rn")
        await pass_days(suite, 21, restart=True)
        (charge,) = await suite.sent("/charge/json")
        assert charge["data"]["quantity"] == 2
    assert_sound(folder)


async def test_who_comes_back_after_three_weeks_is_another_session(folder: Path) -> None:
    async with running(folder) as suite:
        first = await finished(suite)
        for cycle in range(1, 4):
            await pass_days(suite, 21, restart=cycle % 2 == 1)
            suite.treatment_s = 0
            await cool(suite)
            place = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
            await suite.send_event(f"b{cycle}", "association.bound", 60, validated=True, asserted_by="scan", **place)
            await suite.send_event(f"s{cycle}", "infusion.started", 50, **{**ORDER, "final": False})
            await suite.send_event(f"e{cycle}", "infusion.completed", 20, **ORDER)
            suite.state = suite.state.STOPPED
            await suite.poll(2)
        published = [event["data"] for event in await suite.sent("/increment/json")]
        by_session = {each["session"]: 0 for each in published}
        for each in published:
            assert each["op"] == "emit"
            by_session[each["session"]] += 1
        assert list(by_session.values()) == [2, 1, 1, 1]
        assert next(iter(by_session)) == first
    assert_sound(folder)


@pytest.mark.parametrize("asked", [False, True], ids=["forgotten", "read back"])
async def test_a_start_that_is_dated_days_off_its_treatment_takes_nothing_back(folder: Path, *, asked: bool) -> None:
    async with running(folder) as suite:
        token = await signed(suite)
        await pass_days(suite, 40, restart=True)
        if asked:
            assert await suite.pipeline.session(token) is not None
        await suite.send_event("late", "infusion.started", 34 * 24 * 60, **{**ORDER, "final": False})
        assert [operation for operation, *_ in await suite.increments()] == ["emit", "emit"]
    assert_sound(folder)


async def test_a_start_that_would_take_back_what_was_published_leaves_it_to_a_person(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over(minutes_ago=48)
        suite.state = suite.state.STOPPED
        await suite.poll(2)
        before = await suite.increments()
        assert [operation for operation, *_ in before] == ["emit", "emit"]
        (record,) = suite.pipeline.state.records.values()
        at_us = suite.clock.us - 40 * MINUTE_US  # the defect: a fact that the gateway did not take into account
        stopped = CoolingStopped(at_us=at_us, known_at_us=suite.clock.us, cap=record.cap)
        entry, head = append(suite.ledger.head, suite.clock.us, EntryKind.FACT, "", encode_fact(stopped).decode())
        await suite.ledger.commit(Batch((entry,), (), (), head))
        for _ in range(2):  # the item is raised once
            await pass_days(suite, 4, restart=True)
            assert await suite.increments() == before
            (item,) = suite.pipeline.state.work
            assert (item.raised.what, item.raised.order) == (WorkKind.START_DISAGREES, record.token)
            assert suite.pipeline.state.records[record.token].state is SessionState.HELD
        await suite.send_event("s9", "preparation.charted", 10, visit="V-1")  # a fact about it settles nothing
        assert await suite.increments() == before
        lifted = HoldLifted(
            at_us=suite.clock.us, known_at_us=suite.clock.us, token=record.token, holds=("start_disagrees",), units=0
        )
        await suite.pipeline.record([lifted])
        after = [operation for operation, *_ in await suite.increments()]
        assert after == ["emit", "emit", "retract", "retract"]


async def test_of_the_work_of_weeks_ago_only_what_is_open_is_in_memory(folder: Path) -> None:
    async with running(folder) as suite:
        now_us = suite.clock.us
        raised = [
            WorkRaised(at_us=now_us, known_at_us=now_us, what=WorkKind.UNKNOWN_WORD, order=order)
            for order in ("O-1", "O-2")
        ]
        await suite.pipeline.record(raised)
        done = WorkDone(at_us=now_us + 1, known_at_us=now_us + 1, item=item_id(raised[0]), person="rn")
        await suite.pipeline.record([done])
        assert [item.raised for item in suite.pipeline.state.work] == raised[1:]
        await pass_days(suite, 30, restart=False)
        assert suite.pipeline.state.facts.of(WORK) == (raised[1],)
        await pass_days(suite, 1, restart=True)
        assert suite.pipeline.state.facts.of(WORK) == (raised[1],)
        assert [item.raised for item in suite.pipeline.state.work] == raised[1:]
    assert_sound(folder)


async def test_who_sees_to_what_waits_is_in_memory_however_old(folder: Path) -> None:
    async with running(folder) as suite:
        operator = Operator(suite)
        suite.state = suite.state.RUNNING
        await suite.poll(60)
        suite.state = suite.state.STOPPED
        await suite.poll(45)
        token = (await operator.session())["token"]
        for to in ("nurse", "charge"):
            suite.clock.us += 1
            await operator.request_act("assign", what=token, to=to)
        for restart in (False, True):
            await pass_days(suite, 30, restart=restart)
            (item,) = (await operator.ask(request="todo"))["todo"]
            assert (item["kind"], item["assigned"]["to"], item["assigned"]["person"]) == (
                "incomplete",
                "charge",
                "rn-4471",
            )
        await operator.request_act("assign", what=token)
        assert (await operator.ask(request="todo"))["todo"][0]["assigned"] is None
        await operator.request_act("explain", token=token)
        assert (await operator.ask(request="todo"))["todo"] == []
        assert await suite.increments() == []
    assert_sound(folder)


async def test_a_unit_that_the_configuration_loses_in_a_treatment_is_lost_until_it_has_it_again(folder: Path) -> None:
    async with running(folder) as suite:
        await cool(suite)
        await suite.infusion_over(minutes_ago=20)
        with_unit = suite.config
        (folder / "gateway.toml").write_text((folder / "gateway.toml").read_text().replace("cap-01", "cap-09"))
        suite.config = load_config(folder / "gateway.toml")
        for days in (0.01, 0.05, 0.05):
            await pass_days(suite, days, restart=True)  # told once
        (record,) = suite.pipeline.state.records.values()
        assert record.published is not None
        assert (record.state, record.published.held) == (SessionState.HELD, (HeldReason.UNIT_LOST,))
        assert len(await suite.increments()) == 1
        assert len(await facts_of(suite, "unit_offline")) == 1
        suite.config = with_unit
        await pass_days(suite, 0.01, restart=True)
        await suite.poll(30)
        assert len(await suite.increments()) == 2
        (record,) = suite.pipeline.state.records.values()
        assert record.state is SessionState.OPEN
    assert_sound(folder)


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
async def test_a_unit_that_dies_in_a_treatment_and_comes_back_after_weeks_counts_again(
    folder: Path, restart: bool
) -> None:
    async with running(folder) as suite:
        suite.state = suite.state.RUNNING
        await suite.poll(20)
        await suite.silence(30, counted=False)
        place = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
        await suite.send_event("b1", "association.bound", 0, validated=True, asserted_by="scan", **place)
        await suite.send_event("r1", "association.ended", 0, visit="V-1", unit="cap-01", cap=1)
        place["visit"] = "V-2"
        suite.clock.us += 3 * DAY_US
        await suite.send_event("b2", "association.bound", 0, validated=True, asserted_by="scan", **place)
        for days in (5, 5, 11):
            await pass_days(suite, days, restart=restart)
        told = len(await suite.increments())
        suite.state = suite.state.STOPPED
        suite.treatment_s = 0
        await cool(suite)
        place["visit"] = "V-3"
        order = {"visit": "V-3", "order": "O-3", "agent_class": "chemo", "source": "mar"}
        await suite.send_event("b3", "association.bound", 60, validated=True, asserted_by="scan", **place)
        await suite.send_event("s3", "infusion.started", 50, **order)
        await suite.send_event("e3", "infusion.completed", 20, final=True, **order)
        assert len(await suite.increments()) == told + 1
        assert len(await facts_of(suite, "unit_offline")) == len(await facts_of(suite, "unit_online")) == 1
    assert_sound(folder)


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "restarted"])
@pytest.mark.parametrize("cooled_before", [False, True], ids=["switched off idle", "switched off in a treatment"])
async def test_a_unit_that_comes_back_after_weeks_counts_again(
    folder: Path, restart: bool, cooled_before: bool
) -> None:
    async with running(folder) as suite:
        if cooled_before:
            await finished(suite)
            suite.state = suite.state.RUNNING
        await suite.poll(2)
        await suite.silence(30, counted=False)  # a switched-off unit
        suite.state = suite.state.STOPPED
        for days in (5, 5, 11):
            await pass_days(suite, days, restart=restart)
            await suite.silence(2, counted=False)
        told = len(await suite.increments())
        suite.treatment_s = 0
        await cool(suite)
        place = {"unit": "cap-01", "cap": 1, "visit": "V-2"}
        order = {"visit": "V-2", "order": "O-2", "agent_class": "chemo", "source": "mar"}
        await suite.send_event("b2", "association.bound", 60, validated=True, asserted_by="scan", **place)
        await suite.send_event("s2", "infusion.started", 50, **order)
        await suite.send_event("e2", "infusion.completed", 20, final=True, **order)
        assert len(await suite.increments()) == told + 1
        assert len(await facts_of(suite, "unit_offline")) == len(await facts_of(suite, "unit_online"))
    assert_sound(folder)
