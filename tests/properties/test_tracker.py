"""The tracker as a function of the set of facts: order and repetition change nothing, and an oracle agrees."""

from enum import StrEnum
from itertools import pairwise
from random import Random
from typing import TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.replay.replay import record, replay
from gateway.session.assessment import assess, assess_observed, review_of
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CapRemoved,
    Continuity,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopCharted,
    CoolingStopped,
    FaultCleared,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
    PatientLeft,
    UnitFaulted,
    UnitOffline,
    UnitOnline,
    decode_fact,
    encode_fact,
)
from gateway.session.increments import fold
from gateway.session.policy import (
    InfusionEndBasis,
    OfflineUnproven,
    PauseCounting,
    Policy,
    StopConflict,
    TimestampResolution,
)
from gateway.session.why import Cause, why
from tests.properties.painted_seconds import attained_s

_US = 1_000_000
_EVENTS_S = 6000  # events happen up to here
_UNTIL_S = 8000  # and nothing is known beyond here
_A1, _B1 = CapRef("SC-A", 1), CapRef("SC-B", 1)


class _Kind(StrEnum):
    """What may happen, as often as it is named in `_KINDS`."""

    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    REMOVAL = "removal"
    CHARTED = "charted"
    LEFT = "left"
    FAULT = "fault"
    CLEARED = "cleared"
    OFFLINE = "offline"
    ONLINE = "online"
    RESTART = "restart"
    END = "end"
    CORRECTION = "correction"
    VOID = "void"


_OFTEN = (_Kind.START, _Kind.STOP, _Kind.PAUSE, _Kind.RESUME, _Kind.OFFLINE, _Kind.ONLINE, _Kind.CORRECTION)
_KINDS = st.sampled_from([*_OFTEN, *_OFTEN, *_Kind])
_INFUSION_KINDS = frozenset({_Kind.RESTART, _Kind.END, _Kind.CORRECTION, _Kind.VOID})
_CAPS = st.sampled_from([_A1, _A1, _B1])
_DEVICES = st.sampled_from(["SC-A", "SC-A", "SC-B"])
_ORDERS = st.sampled_from(["A", "A", "B"])
_CODES = st.sampled_from(["coolant_high", "pump"])
_VERSIONS = st.integers(2, 4)
_INSTANTS_S = st.one_of(st.integers(300, _EVENTS_S), st.integers(1200, 2400))


_AT_A_CAP = {
    _Kind.START: CoolingStarted,
    _Kind.STOP: CoolingStopped,
    _Kind.RESUME: CoolingResumed,
    _Kind.REMOVAL: CapRemoved,
    _Kind.CHARTED: CoolingStopCharted,
}


class _Instants(TypedDict):
    at_us: int
    known_at_us: int


@st.composite
def _events(draw: st.DrawFn, at_s: int) -> AnyFact:
    kind = draw(_KINDS)
    # A charted stop is told at once here: how far it reaches back when told late is a matter of unit tests.
    late_s = 0 if kind is _Kind.CHARTED else draw(st.sampled_from([0, 0, 0, 40, 1500]))
    times = _Instants(at_us=at_s * _US, known_at_us=(at_s + late_s) * _US)
    if kind in _AT_A_CAP:
        return _AT_A_CAP[kind](**times, cap=draw(_CAPS), patient="P1")
    if kind is _Kind.PAUSE:
        return CoolingPaused(**times, cap=draw(_CAPS), patient="P1", reason=draw(st.sampled_from(["", "fault"])))
    if kind is _Kind.LEFT:
        return PatientLeft(**times, patient="P1")
    return draw(_infusion_events(kind, times) if kind in _INFUSION_KINDS else _unit_events(kind, times))


@st.composite
def _unit_events(draw: st.DrawFn, kind: _Kind, times: _Instants) -> AnyFact:
    device = draw(_DEVICES)
    match kind:
        case _Kind.FAULT:
            return UnitFaulted(**times, device=device, code=draw(_CODES))
        case _Kind.CLEARED:
            return FaultCleared(**times, device=device, code=draw(_CODES | st.just("")))
        case _Kind.ONLINE:
            return UnitOnline(**times, device=device, continuity=draw(st.sampled_from(Continuity)))
        case _:
            return UnitOffline(**times, device=device)


