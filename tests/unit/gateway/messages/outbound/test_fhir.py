"""Charges, credits and temperatures in FHIR, by what a server makes of them."""

import json
from typing import Any

import msgspec
import pytest

from gateway.messages.details import NO_DETAILS, Details
from gateway.messages.notation import Mode
from gateway.messages.outbound.ehr import ChargeAction, Device
from gateway.messages.outbound.fhir import charge_bundle
from gateway.messages.outbound.site import ChargeSite, FhirRelease
from tests.contract.fhir_messages import (
    BARE,
    DETAILS,
    KNOWN,
    NAMED,
    RECORDED_US,
    charge,
    charge_data,
    detailed,
    observation,
    samples,
)
from tests.contract.message_samples import sample_files

Json = dict[str, Any]


class Server:
    """Processes transactions as FHIR demands: conditional creates and updates by identifier."""

    def __init__(self) -> None:
        self.held: dict[str, Json] = {}  # by type and identifier

    def take(self, bundle: Json) -> None:
        assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
        for entry in bundle["entry"]:
            request, resource = entry["request"], entry["resource"]
            kind, _, query = request["url"].partition("?")
            (identifier,) = resource["identifier"]
            search = query if request["method"] == "PUT" else request["ifNoneExist"]
            assert kind == resource["resourceType"]
            assert search == f"identifier={identifier['system']}|{identifier['value']}"
            if request["method"] == "PUT":
                self.held[f"{kind}?{search}"] = resource
            else:
                self.held.setdefault(f"{kind}?{search}", resource)

    @property
    def statuses(self) -> list[tuple[str, int]]:
        return [(each["status"], each["quantity"]["value"]) for each in self.held.values()]


def item(bundle: Json) -> Json:
    (entry,) = bundle["entry"]
    return entry["resource"]


def systems(bundle: Json) -> list[str | None]:
    """Who assigned record number, visit and account."""
    resource = item(bundle)
    numbers = [resource["subject"], resource["context"], *resource["account"]]
    return [each["identifier"].get("system") for each in numbers]


def test_a_charge_says_what_is_billed_to_whom_and_when() -> None:
    bundle = charge()
    assert bundle["identifier"] == {"system": "urn:capgate:message", "value": "9RX2M7KQ400A"}
    assert item(bundle) == {
        "resourceType": "ChargeItem",
        "identifier": [{"system": "urn:capgate:charge", "value": "9RX2M7KQ400A"}],
        "status": "billable",
        "code": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "97009"}]},
        "subject": {"identifier": {"system": "urn:example:mrn", "value": "90001234"}},
        "context": {"identifier": {"system": "urn:example:visit", "value": "V770012"}},
        "occurrencePeriod": {"start": "2026-03-10T15:20:00.000Z", "end": "2026-03-10T16:35:00.000Z"},
        "quantity": {"value": 2},
        "enteredDate": "2026-03-10T18:00:01.000Z",
        "account": [{"identifier": {"system": "urn:example:account", "value": "770012"}}],
    }


def test_the_same_charge_is_the_same_bytes() -> None:
    data, site = charge_data(), ChargeSite()
    first, again = (charge_bundle(data, KNOWN, site, RECORDED_US, data.charge) for _ in range(2))
    assert first == again


def test_a_charge_that_comes_twice_is_there_once() -> None:
    server = Server()
    server.take(charge())
    server.take(charge())
    assert server.statuses == [("billable", 2)]


@pytest.mark.parametrize(
    "order", [["charge", "credit"], ["credit", "charge"], ["charge", "credit", "charge", "credit"]]
)
def test_a_credit_takes_its_charge_back_in_whatever_order_they_come(order: list[str]) -> None:
    server = Server()
    for name in order:
        server.take(charge(name))
    assert server.statuses == [("entered-in-error", 2)]


def test_a_credit_says_which_and_why() -> None:
    data = charge_data("credit")
    assert data.action is ChargeAction.CREDIT
    assert item(charge("credit"))["note"] == [
        {"time": "2026-03-10T18:00:01.000Z", "text": "taken back by 9RX2M7KQ4A0A: count"}
    ]


