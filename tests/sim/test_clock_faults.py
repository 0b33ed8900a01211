"""A box whose wall clock is wrong when it starts: nothing is lost, and nothing gets an instant that is wrong."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from gateway.audit.verify import verify
from gateway.paused import journalling
from gateway.session.fact_types import ClockDoubt, ClockState, WorkKind
from gateway.session.flags import Flag, HeldReason
from tests.scorecard.repeats import repeats
from tests.support.box import DAY, MINUTE, RELEASED_US, START_US, Box, S
from tests.support.pipeline import configured

NEVER = 85 * MINUTE  # when all is over
_OFF_US = 10 * MINUTE
Told = list[tuple[int, int]]
Event = tuple[int, Callable[[], Awaitable[None]]]
_right: dict[bool, Told] = {}  # what a clock that is always right gives, by whether the unit cooled over the boot


@pytest.fixture(autouse=True)
def _writes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journalling, "WRITE_S", 0.001)


@pytest.mark.parametrize("restart", ["", "process", "box"])
@pytest.mark.parametrize("cooling", [False, True], ids=["idle", "cooling"])
@pytest.mark.parametrize("mended_us", [10 * S, 10 * MINUTE, NEVER], ids=["10 s", "10 min", "never"])
@pytest.mark.parametrize(
    ("error_us", "doubt"),
    [
        (-START_US, ClockDoubt.BEFORE_RELEASE),
        (-DAY, ClockDoubt.BEFORE_LAST),
        (DAY, ClockDoubt.FAR_AFTER),
    ],
    ids=["1970", "last - 1 d", "last + 1 d"],
)
async def test_a_boot_with_a_wrong_clock_loses_no_increment_and_misplaces_none(
    tmp_path: Path, error_us: int, doubt: ClockDoubt, mended_us: int, cooling: bool, restart: str
) -> None:
    if cooling not in _right:
        _right[cooling] = await _day(Box(configured(tmp_path / "right")), 0, 0, cooling=cooling, restart="")
        assert len(_right[cooling]) >= 2
    box = Box(configured(tmp_path / "wrong"))
    told = await _day(box, error_us, mended_us, cooling=cooling, restart=restart)
    facts = [json.loads(entry.body) for entry in await box.ledger.entries() if entry.kind == "fact"]
    judged = [fact for fact in facts if fact["fact"] == "clock_judged"]
    assert [fact["state"] for fact in judged] == [ClockState.TRUSTED] * 2, "one for each boot that recorded anything"
    assert judged[1]["doubt"] in (doubt, ClockDoubt.JUST_BOOTED)
    assert judged[1]["corrected_us"] == -error_us
    instants = [instant for fact in facts for instant in (fact["at_us"], fact["known_at_us"])]
    late_us = box.machine.true_us + S  # steps in one instant of the clock are a microsecond apart
    assert all(RELEASED_US < instant < late_us for instant in instants), "no instant of a wrong clock"
    unplaced = restart == "box" and (cooling or mended_us == NEVER)  # the boot in between saw cooling, and left no time
    assert [HeldReason.TIME_UNKNOWN in held for held in await box.held()] == [unplaced], "what is not counted is held"
    if cooling or not unplaced:  # the counters of a unit whose session is known prove what it did meanwhile
        assert told == _right[cooling]
    else:
        assert len(told) < len(_right[cooling])
        assert [item.raised.what for item in box.work] == [WorkKind.TIME_UNKNOWN]
    await box.end()
    assert verify(box.path).problems == ()


async def _day(box: Box, error_us: int, mended_us: int, *, cooling: bool, restart: str) -> Told:
    """An hour by a right clock; the box is off; it starts with a wrong one, which is mended after a while."""
    await box.start()
    await box.poll(2 * MINUTE)
    box.cools = cooling
    await box.poll(60 * MINUTE)
    if cooling:
        await box.infusion()
    await box.end()
    box.pass_time(_OFF_US)
    box.machine.boot(error_us)
    await box.start()
    assert (box.pause is not None) == bool(error_us)
    began_us = box.machine.true_us

    async def begin_again() -> None:
        await box.end()
        if restart == "box":
            box.machine.boot(error_us)
        await box.start()
        assert box.pause is not None, "it waits again"

    events: list[Event] = [(82 * MINUTE, box.stop_cooling), (NEVER - 1, box.nothing)]
    if not cooling:
        events += [(20 * MINUTE, box.begin_cooling), (25 * MINUTE, box.infusion)]
    if error_us:
        events.append((mended_us, box.mended))
    if restart:
        events.append((mended_us // 2, begin_again))
    for at_us, happens in sorted(events, key=lambda event: event[0]):
        await box.poll(began_us + at_us - box.machine.true_us)
        await happens()
    return box.told()


async def _session(box: Box, disturb: Callable[[int], Awaitable[None]]) -> Told:
    """Two hours of cooling, an infusion's end after the first; `disturb` is called each ten minutes."""
    await box.start()
    await box.poll(2 * MINUTE)
    box.cools = True
    await box.poll(60 * MINUTE)
    await box.infusion()
    for part in range(6):
        await box.poll(10 * MINUTE)
        await disturb(part)
    return box.told()


