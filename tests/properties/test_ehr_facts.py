"""What the EHR takes back, in any order: a running gateway tells what a fresh look at all its facts gives."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.session import facts
from gateway.session.facts import AgentClass, AnyFact, CapRef, WorkKind
from gateway.session.policies import policies_of
from gateway.session.policy import Policy
from gateway.session.spans import US_PER_MINUTE
from gateway.session.state import TrackerState, advance
from tests.unit.gateway.session.live_tracker import Live, Memory, Watched, policy_text

CAPS = (CapRef("cap-07", 1), CapRef("cap-07", 2), CapRef("cap-08", 1))
BEGIN_US = 1_790_000_000_000_000
KINDS = ("start", "stop", "bind", "bind", "void", "void", "release", "left", "back", "work", "infused", "ended")
POLICY = Policy(name="p", revision="1", approved_by="the tests")


def minute(at: int) -> int:
    return BEGIN_US + at * US_PER_MINUTE


def fact_of(kind: str, at: int, late: int, cap: CapRef, patient: str) -> AnyFact:
    at_us, known_us = minute(at), minute(at + late)
    match kind:
        case "start":
            return facts.CoolingStarted(at_us=at_us, known_at_us=known_us, cap=cap)
        case "stop":
            return facts.CoolingStopped(at_us=at_us, known_at_us=known_us, cap=cap)
        case "bind":
            message = f"m{known_us}"
            return facts.PatientBound(at_us=at_us, known_at_us=known_us, cap=cap, patient=patient, msg=message)
        case "void":
            return facts.BindingVoided(at_us=known_us, known_at_us=known_us, cap=cap, patient=patient)
        case "release":
            return facts.PatientReleased(at_us=at_us, known_at_us=known_us, cap=cap, patient=patient)
        case "left":
            return facts.PatientLeft(at_us=at_us, known_at_us=known_us, patient=patient, source="adt")
        case "back":
            return facts.DepartureCancelled(at_us=at_us, known_at_us=known_us, patient=patient)
        case "work":
            what = WorkKind.CHAIR_DISAGREES
            return facts.WorkRaised(at_us=known_us, known_at_us=known_us, what=what, cap=cap, patient=patient)
        case "infused":
            return facts.InfusionStarted(
                at_us=at_us, known_at_us=known_us, order=f"O-{patient}", patient=patient, admin=AgentClass.CHEMO
            )
        case _:
            return facts.InfusionEnded(
                at_us=at_us, known_at_us=known_us, order=f"O-{patient}", patient=patient, admin=AgentClass.CHEMO
            )


infusions = st.builds(
    fact_of,
    st.sampled_from(KINDS),
    st.integers(0, 240),
    st.sampled_from([0, 0, 1, 30, 90]),
    st.sampled_from(CAPS),
    st.sampled_from(["A", "B"]),
)
USUAL = [
    fact_of("bind", 0, 0, CAPS[0], "A"),
    fact_of("start", 5, 0, CAPS[0], ""),
    fact_of("infused", 30, 0, CAPS[0], "A"),
    fact_of("ended", 90, 0, CAPS[0], "A"),
]
days = st.lists(infusions, min_size=1, max_size=12).map(lambda more: [*USUAL, *more])


def standing(state: TrackerState) -> dict[str, int]:
    """How many increments stand, patient by patient."""
    count: dict[str, int] = {}
    for record in state.records.values():
        units = sum(not each.retracted for each in record.emitted)
        if units:
            count[record.patient] = count.get(record.patient, 0) + units
    return count


def looked_at_once(day: Sequence[AnyFact], now_us: int) -> dict[str, int]:
    numbers = iter(range(1000))
    state, _ = advance(
        TrackerState(policies_of([policy_text(POLICY)])),
        day,
        Watched(now_us),
        now_us,
        lambda: f"N{next(numbers):08d}",
    )
    return standing(state)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(days)
def test_a_running_gateway_tells_what_a_fresh_look_gives(day: list[AnyFact]) -> None:
    live = Live(POLICY, Memory.RESTARTS)
    live.play(day)
    now_us = minute(400)
    live.observe_until(now_us)
    live.learn((), now_us)
    assert standing(live.state) == looked_at_once(day, now_us)


@settings(deadline=None, max_examples=150)
@given(days)
def test_work_for_people_changes_no_count(day: list[AnyFact]) -> None:
    without = [fact for fact in day if not isinstance(fact, facts.WorkRaised)]
    assert looked_at_once(day, minute(400)) == looked_at_once(without, minute(400))


@settings(deadline=None, max_examples=150)
@given(days)
def test_an_order_of_arrival_at_one_instant_does_not_matter(day: list[AnyFact]) -> None:
    assert looked_at_once(day, minute(400)) == looked_at_once(list(reversed(day)), minute(400))


def test_two_patients_bound_at_one_instant_have_a_session_each() -> None:
    day = [
        fact_of("start", 0, 0, CAPS[0], ""),
        *(fact_of("bind", 1, late, CAPS[0], who) for late, who in ((0, "B"), (1, "A"))),
    ]
    live = Live(POLICY, Memory.RESTARTS)
    live.play(day)
    assert sorted(record.patient for record in live.state.records.values()) == ["A", "B"]
