"""Whom an event in JSON is about that names no visit: by account and record number, with who assigned them."""

import msgspec
import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import ReaderSite, ServedCaps
from gateway.session import facts
from gateway.session.facts import WorkKind
from tests.unit.gateway.messages.hl7_support import EMPTY, VISIT, knowing
from tests.unit.gateway.messages.inbound.inbound_support import CAP, accepted, completed, event, read, rejected

NORTH = "urn:oid:1.2.3"
ONE = Identity(VISIT, "V770012", "90001234", "770012", mrn_authority=f"NORTH&{NORTH}")
OTHER = Identity("s(V2)", "V2", "90005555", "770055")


def site(*known: Identity) -> ReaderSite:
    """Sessions of these patients are under way; nobody sits at a chair."""
    return msgspec.structs.replace(knowing(EMPTY, *known), treated=frozenset(each.subject for each in known))


def ended(**patient: object) -> dict[str, object]:
    return completed(visit=None, patient=patient)


def found(message: dict[str, object], at: ReaderSite) -> str:
    (fact,) = accepted(message, at).facts
    assert isinstance(fact, facts.InfusionEnded | facts.PatientBound | facts.PatientLeft | facts.SessionFinalized)
    return fact.patient


def work(message: dict[str, object], at: ReaderSite) -> list[tuple[WorkKind, str]]:
    raised = [fact for fact in accepted(message, at).facts if isinstance(fact, facts.WorkRaised)]
    return [(fact.what, fact.patient) for fact in raised]


@pytest.mark.parametrize(
    ("patient", "subject"),
    [
        ({"account": "770055"}, "s(V2)"),
        ({"mrn": "90001234"}, VISIT),
        ({"mrn": {"system": NORTH, "value": "90001234"}}, VISIT),
        ({"mrn": {"system": "1.2.3", "value": "90001234"}}, VISIT),
        ({"mrn": "90005555", "account": {"value": "770055"}}, "s(V2)"),
    ],
)
def test_without_a_visit_an_account_or_a_record_number_finds_the_session(
    patient: dict[str, object], subject: str
) -> None:
    assert found(ended(**patient), site(ONE, OTHER)) == subject


def test_what_is_found_by_numbers_is_known_by_its_visit() -> None:
    (identity,) = accepted(ended(mrn="90001234", account="770012"), site(ONE)).identities
    assert identity == Identity(VISIT, "V770012", "90001234", "770012")


def test_the_system_of_a_number_is_who_assigned_it() -> None:
    numbers = {"visit": {"system": "urn:v", "value": "V9"}, "account": {"system": "urn:a", "value": "7"}, "mrn": "1"}
    (identity,) = accepted(ended(**numbers), site()).identities
    assert identity == Identity("s(V9)", "V9", "1", "7", visit_authority="&urn:v", account_authority="&urn:a")


@pytest.mark.parametrize("patient", [{"mrn": "1"}, {"mrn": {"system": "urn:oid:9.9", "value": "90001234"}}, {}])
def test_numbers_of_nobody_here_name_nobody(patient: dict[str, object]) -> None:
    answer = rejected(ended(**patient), site(ONE))
    assert (answer.code, answer.text.split(":")[0]) == ("no-visit", "data.visit")


def test_a_visit_that_is_named_is_nobody_elses_whatever_the_numbers() -> None:
    assert found(ended(visit="V9", mrn="90001234"), site(ONE)) == "s(V9)"


def test_what_may_mean_several_patients_waits_for_a_person() -> None:
    twice = msgspec.structs.replace(OTHER, mrn="90001234")
    unclear = WorkKind.PATIENT_UNCLEAR
    assert work(ended(mrn="90001234"), site(ONE, twice)) == [(unclear, VISIT), (unclear, "s(V2)")]
    assert work(ended(mrn="90005555", account="770012"), site(ONE)) == [(unclear, VISIT)], "the numbers disagree"
    assert found(ended(mrn="90001234", account="770055"), site(ONE, twice)) == "s(V2)"


def test_a_visit_of_another_system_is_another_visit() -> None:
    here = msgspec.structs.replace(ONE, visit_authority="&urn:north")
    for named in ({"system": "urn:south", "value": "V770012"}, {"value": "V770012"}):
        message = completed(visit=named)
        assert bool(work(message, site(here))) is ("system" in named)
    assert rejected(completed(visit={"system": "urn:a", "value": "V1"}, patient={"visit": "V2"})).code == "two-visits"


@pytest.mark.parametrize(
    ("thing", "data"),
    [
        ("infusion.completed", {"order": "RX1"}),
        ("association.released", {"validated": True}),
        ("patient.left", {}),
        ("session.finalized", {"person": "rn-1"}),
    ],
)
def test_numbers_that_are_anothers_are_not_the_patients_at_the_chair(thing: str, data: dict[str, object]) -> None:
    seated = msgspec.structs.replace(site(ONE), bound=ServedCaps({CAP: VISIT}))
    anothers = event(thing, {**data, "chair": "C12", "patient": {"mrn": "7"}})
    assert work(anothers, seated) == [(WorkKind.CHAIR_DISAGREES, VISIT)]
    assert not work(event(thing, {**data, "chair": "C12"}), seated)


@pytest.mark.parametrize(
    ("thing", "data"),
    [
        ("association.bound", {"validated": True, "chair": "C12"}),
        ("patient.left", {}),
        ("session.finalized", {"person": "rn-1"}),
    ],
)
def test_every_type_finds_its_patient_by_numbers(thing: str, data: dict[str, object]) -> None:
    assert found(event(thing, {**data, "patient": {"account": "770012"}}), site(ONE)) == VISIT


def test_a_rejected_message_is_about_the_visit_that_it_names_however_that_is_written() -> None:
    for visit in ("V770012", {"system": "urn:v", "value": "V770012"}):
        answer = read(completed(visit=visit, order=7))
        assert getattr(answer, "subject", "") == VISIT