@st.composite
def _infusion_events(draw: st.DrawFn, kind: _Kind, times: _Instants) -> AnyFact:
    order = draw(_ORDERS)
    match kind:
        case _Kind.RESTART:
            return InfusionRestarted(**times, order=order, patient="P1")
        case _Kind.CORRECTION:
            version, end_us = draw(_VERSIONS), draw(_INSTANTS_S) * _US
            return InfusionEndCorrected(**times, order=order, patient="P1", version=version, new_end_us=end_us)
        case _Kind.VOID:
            return InfusionEndVoided(**times, order=order, patient="P1", version=draw(st.none() | _VERSIONS))
        case _:
            return InfusionEnded(**times, order=order, patient="P1")


@st.composite
def _timelines(draw: st.DrawFn) -> list[AnyFact]:
    """Cooling from the first second, an infusion that ends, often a second agent, and what else may happen."""
    first, second, *others = draw(st.lists(_INSTANTS_S, min_size=2, max_size=14, unique=True))
    facts: list[AnyFact] = [
        CoolingStarted(at_us=0, known_at_us=0, cap=_A1, patient="P1"),
        InfusionStarted(at_us=_US, known_at_us=_US, order="A", admin=AgentClass.CHEMO, patient="P1"),
        InfusionEnded(at_us=first * _US, known_at_us=first * _US, order="A", patient="P1"),
    ]
    agent = draw(st.none() | st.sampled_from([AgentClass.CHEMO, AgentClass.BIOLOGIC, AgentClass.HYDRATION]))
    if agent is not None:
        facts.append(InfusionStarted(at_us=2 * _US, known_at_us=2 * _US, order="B", admin=agent, patient="P1"))
        facts.append(InfusionEnded(at_us=second * _US, known_at_us=second * _US, order="B", patient="P1"))
    return [*facts, *(draw(_events(at_s)) for at_s in others)]


_POLICIES = st.builds(
    Policy,
    first_threshold_s=st.sampled_from([960, 901, 1800, 300]),
    increment_s=st.sampled_from([1800, 600]),
    pause_counting=st.sampled_from(PauseCounting),
    pause_tolerance_s=st.sampled_from([600, 300]),
    infusion_end_basis=st.sampled_from([InfusionEndBasis.LAST_CHEMO_ADMIN_AGENT, InfusionEndBasis.ALL_IV_STOP]),
    continuity_required=st.booleans(),
    count_thaw=st.booleans(),
    stop_conflict=st.sampled_from(StopConflict),
    offline_unproven=st.sampled_from(OfflineUnproven),
    count_after_departure=st.booleans(),
    min_pause_s=st.sampled_from([0, 60]),
)


