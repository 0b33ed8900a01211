"""What a step costs when more sessions are open: the same."""

import itertools
from collections.abc import Callable
from functools import partial

import pytest

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    InfusionEnded,
    InfusionStarted,
    PatientBound,
    UnitOffline,
)
from gateway.session.policies import policies_of
from gateway.session.policy import Policy
from gateway.session.state import MEMORY_US, TrackerState, advance, lacking
from tests.support.counting import calls
from tests.unit.gateway.session.live_tracker import policy_text

FEW, MANY = 10, 1_000
MORE = 5  # calls: a search in an ordered thousand takes more steps than one in ten
MINUTE_US = 60_000_000
AFTER_US = 40 * MINUTE_US
DUE_US = 46 * MINUTE_US  # sixteen minutes after the first infusion's end


def unit(number: int) -> str:
    return f"cap-{number:04d}"


def opening(number: int, at_us: int) -> list[AnyFact]:
    """A patient on a cap of a unit of its own."""
    cap, patient = CapRef(unit(number), 1), f"p{number}"
    return [
        PatientBound(at_us=at_us, known_at_us=at_us, cap=cap, patient=patient),
        CoolingStarted(at_us=at_us, known_at_us=at_us, cap=cap),
    ]


def infusion(number: int) -> list[AnyFact]:
    """A millisecond later for each of them."""
    patient, order, ended_us = f"p{number}", f"o{number}", 30 * MINUTE_US + number * 1_000
    return [
        InfusionStarted(at_us=1, known_at_us=1, order=order, patient=patient, admin=AgentClass.CHEMO),
        InfusionEnded(at_us=ended_us, known_at_us=ended_us, order=order, patient=patient),
    ]


class ManySessions:
    """So many open sessions, none of which has reached a threshold."""

    def __init__(self, sessions: int) -> None:
        self._tokens = (f"T{number:08d}" for number in itertools.count(1))
        self.sessions = sessions
        self.observed = {unit(number): AFTER_US for number in range(sessions)}
        self.state = TrackerState(policies_of([policy_text(Policy())]), whole_from_us=-MEMORY_US)
        for number in range(sessions):
            self.state = self.after([*opening(number, 0), *infusion(number)], AFTER_US)

    def after(self, facts: list[AnyFact], now_us: int, observed: dict[str, int] | None = None) -> TrackerState:
        """The state after a step; what it lacks is looked for first, as the gateway does, and there is nothing more."""
        seen = self.observed if observed is None else observed
        lacking(self.state, facts, seen, now_us)
        state, _ = advance(self.state, facts, seen, now_us, lambda: next(self._tokens))
        return state


@pytest.fixture(scope="module")
def suites() -> list[ManySessions]:
    return [ManySessions(FEW), ManySessions(MANY)]


STARTED = InfusionStarted(at_us=AFTER_US, known_at_us=AFTER_US, order="o", patient="p5", admin=AgentClass.CHEMO)
OFFLINE = UnitOffline(at_us=AFTER_US, known_at_us=AFTER_US, device=unit(7))

STEPS: dict[str, Callable[[ManySessions], object]] = {
    "nothing is due": lambda suite: suite.after([], AFTER_US),
    "a reading passes a threshold": lambda suite: suite.after([], DUE_US, {unit(0): DUE_US}),
    "a session opens": lambda suite: suite.after(opening(MANY + 1, AFTER_US), AFTER_US),
    "a message about a patient": lambda suite: suite.after([STARTED], AFTER_US),
    "a fact about a unit": lambda suite: suite.after([OFFLINE], AFTER_US),
    "when a reading matters": lambda suite: [suite.state.sessions.due_us(unit(number)) for number in range(FEW)],
    "whom a cap serves": lambda suite: suite.state.serving(AFTER_US).get(CapRef(unit(4), 1)),
    "which caps serve a patient": lambda suite: suite.state.serving(AFTER_US).caps_of("p4"),
    "whether a patient is done": lambda suite: suite.state.sessions.is_done("p4"),
    "whether a patient is known": lambda suite: "p4" in suite.state.sessions.of_patients,
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_a_step_costs_the_same_with_ten_and_with_a_thousand_open_sessions(
    suites: list[ManySessions], step: Callable[[ManySessions], object]
) -> None:
    few, many = (calls(partial(step, suite)) for suite in suites)
    assert few > 0
    assert many <= few + MORE, (few, many)


def test_the_steps_do_something(suites: list[ManySessions]) -> None:
    for suite in suites:
        assert len(suite.state.sessions.going_on) == suite.sessions
        passed = suite.after([], DUE_US, {unit(0): DUE_US})
        assert [each.patient for each in passed.records.values() if each.emitted] == ["p0"]
        assert len(suite.after(opening(MANY + 1, AFTER_US), AFTER_US).records) == suite.sessions + 1
