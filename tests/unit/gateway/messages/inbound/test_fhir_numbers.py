"""Whom a FHIR administration is about, by identifiers with and without those who assigned them."""

from typing import Any

import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Accepted
from tests.unit.gateway.messages.hl7_support import EHR_SITE, VISIT, accepted, fhir, kinds, knowing, read

DONE = "medicationadministration_completed"
KNOWN = knowing(EHR_SITE, Identity(VISIT, "V770012", "90001234", "770012", mrn_authority="NORTH&1.2.4"))


def numbered(*numbers: dict[str, Any], **changes: object) -> bytes:
    """An administration of a patient by these record numbers, in a reference by identifier or in a Patient."""
    who = {"identifier": numbers[0]} if len(numbers) == 1 else {"reference": "#p1"}
    held = [{"resourceType": "Patient", "id": "p1", "identifier": numbers}]
    return fhir(f"r4_{DONE}", **({"subject": who, "contained": held, "context": None} | changes))


def of_type(kind: str, value: str, **more: str) -> dict[str, Any]:
    return {"type": {"coding": [{"code": kind}]}, "value": value, **more}


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ({"value": "90001234"}, True),
        ({"system": "urn:oid:1.2.4", "value": "90001234"}, True),
        ({"system": "https://ehr.example/mrn", "value": "90001234"}, True),
        (of_type("MR", "90001234"), True),
        ({"system": "urn:oid:1.2.5", "value": "90001234"}, False),
        (of_type("SS", "90001234"), False),
        ({"value": "1"}, False),
    ],
)
def test_a_number_without_an_authority_is_anybodys_as_in_hl7(number: dict[str, Any], found: bool) -> None:
    for payload in (numbered(number), numbered(number, of_type("SS", "123"))):
        answer = read(payload, KNOWN)
        assert isinstance(answer, Accepted) is found, answer
        assert not isinstance(answer, Accepted) or answer.identities[0].subject == VISIT


def test_a_visit_without_an_authority_is_the_one_that_is_known() -> None:
    here = knowing(EHR_SITE, Identity(VISIT, "V770012", visit_authority="NORTH&1.2.3"))
    for system, kind in ((None, "InfusionEndCorrected"), ("urn:oid:1.2.3", "InfusionEndCorrected"), ("urn:oid:9", "")):
        visit = {"value": "V770012"} | ({"system": system} if system else {})
        assert (kind or "WorkRaised") in kinds(fhir(f"r4_{DONE}", context={"identifier": visit}), here)


def test_a_visit_that_is_an_account_finds_the_session_that_has_it() -> None:
    account = of_type("AN", "770012", system="urn:a")
    held = [{"resourceType": "Encounter", "id": "e1", "identifier": [account]}]
    for changes in ({"context": {"identifier": account}}, {"context": {"reference": "#e1"}, "contained": held}):
        answer = accepted(fhir(f"r4_{DONE}", **changes), KNOWN)
        assert (answer.identities[0].subject, answer.identities[0].account) == (VISIT, "770012")
    foreign = {"context": {"identifier": of_type("AN", "880099")}}
    assert kinds(fhir(f"r4_{DONE}", **foreign), KNOWN) == ["WorkRaised"], "the record number speaks against it"
    unknown = accepted(fhir(f"r4_{DONE}", subject=None, **foreign), KNOWN)
    assert unknown.identities[0].subject == "s(880099)", "the site's visits are accounts"
