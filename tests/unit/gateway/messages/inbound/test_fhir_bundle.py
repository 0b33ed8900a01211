"""FHIR as EHRs serve it: references, contained resources, Bundles, notifications, test data; and batches."""

import json
from typing import Any

import msgspec
import pytest

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Accepted, Inbound, ReaderSite, Rejected
from gateway.messages.inbound.parts import messages_in
from gateway.session import facts
from gateway.session.facts import AgentClass
from tests.unit.gateway.messages.hl7_support import EHR_SITE, VISIT, accepted, fhir, hl7, knowing, read, refusal

DONE = "medicationadministration_completed"
LIVE = msgspec.structs.replace(EHR_SITE, live=True)
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "e1",
    "identifier": [
        {"use": "old", "value": "V1"},
        {"use": "official", "value": "CSN-9"},
        {"type": {"coding": [{"code": "VN"}]}, "system": "urn:oid:1.2.3", "value": "V770012"},
    ],
}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [
        {"type": {"coding": [{"code": "SS"}]}, "value": "123"},
        {"type": {"coding": [{"code": "MR"}]}, "system": "urn:oid:1.2.4", "value": "90001234"},
    ],
}
MEDICATION = {"resourceType": "Medication", "id": "m1", "code": {"coding": [{"code": "saline"}]}}
REQUEST = {"resourceType": "MedicationRequest", "id": "r1", "identifier": [{"value": "RX9"}]}
HELD = (ENCOUNTER, PATIENT, MEDICATION, REQUEST)


def served(release: str, prefix: str = "", **changes: object) -> dict[str, Any]:
    """The administration as a server has it: everything by reference."""

    def to(kind: str, own: str) -> dict[str, str]:
        return {"reference": f"#{own}" if prefix == "#" else f"{prefix}{kind}/{own}"}

    by_release: dict[str, object] = (
        {
            "context": to("Encounter", "e1"),
            "medicationCodeableConcept": None,
            "medicationReference": to("Medication", "m1"),
        }
        if release == "r4"
        else {"encounter": to("Encounter", "e1"), "medication": {"reference": to("Medication", "m1")}}
    )
    who = {"subject": to("Patient", "p1"), "request": to("MedicationRequest", "r1")}
    return json.loads(fhir(f"{release}_{DONE}", **(by_release | who | changes)))


def bundle(kind: str, *resources: dict[str, Any], base: str = "", **fields: object) -> bytes:
    entries = [
        {"resource": each} | ({"fullUrl": f"{base}{each['resourceType']}/{each.get('id')}"} if base else {})
        for each in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries, **fields}).encode()


def answers(payload: bytes, site: ReaderSite = EHR_SITE) -> list[Inbound]:
    return [read(each, site) for each in messages_in(payload)]


def meant(answer: Inbound) -> tuple[str, str | None, str, AgentClass | None]:
    """Whose, record number, order, class."""
    assert isinstance(answer, Accepted), answer
    assert answer.note == ""
    start = answer.facts[0]
    assert isinstance(start, facts.InfusionStarted)
    return start.patient, answer.identities[0].mrn, start.order, start.admin


@pytest.mark.parametrize("release", ["r4", "r5"])
def test_what_is_contained_is_read_where_it_is_referred_to(release: str) -> None:
    resource = served(release, "#", contained=list(HELD))
    answer = read(json.dumps(resource).encode())
    assert meant(answer) == (VISIT, "90001234", "RX9", AgentClass.HYDRATION)
    assert isinstance(answer, Accepted)
    assert answer.identities[0].visit_authority == "&urn:oid:1.2.3"


@pytest.mark.parametrize("release", ["r4", "r5"])
@pytest.mark.parametrize("kind", ["searchset", "collection", "message", "history", "subscription-notification"])
@pytest.mark.parametrize(
    ("base", "prefix"),
    [
        ("", ""),
        ("https://ehr.example/fhir/", ""),
        ("https://ehr.example/fhir/", "https://ehr.example/fhir/"),
    ],
)
def test_a_bundle_gives_what_its_resources_refer_to(release: str, kind: str, base: str, prefix: str) -> None:
    (answer,) = answers(bundle(kind, served(release, prefix), *HELD, base=base))
    assert meant(answer) == (VISIT, "90001234", "RX9", AgentClass.HYDRATION)


def test_a_resource_of_another_server_is_not_the_one_that_is_held() -> None:
    base = "https://ehr.example/fhir/"
    elsewhere = served("r4", "https://other.example/fhir/")
    (answer,) = answers(bundle("searchset", elsewhere, *HELD, base=base))
    assert isinstance(answer, Rejected)
    assert answer.code == "no-visit"
    assert "context.reference: the Encounter that it names is not in the message" in answer.text
    assert "medicationReference: the Medication that it names is not in the message" in answer.text


def test_each_administration_of_a_bundle_is_answered_by_itself() -> None:
    good, bad = served("r4"), served("r4", status="charged") | {"id": "ma-2"}
    results = answers(bundle("searchset", good, bad, *HELD))
    assert [type(each).__name__ for each in results] == ["Accepted", "Rejected"]
    assert [each.message_id.split("|")[0] for each in results] == [
        "MedicationAdministration/ma-1",
        "MedicationAdministration/ma-2",
    ]


