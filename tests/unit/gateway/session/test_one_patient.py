"""What it costs to find the facts of one patient, and the sessions they make, as they become more: in proportion."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from gateway.session.attribution import sessions
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    BindingVoided,
    CapRef,
    CoolingStarted,
    DepartureCancelled,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionStarted,
    PatientBound,
    PatientLeft,
    PatientReassigned,
    PreparationCharted,
    ToleranceChecked,
)
from gateway.session.known_facts import KnownFacts
from gateway.session.related import Anchor, gather, related
from gateway.session.spans import US_PER_S
from tests.support.counting import calls

FEW = 100
MOST = 2.5  # how much more work twice the facts may make
CAP = CapRef("SC-A", 1)
HOUR_US = 3600 * US_PER_S
IDLE_US = 1800 * US_PER_S
ANCHOR = Anchor(("patient", "p"), 1)


def treatment() -> list[AnyFact]:
    return [
        PatientBound(at_us=0, known_at_us=0, cap=CAP, patient="p"),
        CoolingStarted(at_us=1, known_at_us=1, cap=CAP),
        InfusionStarted(at_us=2, known_at_us=2, order="o", patient="p", admin=AgentClass.CHEMO),
        InfusionEnded(at_us=3, known_at_us=3, order="o", patient="p"),
    ]


def started(at_us: int, number: int) -> Iterator[AnyFact]:
    yield InfusionStarted(at_us=at_us, known_at_us=at_us, order=f"o{number}", patient="p")


def started_hours_apart(at_us: int, number: int) -> Iterator[AnyFact]:
    at_us += number * HOUR_US
    yield InfusionStarted(at_us=at_us, known_at_us=at_us, order=f"o{number}", patient="p")


def ended_and_corrected(at_us: int, number: int) -> Iterator[AnyFact]:
    version = number + 2
    yield InfusionEnded(at_us=at_us, known_at_us=at_us, order="o", patient="p")
    yield InfusionEndCorrected(
        at_us=at_us, known_at_us=at_us, order="o", patient="p", new_end_us=at_us - 1, version=version
    )
    yield InfusionEndVoided(at_us=at_us, known_at_us=at_us, order="o", patient="p", version=version)
    yield InfusionEnded(at_us=at_us, known_at_us=at_us, order="o", patient="p", no_time=True)


def bound_and_voided(at_us: int, _: int) -> Iterator[AnyFact]:
    yield PatientBound(at_us=at_us, known_at_us=at_us, cap=CAP, patient="p")
    yield BindingVoided(at_us=at_us + 1, known_at_us=at_us + 1, cap=CAP, patient="p")


def charted(at_us: int, _: int) -> Iterator[AnyFact]:
    yield PreparationCharted(at_us=at_us, known_at_us=at_us, patient="p")
    yield ToleranceChecked(at_us=at_us, known_at_us=at_us, patient="p")


def left(at_us: int, _: int) -> Iterator[AnyFact]:
    yield PatientLeft(at_us=at_us, known_at_us=at_us, patient="p", source="adt")
    yield DepartureCancelled(at_us=at_us + 1, known_at_us=at_us + 1, patient="p")


def reassigned(at_us: int, _: int) -> Iterator[AnyFact]:
    yield PatientReassigned(at_us=at_us, known_at_us=at_us, cap=CAP, from_patient="p", to_patient="q")


def find(facts: Sequence[AnyFact]) -> Callable[[], object]:
    return partial(related, KnownFacts().added(facts), [ANCHOR], IDLE_US)


def read_back(facts: Sequence[AnyFact]) -> Callable[[], object]:
    return partial(gather, KnownFacts().added(facts), [ANCHOR], facts[-1:], IDLE_US)


def sort(facts: Sequence[AnyFact]) -> Callable[[], object]:
    return partial(sessions, facts)


@pytest.mark.parametrize("asked", [find, read_back, sort])
@pytest.mark.parametrize(
    "makes",
    [started, started_hours_apart, ended_and_corrected, bound_and_voided, charted, left, reassigned],
)
def test_twice_the_facts_of_a_patient_make_twice_the_work(
    makes: Callable[[int, int], Iterator[AnyFact]], asked: Callable[[Sequence[AnyFact]], Callable[[], object]]
) -> None:
    def work(count: int) -> int:
        made = treatment()
        for number in range(count):
            made += makes((10 + 5 * number) * US_PER_S, number)
        return calls(asked(made))

    assert work(2 * FEW) <= MOST * work(FEW)
