"""A defect that one session meets, wherever it strikes: gateway and other sessions go on, and people hear of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.reading import CapReading, Reading, RunState
from gateway.control import boards, session_finder
from gateway.recording import steps
from gateway.recording.message_reader import MessageReader
from gateway.recording.recorder import Recorder
from gateway.recording.session_heads import SessionHeads
from gateway.session import state
from gateway.session.fact_types import WorkKind
from gateway.session.facts import CapRef
from tests.support.operator import Operator
from tests.support.pipeline import POLL_S, Suite, running

BAD, GOOD = CapRef("cap-01", 1), CapRef("cap-01", 2)


def _about(value: object) -> bool:
    """Whether something names the cap of the session that is to fail."""
    if isinstance(value, list | tuple):
        return any(map(_about, value))  # pyright: ignore[reportUnknownArgumentType]
    of = getattr(value, "record", getattr(getattr(value, "outcome", None), "record", value))
    return getattr(of, "cap", None) == BAD


def _failing(original: Callable[..., object]) -> Callable[..., object]:
    def fail(*arguments: object, **options: object) -> object:
        if any(map(_about, arguments)):
            raise ZeroDivisionError("planted")
        return original(*arguments, **options)

    return fail


PLACES = {
    "attribution": (state, "sessions"),
    "assessment": (state, "assess_observed"),
    "outcome": (state, "outcome"),
    "recording": (Recorder, "outcome"),
    "charging": (Recorder, "charge"),
    "session head": (SessionHeads, "update"),
}


async def cool_both(suite: Suite, minutes: float) -> None:
    """Readings of two cooling caps."""
    for _ in range(round(minutes * 60 / POLL_S)):
        suite.clock.us += POLL_S * 1_000_000
        suite.treatment_s += POLL_S
        caps = tuple(
            CapReading(number, RunState.RUNNING, True, True, {}, treatment=4, elapsed_s=suite.treatment_s)
            for number in (1, 2)
        )
        await suite.pipeline.answer(Reading("cap-01", suite.clock.now(), caps, {}, (), "SN-1"))


async def infusions_over(suite: Suite) -> None:
    for number, cap in enumerate((BAD, GOOD), start=1):
        visit = f"V-{number}"
        place = {"unit": cap.device, "cap": cap.channel, "visit": visit}
        order = {"visit": visit, "order": f"O-{number}", "agent_class": "chemo", "source": "mar"}
        await suite.send_event(f"b{number}", "association.bound", 60, validated=True, asserted_by="scan", **place)
        await suite.send_event(f"s{number}", "infusion.started", 50, **order)
        await suite.send_event(f"e{number}", "infusion.completed", 0, final=True, **order)


async def units(suite: Suite) -> dict[CapRef, int]:
    """Units that were told, by the session's cap."""
    token_caps = {token: record.cap for token, record in suite.pipeline.state.records.items()}
    told = [event["data"]["session"] for event in await suite.sent("/increment/json")]
    return {cap: sum(token_caps.get(token) == cap for token in told) for cap in (BAD, GOOD)}


async def both_are_shown(suite: Suite) -> None:
    """The page's board and the list of sessions have the other session, and a place for the one that fails."""
    operator = Operator(suite)
    chairs = (await operator.ask(request="board"))["chairs"]
    assert [each["session"]["token"] is not None for each in chairs] == [True, True]
    assert chairs[1]["state"] == "counting"
    listed = {each["cap"]: each for each in (await operator.ask(request="sessions"))["sessions"]}
    assert (listed.keys(), len(listed[GOOD.channel]["increments"])) == ({1, 2}, 2)