async def _undisturbed(_: int) -> None:
    """Nothing."""


async def test_steps_of_the_wall_clock_in_a_session_move_no_increment(tmp_path: Path) -> None:
    expected = await _session(Box(configured(tmp_path / "right")), _undisturbed)
    for seed in range(repeats(2)):
        random = Random(f"steps {seed}")
        box = Box(configured(tmp_path / f"box-{seed}"))

        async def step(_: int, box: Box = box, random: Random = random) -> None:
            size_us = round(S * (DAY / S) ** random.random())
            box.machine.set_wall(random.choice((-1, 1)) * size_us, synchronised=random.random() < 0.5)

        assert await _session(box, step) == expected
        assert box.pipeline is not None
        assert box.pipeline.clock_watch.state in (ClockState.HOLDOVER, ClockState.TRUSTED)
        assert [HeldReason.CLOCK_WRONG in held for held in await box.held()] == [False], "its stamps were proven"
        await box.end()
        assert verify(box.path).problems == ()


@pytest.mark.parametrize(("step_us", "held"), [(30 * S, False), (5 * 60 * MINUTE, True), (-5 * 60 * MINUTE, True)])
async def test_a_clock_that_nothing_vouched_for_and_proves_wrong_holds_what_ran_on_it(
    tmp_path: Path, step_us: int, held: bool
) -> None:
    box = Box(configured(tmp_path / "box"))
    box.machine.set_wall(-step_us, synchronised=False)
    box.pass_time(10 * MINUTE)  # no time service came in the first minutes

    async def mend(part: int) -> None:
        if part == 3:
            box.machine.set_wall(0, synchronised=True)

    await _session(box, mend)
    assert [HeldReason.CLOCK_WRONG in why for why in await box.held()] == [held]
    assert box.pipeline is not None
    assert box.pipeline.clock_watch.state is ClockState.UNTRUSTED
    facts = [json.loads(entry.body) for entry in await box.ledger.entries() if entry.kind == "fact"]
    states = [fact["state"] for fact in facts if fact["fact"] == "clock_judged"]
    assert states == [ClockState.UNSYNCHRONISED, ClockState.UNTRUSTED]
    assert len([fact for fact in facts if fact["fact"] == "gateway_hold"]) == int(held), "told once"
    box.cools = False
    await box.poll(45 * MINUTE)
    assert box.pipeline.clock_watch.state is ClockState.TRUSTED, "what comes then has the right time"
    await box.end()
    assert verify(box.path).problems == ()


async def test_a_process_that_begins_anew_in_a_boot_goes_on_whatever_the_wall_shows(tmp_path: Path) -> None:
    expected = await _session(Box(configured(tmp_path / "right")), _undisturbed)
    box = Box(configured(tmp_path / "box"))

    async def broken(part: int) -> None:
        box.machine.set_wall((-START_US, -DAY, DAY)[part % 3], synchronised=False)
        await box.end()
        await box.start()
        assert box.pause is None

    assert await _session(box, broken) == expected
    await box.end()
    assert verify(box.path).problems == ()


