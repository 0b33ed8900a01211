"""A change that bills rests on two polls, whatever the unit speaks: one answer alone never starts or stops a count."""

from pathlib import Path

import msgspec
import pytest

from drivers.dialects.base import Query, Raw
from drivers.line import LineTiming
from drivers.profile.load import load_profile
from drivers.reading import Evidence, Reading, RunState, Stamp
from drivers.unit.driver import Driver
from gateway.session.facts import AnyFact, CoolingStarted, CoolingStopped
from gateway.session.observe import CapState, ObserveRules, UnitState, observe
from tests.contract.profile_wire import SHIPPED, answers, profile_shape

US_PER_S = 1_000_000


async def golden_readings(path: Path) -> list[Reading]:
    """What the driver makes of each golden poll."""
    profile = load_profile(path)
    unit_id = profile.address.default if profile.address else None
    readings: list[Reading] = []
    for golden in profile_shape(path).golden:
        if golden.expect.exception:
            continue
        by_name = answers(profile, golden)
        by_query = {block.query(unit_id): by_name[block.name] for block in profile.blocks}

        class Line:
            answers = by_query

            async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
                answer = self.answers[query]
                assert isinstance(answer, tuple | str)
                return answer

        answer = await Driver("u", profile, Line(), unit_id, lambda: Stamp(0, 0), consents=True).read()
        readings += [answer] if isinstance(answer, Reading) else []
    return readings


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
async def test_one_answer_alone_starts_and_stops_nothing(path: Path) -> None:
    profile = load_profile(path)
    rules = ObserveRules(confirm_polls=2, max_gap_us=60 * US_PER_S, evidence=profile.evidence)
    running = [each for each in await golden_readings(path) if each.caps[0].circulating]
    if profile.evidence is Evidence.NONE:
        assert not running, "such a unit proves no circulation, and nothing counts on it"
        return
    cools = running[0]
    stands = msgspec.structs.replace(
        cools,
        caps=tuple(msgspec.structs.replace(cap, run_state=RunState.STOPPED, circulating=False) for cap in cools.caps),
    )

    def told(course: str) -> list[AnyFact]:
        """The facts of a course of polls, five seconds apart: `c` cools, `s` stands."""
        seen = UnitState(tuple(CapState() for _ in cools.caps))
        facts: list[AnyFact] = []
        for number, each in enumerate(course):
            reading = cools if each == "c" else stands
            at = Stamp(number * 5 * US_PER_S, number * 5 * US_PER_S)
            observation = observe(seen, msgspec.structs.replace(reading, observed_at=at), rules)
            seen = observation.state
            facts += [fact for fact in observation.facts if isinstance(fact, CoolingStarted | CoolingStopped)]
        return facts

    assert told("scscscs") == []
    started = told("sccsccsc")
    assert {type(fact) for fact in started} == {CoolingStarted}
    assert {fact.at_us for fact in started} == {5 * US_PER_S}, "at the first of the two"
    assert {type(fact) for fact in told("sccss")} == {CoolingStarted, CoolingStopped}