@pytest.mark.parametrize("view", ["chair_session", "session_view"])
async def test_a_view_that_fails_for_one_session_shows_the_others(
    folder: Path, view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(folder) as suite:
        await cool_both(suite, 60)
        await infusions_over(suite)
        await cool_both(suite, 50)
        owner = boards if view == "chair_session" else session_finder
        monkeypatch.setattr(owner, view, _failing(getattr(owner, view)))
        await both_are_shown(suite)


@pytest.mark.parametrize("place", [each for each in PLACES if each != "charging"])
async def test_the_other_session_counts_on_and_a_person_hears_of_it(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(folder) as suite:
        await cool_both(suite, 60)
        await infusions_over(suite)
        with monkeypatch.context() as patched:
            owner, name = PLACES[place]
            patched.setattr(owner, name, _failing(getattr(owner, name)))
            await cool_both(suite, 20)
            await suite.pipeline.tick()
            assert (await units(suite))[GOOD] == 1
            await suite.start()  # with the same defect
            await cool_both(suite, 30)
            await suite.pipeline.tick()
            assert await units(suite) == {BAD: 0, GOOD: 2}
            items = [item.raised for item in suite.pipeline.state.work]
            assert [item.what for item in items] == [WorkKind.SESSION_DEFECT]
            assert items[0].cap == BAD
            await both_are_shown(suite)
        suite.clock.us += 61 * 60_000_000  # mended: it is tried again within the hour
        await suite.pipeline.tick()
        await cool_both(suite, 1)
        assert (await units(suite))[BAD] >= 2


async def test_a_charge_that_meets_a_defect_is_made_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(folder) as suite:
        await cool_both(suite, 60)
        await infusions_over(suite)
        await cool_both(suite, 20)
        for visit in ("V-1", "V-2"):
            await suite.send_event(f"p{visit}", "preparation.charted", 10, visit=visit, person="rn-1")
        with monkeypatch.context() as patched:
            owner, name = PLACES["charging"]
            patched.setattr(owner, name, _failing(getattr(owner, name)))
            suite.state = RunState.STOPPED
            await suite.poll(2)
            suite.clock.us += 100 * 3600 * 1_000_000
            await suite.pipeline.tick()
            charges = await suite.sent("/charge/json")
            assert [each["data"]["patient"]["visit"] for each in charges] == ["V-2"]
        await suite.pipeline.tick()
        suite.clock.us += 61 * 60_000_000
        await suite.pipeline.tick()
        charges = await suite.sent("/charge/json")
        assert sorted(each["data"]["patient"]["visit"] for each in charges) == ["V-1", "V-2"]


@pytest.mark.parametrize("place", ["assessment", "outcome", "recording", "session head"])
async def test_a_session_that_meets_a_defect_as_it_opens_is_published_whole_later(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(folder) as suite:
        with monkeypatch.context() as patched:
            owner, name = PLACES[place]
            patched.setattr(owner, name, _failing(getattr(owner, name)))
            await cool_both(suite, 60)
            await suite.pipeline.tick()
            items = [item.raised for item in suite.pipeline.state.work]
            assert [(item.what, item.cap) for item in items] == [(WorkKind.SESSION_DEFECT, BAD)]
            token = items[0].order
            assert suite.pipeline.state.records[token].cap == BAD
            assert token not in {event["data"]["session"] for event in await suite.sent("/session/json")}
        await infusions_over(suite)
        await cool_both(suite, 20)
        suite.clock.us += 61 * 60_000_000
        await suite.pipeline.tick()
        await cool_both(suite, 1)
        published = [event["data"] for event in await suite.sent("/session/json") if event["data"]["session"] == token]
        assert published[0]["what"] == "opened"
        assert (await units(suite))[BAD] >= 1


async def test_a_defect_in_pruning_costs_no_session_its_minute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(folder) as suite:
        await cool_both(suite, 60)
        await infusions_over(suite)
        for owner, name in ((steps, "prune"), (SessionHeads, "clear_final")):
            with monkeypatch.context() as patched:
                patched.setattr(owner, name, _broken)
                await cool_both(suite, 18)
                await suite.pipeline.tick()
        assert await units(suite) == {BAD: 1, GOOD: 1}


async def test_a_defect_before_a_message_is_sorted_rejects_that_one_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(folder) as suite:
        await cool_both(suite, 60)
        with monkeypatch.context() as patched:
            patched.setattr(MessageReader, "read", _broken)
            assert (await suite.send_event("x", "infusion.started", 50))["code"] == "internal-error"
        await infusions_over(suite)
        await cool_both(suite, 18)
        assert await units(suite) == {BAD: 1, GOOD: 1}


def _broken(*_arguments: object) -> object:
    raise ZeroDivisionError("planted")
