"""Whom a message is about that names no visit, or names it where the site says: by fields, numbers and authorities."""

import msgspec
import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import ReaderSite, ServedCaps
from gateway.session import facts
from gateway.session.facts import WorkKind
from tests.unit.gateway.messages.hl7_support import (
    EHR_SITE,
    EMPTY,
    VISIT,
    WORDS,
    accepted,
    facts_of,
    hl7,
    knowing,
    refusal,
)
from tests.unit.gateway.messages.inbound.inbound_support import CAP

ONE = Identity(VISIT, "V770012", "90001234", "770012", mrn_authority="NORTH", account_authority="NORTH")
OTHER = Identity("s(V2)", "V2", "90005555", "770055", mrn_authority="NORTH")
NOWHERE = {"PV1_3": "", "PV1_19": "", "RXA_11": ""}


def site(*known: Identity, **words: object) -> ReaderSite:
    """Sessions of these patients are under way; nobody sits at a chair."""
    return msgspec.structs.replace(
        knowing(EMPTY, *known),
        treated=frozenset(each.subject for each in known),
        words=msgspec.structs.replace(WORDS, **words),
    )


def start(**changes: str) -> bytes:
    return hl7("ras_o17_start", **(NOWHERE | {"PID_3": "", "PID_18": ""} | changes))


def patient(payload: bytes, at: ReaderSite) -> str:
    (fact,) = facts_of(payload, at)
    assert isinstance(fact, facts.InfusionStarted)
    return fact.patient


def unclear(payload: bytes, at: ReaderSite) -> list[str]:
    raised = [fact for fact in facts_of(payload, at) if isinstance(fact, facts.WorkRaised)]
    assert {fact.what for fact in raised} == {WorkKind.PATIENT_UNCLEAR}
    return [fact.patient for fact in raised]


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (("PV1-19", "PID-18"), {"PID_18": "V770012"}),
        (("PV1-50", "PV1-19"), {"PV1_50": "V770012", "PV1_19": "other"}),
        (("PV1-50", "PV1-19"), {"PV1_19": "V770012"}),
        (("PID-18",), {"PID_18": "V770012^^^NORTH^AN", "PV1_19": "other"}),
    ],
)
def test_the_first_field_of_the_sites_that_is_filled_names_the_visit(
    fields: tuple[str, ...], changes: dict[str, str]
) -> None:
    at = msgspec.structs.replace(EHR_SITE, words=msgspec.structs.replace(WORDS, visit_from=fields))
    assert patient(start(**changes), at) == VISIT


def test_without_a_visit_an_account_or_a_record_number_finds_the_session_under_way() -> None:
    known = site(ONE, OTHER)
    assert patient(start(PID_18="770055"), known) == "s(V2)"
    assert patient(start(PID_3="90001234^^^NORTH^MR"), known) == VISIT
    found = accepted(start(PID_3="90001234", PID_18="770012"), known)
    assert found.identities == (Identity(VISIT, "V770012", "90001234", "770012"),)
    assert refusal(start(PID_3="1^^^NORTH^MR"), known).startswith("rejected no-visit: PV1-19")
    assert refusal(start(PID_3="90001234^^^SOUTH^MR"), known).startswith("rejected no-visit"), "another's number"


def test_a_visit_that_is_named_is_nobody_elses_whatever_the_numbers() -> None:
    assert patient(start(PV1_19="V9", PID_3="90001234^^^NORTH^MR"), site(ONE)) == "s(V9)"


def test_an_account_that_stands_for_the_visit_finds_the_session_that_has_it() -> None:
    known = site(ONE, visit_from=("PV1-19", "PID-18"))
    assert patient(start(PID_18="770012"), known) == VISIT
    assert patient(start(PID_18="880099"), known) == "s(880099)", "the site's visits are accounts"


def test_what_may_mean_several_patients_is_taken_for_none_and_waits_for_a_person() -> None:
    twice = msgspec.structs.replace(OTHER, mrn="90001234")
    assert unclear(start(PID_3="90001234^^^NORTH^MR"), site(ONE, twice)) == [VISIT, "s(V2)"]
    assert unclear(start(PID_3="90005555^^^NORTH^MR", PID_18="770012"), site(ONE)) == [VISIT], "the numbers disagree"
    distinct = start(PID_3="90001234^^^NORTH^MR", PID_18="770055^^^WEST")
    assert patient(distinct, site(ONE, twice)) == "s(V2)"


def test_a_visit_of_another_authority_is_another_visit() -> None:
    here = msgspec.structs.replace(ONE, visit_authority="NORTH")
    assert unclear(start(PV1_19="V770012^^^SOUTH^VN"), site(here)) == [VISIT]
    assert patient(start(PV1_19="V770012^^^north&1.2.3&ISO^VN"), site(here)) == VISIT
    assert patient(start(PV1_19="V770012"), site(here)) == VISIT


def test_numbers_that_are_anothers_are_not_the_patients_at_the_chair() -> None:
    seated = msgspec.structs.replace(site(ONE), bound=ServedCaps({CAP: VISIT}))
    chair = {"PV1_3": "INFA^BAY3^C12^DEMO", "PV1_19": ""}
    assert patient(start(**chair), seated) == VISIT
    (raised,) = facts_of(start(**chair, PID_3="7^^^NORTH^MR"), seated)
    assert isinstance(raised, facts.WorkRaised)
    assert (raised.what, raised.cap, raised.patient) == (WorkKind.CHAIR_DISAGREES, CAP, VISIT)


@pytest.mark.parametrize(
    ("types", "written", "number"),
    [
        (("MR", "MRN"), "1^^^A^MRN", "1"),
        (("MR", "MRN"), "1^^^A^MRN~2^^^A^MR", "2"),
        (("MR", "MRN"), "1^^^A^EPI", None),
        (("EPI", "MR"), "2^^^A^MR~1^^^A^EPI", "1"),
        (("DEMOMR",), "2^^^A^MR~1^^^A^demomr", "1"),
        (("PI",), "1^^^A^PI", "1"),
    ],
)
def test_the_record_number_has_a_type_that_the_site_names(
    types: tuple[str, ...], written: str, number: str | None
) -> None:
    answer = accepted(start(PV1_19="V770012", PID_3=written), site(mrn_types=types))
    assert answer.identities[0].mrn == number
    assert answer.identities[0].mrn_authority == ("A" if number else None)


def test_of_several_numbers_the_one_that_is_known_stays() -> None:
    both = "1^^^SOUTH^MR~90001234^^^NORTH^MR"
    assert accepted(start(PV1_19="V770012", PID_3=both), site(ONE)).identities[0].mrn == "90001234"
    assert patient(start(PID_3=both), site(ONE)) == VISIT
