"""Whom a fact concerns, and the message that reported it."""

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    BindingVoided,
    CapRef,
    ClockStepped,
    CoolingStarted,
    CoolingStopCharted,
    DepartureCancelled,
    InfusionStarted,
    Key,
    ObservedUntil,
    OrderChecked,
    PatientBound,
    PatientReassigned,
    SessionFinalized,
    SessionOpened,
    UnitMark,
    UnitOffline,
    UnitsObserved,
    UnitSwapped,
    WorkDone,
)

CAP = CapRef("u1", 2)
UNIT: Key = ("unit", "u1")
ON_CAP: Key = ("cap", "u1/2")
PATIENT: Key = ("patient", "p")
TOKEN: Key = ("token", "9RX2M7KQ4")

CONCERNS: list[tuple[AnyFact, tuple[Key, ...]]] = [
    (CoolingStarted(at_us=1, known_at_us=1, cap=CAP), (ON_CAP,)),
    (PatientBound(at_us=1, known_at_us=1, cap=CAP, patient="p"), (ON_CAP, PATIENT)),
    (BindingVoided(at_us=1, known_at_us=1, cap=CAP, patient="p"), (ON_CAP, PATIENT)),
    (CoolingStopCharted(at_us=1, known_at_us=1, patient="p"), (PATIENT,)),
    (DepartureCancelled(at_us=1, known_at_us=1, patient="p"), (PATIENT,)),
    (UnitOffline(at_us=1, known_at_us=1, device="u1"), (UNIT,)),
    (ObservedUntil(at_us=1, known_at_us=1, device="u1"), ()),
    (UnitsObserved(at_us=1, known_at_us=1, units=(UnitMark("u1", 0),)), ()),
    (InfusionStarted(at_us=1, known_at_us=1, order="o", patient="p", admin=AgentClass.CHEMO), (PATIENT,)),
    (
        PatientReassigned(at_us=1, known_at_us=1, cap=CAP, from_patient="", to_patient="p"),
        (ON_CAP, ("moved", "u1/2"), ("patient", ""), PATIENT),
    ),
    (SessionOpened(at_us=1, known_at_us=1, cap=CAP, token=TOKEN[1], policy=""), (ON_CAP, TOKEN)),
    (SessionFinalized(at_us=1, known_at_us=1, patient="p", token=TOKEN[1]), (PATIENT, TOKEN)),
    (OrderChecked(at_us=1, known_at_us=1, found=True, patient="p"), (PATIENT,)),
    (WorkDone(at_us=1, known_at_us=1, item="a1b2c3", cap=CAP, person="n"), (("work", ""),)),
    (UnitSwapped(at_us=1, known_at_us=1, unit="u1", loaner="u2"), (("swap", ""),)),
    (ClockStepped(at_us=1, known_at_us=1, source="unit", step_s=1.0), (("clock", ""),)),
]


def test_a_fact_names_the_unit_the_patients_and_the_session_that_it_concerns() -> None:
    for fact, concerns in CONCERNS:
        assert fact.concerns == concerns, fact


def test_a_fact_names_its_cap_and_the_message_that_reported_it() -> None:
    bound = PatientBound(at_us=1, known_at_us=1, cap=CAP, patient="p", msg="m-1")
    assert (bound.at_cap, bound.message_id) == (CAP, "m-1")
    step = ClockStepped(at_us=1, known_at_us=1, source="unit", step_s=1.0)
    assert (step.at_cap, step.message_id) == (None, "")