@pytest.mark.parametrize("silence_us", [90 * S, 20 * MINUTE], ids=["asleep for 90 s", "off for 20 min"])
@pytest.mark.parametrize("counted", [True, False], ids=["the unit counts", "its counters start anew"])
async def test_of_a_time_without_the_gateway_only_what_the_unit_proves_counts(
    tmp_path: Path, silence_us: int, counted: bool
) -> None:
    expected = await _session(Box(configured(tmp_path / "right")), _undisturbed)
    box = Box(configured(tmp_path / "box"))

    async def away(part: int) -> None:
        if part != 2:
            return
        off = silence_us > 10 * MINUTE
        if off:
            await box.end()
        box.pass_time(silence_us)
        if not counted:
            box.renew_counters()
        if off:
            box.machine.boot()
            await box.start()

    told = await _session(box, away)
    flags = {flag for each in box.records if each.published for flag in each.published.flags}
    if counted:
        assert told[: len(expected)] == expected
        assert Flag.UNOBSERVED_GAP not in flags
    else:
        assert told[0] == expected[0]
        assert all(late > early for (_, late), (_, early) in zip(told[1:], expected[1:], strict=False))
        assert flags & {Flag.UNOBSERVED_GAP, Flag.POST_INFUSION_RESTART}, "and it is said"
    await box.end()
    assert verify(box.path).problems == ()


@pytest.mark.parametrize("smeared", [False, True], ids=["leap second", "smear"])
async def test_a_leap_second_is_no_step(tmp_path: Path, smeared: bool) -> None:
    expected = await _session(Box(configured(tmp_path / "right")), _undisturbed)
    box = Box(configured(tmp_path / "box"))

    async def leap(part: int) -> None:
        box.machine.set_wall(S * (part + 1) // 6 if smeared else S, synchronised=True)

    assert await _session(box, leap) == expected
    facts = [json.loads(entry.body) for entry in await box.ledger.entries() if entry.kind == "fact"]
    assert [fact["state"] for fact in facts if fact["fact"] == "clock_judged"] == [ClockState.TRUSTED]
    assert [fact for fact in facts if fact["fact"] == "clock_stepped"] == []
    recorded = [entry.recorded_us for entry in await box.ledger.entries()]
    assert recorded == sorted(recorded)
    await box.end()


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("America/New_York", "2026-11-01T06:00Z"),
        ("America/New_York", "2027-03-14T07:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00Z"),
        ("Europe/Berlin", "2027-03-28T01:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30Z"),
        ("Australia/Lord_Howe", "2027-04-03T15:00Z"),
    ],
)
async def test_summer_time_that_begins_or_ends_over_midnight_moves_no_increment(
    tmp_path: Path, zone: str, changes: str
) -> None:
    shifts: list[Told] = []
    change_us = round(datetime.fromisoformat(changes).timestamp()) * S
    assert datetime.fromtimestamp(change_us / S - 1, ZoneInfo(zone)).utcoffset() != (
        datetime.fromtimestamp(change_us / S, ZoneInfo(zone)).utcoffset()
    ), "the clocks change there"
    for start_us in (START_US, change_us - 140 * MINUTE):
        folder = configured(tmp_path / str(start_us))
        policy = folder / "policy.toml"
        policy.write_text(f'{policy.read_text()}timezone = "{zone}"\n')
        box = Box(folder)
        box.machine.true_us = start_us
        box.machine.boot()

        async def on(_: int, box: Box = box) -> None:
            await box.poll(10 * MINUTE)

        shifts.append([(index, at_us - start_us) for index, at_us in await _session(box, on)])
        events = [json.loads(row.payload) for row in await box.ledger.outbox.pending(0, 1000) if row.payload]
        assert all(event["time"].endswith("Z") for event in events), "only UTC goes out"
        await box.end()
    assert shifts[0] == shifts[1]
    assert len(shifts[1]) >= 4
