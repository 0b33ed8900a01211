"""What JSON events about infusions state of a visit and an order for charges."""

from typing import Any

import msgspec
import pytest

from gateway.messages.details import About, Detail, Details, Diagnosis, Person, Stated
from gateway.messages.inbound.answers import ReaderSite
from gateway.messages.vocabulary import EhrWords
from tests.unit.gateway.messages.inbound.inbound_support import SITE, accepted, completed, event, rejected

VISIT = "s(V770012)"
DETAILS: dict[str, Any] = {
    "patient_class": "R",
    "attending": [{"number": "1", "family": "ATTENDING", "given": "ANN"}],
    "visit_diagnoses": [{"code": "C50.1", "text": "Cancer", "system": "http://hl7.org/fhir/sid/icd-10-cm"}],
    "orderers": [{"number": "2"}, {"number": "3"}],
    "diagnoses": [{"code": "Z51.11", "system": "I10C"}, {"code": "Z17.0"}],
}
OF_VISIT = Details(
    patient_class="R",
    attending=(Person("1", "ATTENDING", "ANN"),),
    diagnoses=(Diagnosis("C50.1", "Cancer", "http://hl7.org/fhir/sid/icd-10-cm"),),
)
OF_ORDER = Details(
    orderers=(Person("2"), Person("3")), diagnoses=(Diagnosis("Z51.11", system="I10C"), Diagnosis("Z17.0"))
)


def site(*details: Detail) -> ReaderSite:
    return msgspec.structs.replace(SITE, words=EhrWords(details=frozenset(details or Detail)))


@pytest.mark.parametrize(
    "message",
    [
        completed(details=DETAILS),
        completed(details=DETAILS, version=2),
        event("infusion.started", {"order": "RX1", "visit": "V770012", "details": DETAILS}),
        event("infusion.restarted", {"order": "RX1", "visit": "V770012", "details": DETAILS}),
    ],
)
def test_an_event_states_the_visit_and_its_order(message: dict[str, Any]) -> None:
    assert accepted(message, site()).details == (
        Stated(VISIT, About.VISIT, "", OF_VISIT),
        Stated(VISIT, About.ORDER, "RX1", OF_ORDER),
    )


@pytest.mark.parametrize(
    ("detail", "kept"),
    [
        (Detail.PATIENT_CLASS, Details(patient_class="R")),
        (Detail.ATTENDING, Details(attending=OF_VISIT.attending)),
        (Detail.VISIT_DIAGNOSIS, Details(diagnoses=OF_VISIT.diagnoses)),
        (Detail.ORDERER, Details(orderers=OF_ORDER.orderers)),
        (Detail.DIAGNOSIS, Details(diagnoses=OF_ORDER.diagnoses)),
    ],
)
def test_only_what_the_site_asks_for_is_kept(detail: Detail, kept: Details) -> None:
    assert [each.details for each in accepted(completed(details=DETAILS), site(detail)).details] == [kept]
    assert accepted(completed(details=DETAILS)).details == ()


@pytest.mark.parametrize(
    "details",
    [
        {"attending": [{"family": "NAMELESS"}]},
        {"orderers": [{"number": "9" * 41}]},
        {"diagnoses": [{"code": ""}]},
        {"patient_class": 1},
        [],
    ],
)
def test_what_cannot_be_meant_is_rejected_without_repeating_it(details: object) -> None:
    answer = rejected(completed(details=details), site())
    assert answer.text == "data.details: not accepted; accepted: an object, as the schema has it"
