"""What an assessment costs as its facts become more: twice the facts, about twice the work."""

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from gateway.session.assessment import assess
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CapRemoved,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopCharted,
    CoolingStopped,
    DepartureCancelled,
    FaultCleared,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionStarted,
    PatientLeft,
    UnitFaulted,
    UnitOffline,
    UnitOnline,
)
from gateway.session.policy import Policy
from gateway.session.spans import US_PER_S

_FEW = 60
_MOST = 2.5  # how much more work twice the facts may make
_CAP, _OTHER = CapRef("SC-A", 1), CapRef("SC-B", 1)
_LATE_US = 5 * 86400 * US_PER_S  # past the time for which a session is kept open


def _treatment(end_known_us: int) -> list[AnyFact]:
    return [
        CoolingStarted(at_us=0, known_at_us=0, cap=_CAP),
        InfusionStarted(at_us=1, known_at_us=1, order="o", patient="p", admin=AgentClass.CHEMO),
        InfusionEnded(at_us=2, known_at_us=end_known_us, order="o", patient="p"),
    ]


def _offline(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    yield UnitOffline(at_us=at_us, known_at_us=known_us, device="SC-A")
    yield UnitOnline(at_us=at_us + US_PER_S, known_at_us=known_us, device="SC-A")


def _paused(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    yield CoolingPaused(at_us=at_us, known_at_us=known_us, cap=_CAP)
    yield CoolingResumed(at_us=at_us + US_PER_S, known_at_us=known_us, cap=_CAP)


def _faulted(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    yield UnitFaulted(at_us=at_us, known_at_us=known_us, device="SC-A", code="E1")
    yield FaultCleared(at_us=at_us + US_PER_S, known_at_us=known_us, device="SC-A", code="E1")


def _removed(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    yield CoolingStopped(at_us=at_us, known_at_us=known_us, cap=_CAP)
    yield CapRemoved(at_us=at_us + US_PER_S, known_at_us=known_us, cap=_CAP)
    yield CoolingStarted(at_us=at_us + 2 * US_PER_S, known_at_us=known_us, cap=_CAP)


def _charted(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    yield CoolingStopped(at_us=at_us, known_at_us=known_us, cap=_CAP)
    yield CoolingStopCharted(at_us=at_us, known_at_us=at_us + US_PER_S, cap=_CAP)
    yield CoolingStarted(at_us=at_us + 2 * US_PER_S, known_at_us=known_us, cap=_CAP)


def _moved(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    """From one cap to another and back."""
    yield CoolingStopped(at_us=at_us, known_at_us=known_us, cap=_CAP)
    yield CoolingStarted(at_us=at_us, known_at_us=known_us, cap=_OTHER)
    yield CoolingStopped(at_us=at_us + US_PER_S, known_at_us=known_us, cap=_OTHER)
    yield CoolingStarted(at_us=at_us + US_PER_S, known_at_us=known_us, cap=_CAP)


def _left(at_us: int, known_us: int, _: int) -> Iterator[AnyFact]:
    yield PatientLeft(at_us=at_us, known_at_us=known_us, patient="p", source="adt")
    yield DepartureCancelled(at_us=at_us + US_PER_S, known_at_us=known_us, patient="p")


def _corrected(at_us: int, known_us: int, number: int) -> Iterator[AnyFact]:
    version = number + 2
    yield InfusionEndCorrected(
        at_us=at_us, known_at_us=known_us, order="o", patient="p", new_end_us=2 + number, version=version
    )
    yield InfusionEndVoided(at_us=at_us, known_at_us=known_us, order="o", patient="p", version=version)


def _further_order(at_us: int, known_us: int, number: int) -> Iterator[AnyFact]:
    yield InfusionStarted(at_us=at_us, known_at_us=known_us, order=f"o{number}", patient="p", admin=AgentClass.BIOLOGIC)


def _work(facts: list[AnyFact]) -> int:
    """How many instructions the interpreter takes to assess `facts`."""
    taken = 0

    def count(frame: FrameType, event: str, _: object) -> Callable[..., Any]:
        nonlocal taken
        frame.f_trace_opcodes = True
        taken += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        assess(facts, Policy(), 2 * _LATE_US)
    finally:
        sys.settrace(before)
    return taken


_KINDS = [_offline, _paused, _faulted, _removed, _charted, _moved, _left, _corrected, _further_order]


@pytest.mark.parametrize(
    ("makes", "late"),
    [*((each, False) for each in _KINDS), *((each, True) for each in _KINDS if each is not _corrected)],
)
def test_twice_the_facts_make_twice_the_work(makes: Callable[[int, int, int], Iterator[AnyFact]], late: bool) -> None:
    """Of every kind, also where they are received after the session's end, one by one."""

    def facts(count: int) -> list[AnyFact]:
        made = _treatment(2 * _LATE_US if late else 2)
        for number in range(count):
            at_us = (10 + 5 * number) * US_PER_S
            made += makes(at_us, at_us + _LATE_US if late else at_us, number)
        stopped_us = (10 + 5 * count) * US_PER_S
        made.append(CoolingStopped(at_us=stopped_us, known_at_us=stopped_us, cap=_CAP))
        return made

    assert _work(facts(2 * _FEW)) <= _MOST * _work(facts(_FEW))
