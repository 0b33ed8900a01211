"""What a MedicationAdministration states of its order for charges: of the request in the message, of nothing else."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from gateway.messages.details import About, Detail, Details, Diagnosis, Person, Stated
from gateway.messages.inbound.answers import FieldRead, ReaderSite
from gateway.messages.inbound.dispatch import read_message
from gateway.messages.inbound.parts import messages_in
from tests.unit.gateway.messages.hl7_support import EHR_SITE, VISIT, WORDS, accepted, fhir
from tests.unit.gateway.messages.inbound.inbound_support import NOW

DONE = "r4_medicationadministration_completed"
CM = "http://hl7.org/fhir/sid/icd-10-cm"
REASON = {"coding": [{"system": CM, "code": "C50.1", "display": "Cancer"}, {"code": "174.9"}], "text": "breast"}
OTHER = {"coding": [{"code": "Z17.0"}], "text": "receptor"}
REQUESTER = {"identifier": {"system": "urn:oid:1.2.3", "value": "99902"}}
REQUEST: dict[str, Any] = {
    "resourceType": "MedicationRequest",
    "id": "rq",
    "identifier": [{"value": "RX55821"}],
    "requester": REQUESTER,
    "reasonCode": [REASON, OTHER, {"text": "no code"}],
}
DIAGNOSES = (Diagnosis("C50.1", "Cancer", CM), Diagnosis("Z17.0", "receptor"))
STATED = Details(orderers=(Person("99902", authority="&urn:oid:1.2.3"),), diagnoses=DIAGNOSES)


def site(details: Iterable[Detail] = Detail) -> ReaderSite:
    return msgspec.structs.replace(EHR_SITE, words=msgspec.structs.replace(WORDS, details=frozenset(details)))


def told(*contained: dict[str, Any], of: ReaderSite | None = None) -> tuple[Stated, ...]:
    return accepted(fhir(DONE, request={"reference": "#rq"}, contained=list(contained)), of or site()).details


def test_the_request_states_who_ordered_and_why() -> None:
    assert told(REQUEST) == (Stated(VISIT, About.ORDER, "RX55821", STATED),)
    fields: list[FieldRead] = []
    read_message(fhir(DONE, request={"reference": "#rq"}, contained=[REQUEST]), NOW, site(), fields)
    read = [(each.where, each.value) for each in fields if each.where.startswith("request.re")]
    assert read == [
        ("request.requester", "99902"),
        ("request.reasonCode", "C50.1"),
        ("request.reasonCode", "Z17.0"),
    ]


def test_r5_has_the_reasons_as_concepts() -> None:
    r5 = {name: value for name, value in REQUEST.items() if name != "reasonCode"}
    r5["reason"] = [{"concept": REASON}, {"reference": {"reference": "#x"}}, {"concept": OTHER}]
    assert told(r5) == told(REQUEST)


def test_a_practitioner_in_the_message_is_known_by_all_numbers() -> None:
    numbers = [{"system": "urn:oid:1.2.3", "value": "99902"}, {"value": "1234567893"}, {"value": "9" * 41}]
    name = [{"family": "ORDERER", "given": ["OLIVIA", "O."]}]
    doctor = {"resourceType": "Practitioner", "id": "dr", "identifier": numbers, "name": name}
    (stated,) = told({**REQUEST, "requester": {"reference": "#dr"}}, doctor)
    assert stated.details.orderers == (
        Person("99902", "ORDERER", "OLIVIA O.", "&urn:oid:1.2.3"),
        Person("1234567893", "ORDERER", "OLIVIA O."),
    )


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        (Detail.ORDERER, Details(orderers=STATED.orderers)),
        (Detail.DIAGNOSIS, Details(diagnoses=DIAGNOSES)),
        (Detail.VISIT_DIAGNOSIS, None),
    ],
)
def test_only_what_the_site_asks_for_is_kept(detail: Detail, kept: Details | None) -> None:
    assert [each.details for each in told(REQUEST, of=site([detail]))] == ([] if kept is None else [kept])
    assert told(REQUEST, of=EHR_SITE) == ()


def test_the_reason_of_the_administration_is_no_diagnosis() -> None:
    assert accepted(fhir(DONE, reasonCode=[REASON]), site()).details == ()


def test_a_bundle_states_it_too() -> None:
    administration = json.loads(fhir(DONE, request={"reference": "MedicationRequest/rq"}))
    doctor = {"resourceType": "Practitioner", "id": "dr", "identifier": [{"value": "99902"}]}
    request = {**REQUEST, "requester": {"reference": "Practitioner/dr"}}
    entries = [{"resource": each} for each in (administration, request, doctor)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (message,) = messages_in(json.dumps(bundle).encode())
    assert accepted(message, site()).details == (
        Stated(VISIT, About.ORDER, "RX55821", Details(orderers=(Person("99902"),), diagnoses=DIAGNOSES)),
    )
