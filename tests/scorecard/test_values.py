"""R32: a value that stands still, one that means "none", one that leaps: a reason, and nothing counts on it."""

import random
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from drivers.decode.decoder import Decoder
from drivers.decode.values import canonical_unit
from drivers.dialects.base import Query, Raw
from drivers.line import LineTiming
from drivers.profile.enums import ReplyKind
from drivers.profile.load import DeviceProfile, load_profile
from drivers.profile.types import Point
from drivers.reading import Quality, Reading, Reason, Stamp
from drivers.unit.driver import Driver
from gateway.session.facts import CoolingStarted
from gateway.session.observe import CapState, ObserveRules, UnitState, observe
from tests.contract.profile_wire import SHIPPED, good_poll, raw_number, with_raw
from tests.scorecard.repeats import repeats

US_PER_S = 1_000_000
PROFILES = {path: load_profile(path) for path in SHIPPED}
POLLS = {path: good_poll(path) for path in SHIPPED}


class Bench:
    """One unit whose next answers are at hand, and a clock that stands still until it is moved."""

    def __init__(self, path: Path, profile: DeviceProfile | None = None) -> None:
        profile = profile or PROFILES[path]
        self.raws: dict[str, Raw] = POLLS[path]
        self.at_s = 0.0
        unit_id = profile.address.default if profile.address else None
        self._names = {block.query(unit_id): block.name for block in profile.blocks}
        self._driver = Driver("u1", profile, self, unit_id, self._now, consents=True)

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        return self.raws[self._names[query]]

    async def poll(self, after_s: float) -> Reading:
        self.at_s += after_s
        answer = await self._driver.read()
        assert isinstance(answer, Reading), answer
        return answer

    def _now(self) -> Stamp:
        return Stamp(round(self.at_s * US_PER_S), round(self.at_s * US_PER_S))


def is_leaping(point: Point) -> bool:
    return canonical_unit(point) == "Cel" and point.name == "coolant_supply" and point.max_k_per_min is not None


STILL = [(path, point) for path in SHIPPED for point in PROFILES[path].points if point.stuck_after_s]
LEAPING = [(path, point) for path in SHIPPED for point in PROFILES[path].points if is_leaping(point)]
SENTINELS = [
    (path, point, sentinel) for path in SHIPPED for point in PROFILES[path].points for sentinel in point.sentinels
]


def test_every_shipped_profile_says_how_fast_its_coolant_can_change_and_when_it_stands_too_still() -> None:
    assert {path for path, _ in LEAPING} == set(SHIPPED)
    still = {path for path, _ in STILL} | {path for path in SHIPPED if PROFILES[path].heartbeat}
    assert still == set(SHIPPED)


async def test_r32_a_value_that_stands_still_while_coolant_runs_gives_a_reason_and_no_number() -> None:
    for seed in range(repeats(10)):
        chance = random.Random(seed)
        path, point = chance.choice(STILL)
        bench, period_s = Bench(path), chance.uniform(1, 60)
        assert point.stuck_after_s is not None
        began_s = 0.0
        while True:
            reading = await bench.poll(period_s)
            began_s = began_s or bench.at_s
            if not any(cap.circulating for cap in reading.caps):
                break  # its golden poll is of a unit that stands: it may
            measurement = reading.measurements[point.name]
            if bench.at_s - began_s > point.stuck_after_s:
                assert (measurement.value, measurement.reason) == (None, Reason.FROZEN), (seed, path)
                break
            assert measurement.quality is Quality.GOOD, (seed, path)


async def test_r32_what_means_no_value_gives_a_reason_and_no_number() -> None:
    for seed in range(repeats(20)):
        path, point, sentinel = random.Random(seed).choice(SENTINELS)
        if point.name == PROFILES[path].serial_number:
            continue
        shown = next(
            each
            for each in Decoder(PROFILES[path]).points(with_raw(POLLS[path], point, sentinel))
            if each.name == point.name
        )
        assert (shown.value, shown.quality, shown.reason) == (None, Quality.BAD, Reason.SENTINEL), (seed, path)


def leaped(point: Point, to: str) -> int | str | bytes:
    """What stands on the wire for that temperature; text that is always signed has its plus."""
    value = Decimal(to) / Decimal(float(point.scale))
    return f"{value:+}" if point.type is ReplyKind.SIGNED else raw_number(point, value)


@pytest.mark.parametrize("leap", ["85", "-127"], ids=["a converter that started anew", "a converter that is gone"])
async def test_r32_a_leap_gives_a_reason_and_no_number_and_the_next_value_is_good(leap: str) -> None:
    for seed in range(repeats(20)):
        chance = random.Random(seed)
        path, point = chance.choice(LEAPING)
        bench, period_s = Bench(path), chance.uniform(0.5, 15)
        before = await bench.poll(period_s)
        bench.raws = with_raw(bench.raws, point, leaped(point, leap))
        doubted = (await bench.poll(period_s)).measurements[point.name]
        assert (doubted.value, doubted.quality) == (None, Quality.BAD), (seed, path, doubted)
        assert doubted.reason in (Reason.IMPOSSIBLE_SLOPE, Reason.OUT_OF_RANGE, Reason.SENTINEL), (seed, path)
        bench.raws = POLLS[path]
        after = (await bench.poll(period_s)).measurements[point.name]
        assert after.value == before.measurements[point.name].value, (seed, path)
        assert after.reason in (None, Reason.FROZEN), (seed, path)  # the bench moves no heartbeat


async def test_r32_no_cooling_counts_on_a_flow_without_a_value_or_a_controller_that_hangs() -> None:
    path = next(path for path in SHIPPED if path.stem == "reference-cap-unit")
    profile = PROFILES[path]
    rules = ObserveRules(confirm_polls=2, max_gap_us=15 * US_PER_S, evidence=profile.evidence)
    flow = next(point for point in profile.points if point.name == "cap_flow")
    heartbeat = next(point for point in profile.points if point.name == "heartbeat")
    for seed in range(repeats(10)):
        chance = random.Random(seed)
        bench = Bench(path)
        hangs = chance.random() < 0.5
        if not hangs:
            bench.raws = with_raw(bench.raws, flow, 0xFFFF)
        seen = UnitState((CapState(), CapState()))
        for number in range(60):
            if not hangs:
                bench.raws = with_raw(bench.raws, heartbeat, number)
            elif number == 0:
                await bench.poll(20)
                await bench.poll(20)  # it stands still for longer than it may before anything is looked at
            observation = observe(seen, await bench.poll(1), rules)
            seen = observation.state
            started = [fact for fact in observation.facts if isinstance(fact, CoolingStarted)]
            assert not [fact for fact in started if hangs or fact.cap.channel == 1], (seed, number)


async def test_r32_no_cooling_counts_on_a_flow_that_is_frozen() -> None:
    path = next(path for path in SHIPPED if path.stem == "reference-cap-unit")
    profile = PROFILES[path]
    points = tuple(
        msgspec.structs.replace(point, stuck_after_s=60) if point.name == "cap_flow" else point
        for point in profile.points
    )
    bench = Bench(path, msgspec.structs.replace(profile, points=points))
    heartbeat = next(point for point in profile.points if point.name == "heartbeat")
    circulating: list[bool | None] = []
    for number in range(30):
        bench.raws = with_raw(bench.raws, heartbeat, number)
        circulating.append((await bench.poll(5)).caps[0].circulating)
    assert circulating == [True] * 13 + [None] * 17