def test_a_history_dates_its_versions() -> None:
    entry = {"resource": served("r4", meta=None), "response": {"lastModified": "2026-03-10T15:02:00Z"}}
    others = [{"resource": each} for each in HELD]
    deleted = {"request": {"method": "DELETE", "url": "MedicationAdministration/ma-9"}}
    payload = json.dumps({"resourceType": "Bundle", "type": "history", "entry": [entry, deleted, *others]}).encode()
    first, second = messages_in(payload)
    assert json.loads(first)["meta"] == {"lastUpdated": "2026-03-10T15:02:00Z"}
    assert refusal(second).startswith("rejected no-visit")


def test_without_a_visit_the_numbers_find_the_session_under_way() -> None:
    known = knowing(EHR_SITE, Identity(VISIT, "V770012", "90001234", mrn_authority="NORTH&1.2.4"))
    (answer,) = answers(bundle("searchset", served("r4"), PATIENT, MEDICATION, REQUEST), known)
    assert isinstance(answer, Accepted)
    assert answer.identities[0].visit == "V770012"
    assert answer.note == "context.reference: the Encounter that it names is not in the message"


def test_a_mixture_counts_as_chemo_until_its_class_is_known() -> None:
    def made_of(*codes: str) -> Inbound:
        parts = [{"itemCodeableConcept": {"coding": [{"code": code}]}} for code in codes]
        mixed = {"resourceType": "Medication", "id": "m1", "ingredient": parts}
        return answers(bundle("collection", served("r4"), ENCOUNTER, PATIENT, mixed, REQUEST))[0]

    for codes, presumed in ((("saline",), False), (("saline", "pacli"), True)):
        answer = made_of(*codes)
        assert isinstance(answer, Accepted)
        assert getattr(answer.facts[0], "presumed", None) is presumed


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"type": "searchset", "entry": []}, "ignored not-used: entry"),
        ({"type": "collection", "entry": [{"resource": PATIENT}]}, "ignored not-used: entry"),
        (
            {"type": "history", "entry": [{"fullUrl": "https://ehr.example/MedicationAdministration/1"}]},
            "rejected bad-data: entry",
        ),
        (
            {
                "type": "subscription-notification",
                "entry": [
                    {
                        "resource": {
                            "resourceType": "SubscriptionStatus",
                            "notificationEvent": [{"focus": {"reference": "MedicationAdministration/1"}}],
                        }
                    }
                ],
            },
            "rejected bad-data: entry",
        ),
    ],
)
def test_a_bundle_without_an_administration_says_so(content: dict[str, Any], says: str) -> None:
    payload = json.dumps({"resourceType": "Bundle", **content}).encode()
    assert messages_in(payload) == (payload,)
    assert refusal(payload).startswith(says)


def test_test_data_stays_test_wherever_it_is_marked() -> None:
    mark = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]}
    header = {"resourceType": "MessageHeader", "meta": mark}
    marked = (
        json.dumps(served("r4", "#", contained=list(HELD), meta=mark)).encode(),
        json.dumps(served("r4", "#", contained=[ENCOUNTER, PATIENT | {"meta": mark}, MEDICATION, REQUEST])).encode(),
        bundle("searchset", served("r4"), *HELD, meta=mark),
        bundle("message", header, served("r4"), *HELD),
        bundle("searchset", served("r4"), ENCOUNTER | {"meta": mark}, PATIENT, MEDICATION, REQUEST),
    )
    for payload in marked:
        (part,) = messages_in(payload)
        assert refusal(part, LIVE).startswith("ignored test-message: meta.security")
        assert accepted(part).facts
    assert accepted(fhir(f"r4_{DONE}"), LIVE).facts


@pytest.mark.parametrize("changed", ["yesterday", 7, "2026-03-10T15:02:00", "x" * 80])
def test_an_unreadable_optional_element_costs_itself_alone(changed: object) -> None:
    answer = accepted(fhir(f"r4_{DONE}", meta={"lastUpdated": changed}))
    assert answer.facts
    assert answer.note.startswith("meta.lastUpdated: ")
    assert "yesterday" not in answer.note


# --- payloads with several messages

ONE, OTHER = hl7("ras_o17_start"), hl7("adt_a08_update")
FRAMED = b"FHS|^~\\&|EHR\rBHS|^~\\&|EHR\r" + ONE + OTHER + b"BTS|2\rFTS|1\r"


@pytest.mark.parametrize("payload", [FRAMED, FRAMED.replace(b"\r", b"\n"), b"\x0b" + FRAMED + b"\x1c\r", ONE + OTHER])
def test_a_batch_is_read_message_by_message(payload: bytes) -> None:
    assert [accepted(each).message_id for each in messages_in(payload)] == ["MAR|MAR0009908", "EHR|ADT000117"]


def test_one_message_is_one_payload() -> None:
    event = json.dumps({"specversion": "1.0"}).encode()
    for payload in (ONE, event, fhir(f"r4_{DONE}"), b"", b"[", b"\x00\xff", b"MSH"):
        assert messages_in(payload) == (payload,)
    assert messages_in(b"[" + event + b"," + event + b"]") == (b'{"specversion":"1.0"}',) * 2


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"FHS|^~\\&|EHR\rFTS|0\r", "rejected not-json: the batch holds no message"),
        (b'<MedicationAdministration xmlns="http://hl7.org/fhir"/>', "rejected not-json: FHIR in XML is not read"),
        (b'<?xml version="1.0"?><RAS_O17/>', "rejected not-json: XML is not read"),
    ],
)
def test_what_is_in_no_format_that_is_read_is_named(payload: bytes, says: str) -> None:
    (part,) = messages_in(payload)
    assert refusal(part).startswith(says)
