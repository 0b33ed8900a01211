"""Charges against the count, whatever is told in whatever order, with a restart after every step."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.session.charges import charged_units, uncredited_charges
from gateway.session.facts import (
    AnyFact,
    CoolingStopCharted,
    CorrectionDecided,
    HoldLifted,
    OrderChecked,
    PatientReassigned,
    PreparationCharted,
    SessionFinalized,
)
from gateway.session.outcome import SessionRecord
from gateway.session.policy import ChargeLines, Policy
from gateway.session.release import ReleaseState
from tests.unit.gateway.session.live_tracker import Live, Memory
from tests.unit.gateway.session.session_timelines import A1, at, begun, corrected, ended, start, stop, times, voided

_MINUTE_US = 60_000_000
_KINDS = ("correct", "correct", "correct", "void", "end", "decide", "decide", "decide", "prepare", "sign", "order")
_RARE = ("lift", "stop", "reassign", "again", "wait")
_steps = st.lists(
    st.tuples(st.sampled_from([*_KINDS, *_RARE]), st.integers(0, 100), st.booleans()), min_size=3, max_size=14
)
_SESSION: list[AnyFact] = [
    PreparationCharted(**times("08:50", None), patient="P1"),
    start("09:00"),
    begun("A", "09:30"),
    ended("A", "11:00"),
    stop("12:30"),
]
_policies = st.builds(
    Policy,
    approved_by=st.just("the tests"),
    charge_lines=st.sampled_from(ChargeLines),
    automatic_credit=st.booleans(),
    require_preparation=st.booleans(),
)


def _facts(kind: str, step: int, number: int, yes: bool, live: Live) -> list[AnyFact]:
    """What step `step` tells: times and choices come from `number` and `yes`."""
    clock = f"{13 + step:02d}:00"
    fields = times(clock, None)
    records = list(live.state.records.values())
    record = records[number % len(records)]
    items = () if record.published is None else record.published.corrections
    makers: dict[str, Callable[[], list[AnyFact]]] = {
        "correct": lambda: [corrected("A", clock, f"11:{number % 60:02d}", version=step + 2)],
        "void": lambda: [voided("A", clock)],
        "end": lambda: [ended("A", f"11:{number % 60:02d}", rx=clock)],
        "decide": lambda: [
            CorrectionDecided(**fields, token=record.token, charge=item.charge, approved=yes) for item in items[:1]
        ],
        "prepare": lambda: [PreparationCharted(**fields, token=record.token)],
        "sign": lambda: [SessionFinalized(**fields, token=record.token)],
        "order": lambda: [OrderChecked(**fields, patient=record.patient or "P1", found=yes)],
        "lift": lambda: [HoldLifted(**fields, token=record.token, holds=("no_order", "preparation_missing"))],
        "stop": lambda: [CoolingStopCharted(**times(f"12:{number % 30:02d}", clock), cap=A1, patient=record.patient)],
        "reassign": lambda: [PatientReassigned(**fields, cap=A1, from_patient="P1", to_patient="P2")],
        "again": lambda: [PatientReassigned(**fields, cap=A1, from_patient="P2", to_patient="P1")],
        "wait": list,
    }
    return makers[kind]()


def _agrees(record: SessionRecord) -> bool:
    return charged_units(record.charged) == sum(not each.retracted for each in record.emitted)


@pytest.mark.requirement("REQ-CHARGE-1")
@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(steps=_steps, policy=_policies, signed=st.booleans())
def test_what_is_charged_is_what_is_counted_unless_a_person_is_asked(
    steps: list[tuple[str, int, bool]], policy: Policy, signed: bool
) -> None:
    live = Live(policy, Memory.RESTARTS)
    live.play(_SESSION)
    if signed:
        live.learn([SessionFinalized(**times("12:40", None), patient="P1")], at("12:40"))
    for step, (kind, number, yes) in enumerate(steps):
        live.learn(_facts(kind, step, number, yes, live), at(f"{13 + step:02d}:00"))
        for record in live.state.records.values():
            keys = [each.key for each in record.charged]
            assert len(set(keys)) == len(keys), "a key is used once"
            assert all(len(key) == 12 for key in keys)
            credited = [each.reverses for each in record.charged if each.reverses]
            assert len(set(credited)) == len(credited), "a charge is credited once"
            assert all(keys.index(each.reverses) < keys.index(each.key) for each in record.charged if each.reverses)
            assert charged_units(record.charged) == sum(each.quantity for each in uncredited_charges(record.charged))
            now = record.published
            if now is not None and now.release is ReleaseState.RELEASED and not now.corrections:
                assert _agrees(record)


@settings(max_examples=50, deadline=None)
@given(steps=_steps, signed=st.booleans())
def test_with_automatic_credit_nothing_waits_for_a_person_but_what_is_held(
    steps: list[tuple[str, int, bool]], signed: bool
) -> None:
    policy = Policy(approved_by="the tests", automatic_credit=True)
    live = Live(msgspec.structs.replace(policy, require_preparation=False), Memory.RESTARTS)
    live.play(_SESSION)
    if signed:
        live.learn([SessionFinalized(**times("12:40", None), patient="P1")], at("12:40"))
    for step, (kind, number, yes) in enumerate(steps):
        live.learn(_facts(kind, step, number, yes, live), at(f"{13 + step:02d}:00"))
        for record in live.state.records.values():
            now = record.published
            if now is not None and now.release is ReleaseState.RELEASED:
                assert now.corrections == ()
                assert _agrees(record)