def test_r5_has_the_visit_under_its_new_name() -> None:
    r4, r5 = item(charge()), item(charge(site=msgspec.structs.replace(NAMED, fhir_release=FhirRelease.R5)))
    assert r5.pop("encounter") == r4.pop("context")
    assert r5 == r4


@pytest.mark.parametrize("bundle", [charge(who=BARE), charge(site=ChargeSite(kept=frozenset()))])
def test_what_is_not_known_or_not_told_of_a_patient_is_left_to_the_visit(bundle: Json) -> None:
    assert item(bundle)["subject"]["extension"][0]["valueCode"] == "unknown"
    assert item(bundle)["context"]["identifier"]["value"] == "V770012"
    assert "account" not in item(bundle)
    assert "90001234" not in json.dumps(bundle)


def test_numbers_are_of_the_systems_that_the_site_names_whatever_their_senders_say() -> None:
    said = msgspec.structs.replace(KNOWN, mrn_authority="NORTH&9.9", visit_authority="&urn:sender")
    for who in (KNOWN, said):
        assert systems(charge(who=who)) == ["urn:example:mrn", "urn:example:visit", "urn:example:account"]


@pytest.mark.parametrize(
    ("authority", "system"),
    [
        ("", None),
        ("NORTH", None),
        ("NORTH&1.2.3", "urn:oid:1.2.3"),
        ("&urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("&https://North.example/Visit", "https://North.example/Visit"),
        ("NORTH&north.example", None),
    ],
)
def test_else_they_are_of_the_systems_that_their_senders_say_and_of_none_that_is_made_up(
    authority: str, system: str | None
) -> None:
    who = msgspec.structs.replace(
        KNOWN, visit_authority=authority, mrn_authority=authority, account_authority=authority
    )
    assert systems(charge(who=who, site=ChargeSite())) == [system] * 3
    assert systems(charge(site=ChargeSite())) == [None] * 3
    seen = observation(who, site=ChargeSite())["entry"][1]["resource"]
    assert [seen[name]["identifier"].get("system") for name in ("subject", "encounter")] == [system] * 2


def test_the_sites_organizations_are_named_by_their_numbers() -> None:
    site = ChargeSite(cost_center="4711", performing_organization="INF", organization_system="urn:oid:1.2")
    for name in ("charge", "credit"):
        resource = item(charge(name, site=site))
        assert resource["costCenter"] == {"identifier": {"system": "urn:oid:1.2", "value": "4711"}}
        assert resource["performingOrganization"] == {"identifier": {"system": "urn:oid:1.2", "value": "INF"}}


def entries(bundle: Json) -> dict[str, Json]:
    return {entry["resource"]["resourceType"]: entry for entry in bundle["entry"]}


def test_what_is_stated_and_what_is_known_of_a_charge_goes_with_it() -> None:
    sent = entries(charge(site=detailed(), details=DETAILS))
    resource, served = sent["ChargeItem"]["resource"], sent["Procedure"]["resource"]
    assert resource["performer"] == [{"actor": {"identifier": {"system": "urn:example:staff", "value": "rn-1"}}}]
    assert resource["reason"] == [
        {
            "coding": [
                {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C50.912", "display": "Cancer, breast"},
            ]
        },
        {"coding": [{"code": "X1", "display": "Of the house"}]},
    ]
    assert resource["service"] == [{"reference": sent["Procedure"]["fullUrl"]}]
    assert resource["supportingInformation"] == [{"reference": sent["Device"]["fullUrl"]}]
    assert served == {
        "resourceType": "Procedure",
        "identifier": [{"system": "urn:capgate:procedure", "value": "9RX2M7KQ400A"}],
        "status": "completed",
        "code": {"text": "Cooling after infusion, 30 min"},
        "subject": resource["subject"],
        "encounter": resource["context"],
        "performedPeriod": resource["occurrencePeriod"],
        "usedReference": [{"reference": sent["Device"]["fullUrl"]}],
    }
    assert sent["Device"]["resource"]["serialNumber"] == "CU-20417"


def test_r5_refers_in_its_own_form() -> None:
    sent = entries(charge(site=detailed(FhirRelease.R5), details=DETAILS))
    item, served, device = (sent[kind]["resource"] for kind in ("ChargeItem", "Procedure", "Device"))
    assert item["service"] == [{"reference": {"reference": sent["Procedure"]["fullUrl"]}}]
    assert item["supportingInformation"] == [{"reference": sent["Device"]["fullUrl"]}]
    assert served["used"] == [{"reference": {"reference": sent["Device"]["fullUrl"]}}]
    assert served["occurrencePeriod"] == item["occurrencePeriod"]
    assert device["type"] == [{"text": "Scalp cooling unit"}]


def test_a_unit_with_two_caps_is_one_device() -> None:
    data = charge_data()
    both = msgspec.structs.replace(data, devices=(*data.devices, Device(data.devices[0].unit, 2)))
    bundle = json.loads(charge_bundle(both, KNOWN, detailed(), RECORDED_US, data.charge))
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["Device", "Procedure", "ChargeItem"]


def test_whoever_signed_performed_else_the_sites_constant_else_nobody() -> None:
    def performers(site: ChargeSite, details: Details) -> list[str]:
        resource = entries(charge(site=site, details=details))["ChargeItem"]["resource"]
        return [each["actor"]["identifier"]["value"] for each in resource.get("performer", [])]

    constant = msgspec.structs.replace(detailed(), performer="88801")
    assert performers(constant, DETAILS) == ["rn-1"]
    assert performers(constant, NO_DETAILS) == ["88801"]
    assert performers(detailed(), NO_DETAILS) == []
    assert performers(ChargeSite(performer="88801"), NO_DETAILS) == []


@pytest.mark.parametrize("order", [["charge", "credit"], ["credit", "charge"]])
def test_a_credit_takes_the_procedure_back_too(order: list[str]) -> None:
    server = Server()
    for name in order:
        server.take(charge(name, site=detailed(), details=DETAILS))
    by_kind = {each["resourceType"]: each["status"] for each in server.held.values()}
    assert by_kind == {"Device": "active", "Procedure": "entered-in-error", "ChargeItem": "entered-in-error"}
    assert len(server.held) == 3


def test_text_of_the_code_is_the_sites_own_or_none() -> None:
    assert item(charge(site=ChargeSite(description="Cap cooling")))["code"]["text"] == "Cap cooling"
    assert "text" not in item(charge())["code"]


@pytest.mark.parametrize("mode", Mode)
def test_only_a_test_gateway_marks_what_it_sends_as_test(mode: Mode) -> None:
    bundle = charge(mode=mode)
    assert [("meta" in each) for each in (bundle, item(bundle))] == [mode is Mode.TEST] * 2


def test_a_temperature_is_the_devices_and_preliminary() -> None:
    device, supply, broken = (entry["resource"] for entry in observation()["entry"])
    assert (device["resourceType"], device["serialNumber"]) == ("Device", "CU-20417")
    for each in (supply, broken):
        assert each["status"] == "preliminary"
        assert each["category"][0]["coding"][0]["code"] == "procedure"
        assert [coding["system"] for coding in each["code"]["coding"]] == ["urn:capgate:point"]
        assert each["device"]["reference"] == observation()["entry"][0]["fullUrl"]
    assert supply["valueQuantity"]["value"] == -3.8
    assert "dataAbsentReason" not in supply
    assert "valueQuantity" not in broken
    assert broken["dataAbsentReason"]["coding"][0]["code"] == "error"


def test_no_temperature_is_a_vital_sign() -> None:
    text = json.dumps(observation())
    for never in ("vital-signs", "8310-5", "loinc", "150364", "150368", "150344"):
        assert never not in text


def test_a_look_that_comes_twice_is_there_once() -> None:
    server = Server()
    server.take(observation())
    server.take(observation())
    assert len(server.held) == 3


def test_the_page_shows_what_is_built() -> None:
    assert {name: text for name, text in sample_files().items() if name.startswith("fhir_")} == samples()