@pytest.mark.requirement("REQ-COUNT-2")
@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(_timelines(), _POLICIES)
def test_an_oracle_that_paints_seconds_agrees_on_every_unit(facts: list[AnyFact], policy: Policy) -> None:
    found = assess(facts, policy, _UNTIL_S * _US)
    assert [each.attained_at_us // _US for each in found.increments] == attained_s(facts, policy, _UNTIL_S)


@pytest.mark.requirement("REQ-COUNT-1")
@settings(max_examples=100, deadline=None)
@given(_timelines(), _POLICIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_repetition_change_nothing(
    facts: list[AnyFact], policy: Policy, chance: Random
) -> None:
    again = [
        msgspec.structs.replace(fact, known_at_us=fact.known_at_us + chance.choice([0, 1, 3600 * _US]))
        for fact in chance.choices(facts, k=5)
    ]
    shuffled = [*facts, *again]
    chance.shuffle(shuffled)
    assert assess(shuffled, policy, _UNTIL_S * _US) == assess(facts, policy, _UNTIL_S * _US)


@settings(max_examples=60, deadline=None)
@given(_timelines(), _POLICIES, st.sampled_from(TimestampResolution), st.randoms(use_true_random=False))
def test_the_log_folds_to_the_final_increments_and_knows_nothing_ahead(
    facts: list[AnyFact], policy: Policy, resolution: TimestampResolution, chance: Random
) -> None:
    policy = msgspec.structs.replace(policy, timestamp_resolution=resolution)
    outcome = replay(record(facts), "P1", policy)
    standing = [(each.index, each.attained_at_us) for each in fold((), outcome.log) if not each.retracted]
    assert standing == [(each.index, each.attained_at_us) for each in outcome.assessment.increments]
    assert all(change.attained_at_us <= change.known_at_us for change in outcome.log)
    assert [change.known_at_us for change in outcome.log] == sorted(change.known_at_us for change in outcome.log)
    keys = [(change.index, change.revision) for change in outcome.log if change.op != "retract"]
    assert len(keys) == len(set(keys))
    shuffled = chance.sample(facts, len(facts))
    assert replay(record(shuffled), "P1", policy) == outcome


@settings(max_examples=100, deadline=None)
@given(_timelines(), _POLICIES)
def test_facts_read_back_from_their_text_assess_alike(facts: list[AnyFact], policy: Policy) -> None:
    read = [decode_fact(encode_fact(fact)) for fact in facts]
    assert read == facts
    assert assess(read, policy, _UNTIL_S * _US) == assess(facts, policy, _UNTIL_S * _US)


@settings(max_examples=100, deadline=None)
@given(_timelines(), _POLICIES)
def test_stricter_thresholds_attain_no_more_and_neighbours_differ_by_one(facts: list[AnyFact], policy: Policy) -> None:
    units = [
        len(
            assess(
                facts, msgspec.structs.replace(policy, first_threshold_s=s, increment_s=1800), _UNTIL_S * _US
            ).increments
        )
        for s in (1800, 960, 901)
    ]
    assert units == sorted(units)
    assert all(after - before <= 1 for before, after in pairwise(units))


@settings(max_examples=100, deadline=None)
@given(_timelines(), _POLICIES, st.lists(st.integers(0, _UNTIL_S), min_size=2, max_size=5))
def test_units_only_grow_with_what_is_observed_and_come_when_announced(
    facts: list[AnyFact], policy: Policy, untils_s: list[int]
) -> None:
    before: tuple[int, ...] = ()
    due_us: int | None = None
    for until_s in sorted(untils_s):
        found = assess(facts, policy, until_s * _US)
        instants = tuple(each.attained_at_us for each in found.increments)
        assert instants[: len(before)] == before
        assert list(instants) == sorted(set(instants))
        assert [each.index for each in found.increments] == list(range(1, len(instants) + 1))
        if due_us is not None:
            assert (len(instants) > len(before)) == (due_us <= until_s * _US)
            assert due_us > until_s * _US or instants[len(before)] == due_us
        before, due_us = instants, found.next_attainment_us


@settings(max_examples=300, deadline=None)
@given(_timelines(), _POLICIES, st.sampled_from(TimestampResolution), st.integers(0, _UNTIL_S))
def test_the_reasons_of_a_count_add_up_to_it(
    facts: list[AnyFact], policy: Policy, resolution: TimestampResolution, until_s: int
) -> None:
    policy = msgspec.structs.replace(policy, timestamp_resolution=resolution)
    observed = {"SC-A": until_s * _US, "SC-B": until_s * _US}
    assessed = assess_observed(facts, policy, observed, until_s * _US)
    found = why(review_of(facts, policy, until_s * _US, observed))
    assert found.attained_us == tuple(each.attained_at_us for each in assessed.increments)
    counted = [each for each in found.stretches if each.cause is Cause.COUNTED]
    assert sum(each.end_us - each.start_us for each in counted) == found.counted_us == assessed.net_us
    assert found.counted_us < found.needed_us
    assert not found.attained_us or found.counted_us >= found.needed_us - policy.increment_s * _US
    assert all(each.start_us < each.end_us for each in found.stretches)
    assert all(left.end_us == right.start_us for left, right in pairwise(found.stretches))
    if found.stretches:
        assert found.stretches[0].start_us == found.infusion_end_us
    if found.obstacle is not None:
        assert counted == []
    elif not counted and found.ended_us is not None:
        assert found.stretches
