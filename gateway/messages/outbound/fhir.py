"""Charges, credits and temperatures for charting in FHIR, R4 or R5. Pure.

Theory of operation. Every message is a transaction Bundle that may be processed any number of times, in any order: a
resource is created only if none with its identifier is there. A credit is the same ChargeItem under the same
identifier, now entered in error, by a conditional update; should the credit come first, the charge then finds it there
and changes nothing. Patient, visit and account are referred to by their numbers alone, for the gateway knows no ids of
the server. Who assigned a number says the site, else whoever sent it; where nobody does, no system is made up.

The 97008 of the session, which is this charge's parent in billing, is not referred to: the gateway does not issue it
and knows no number of it. A temperature is the device's, never the body's: its code is our own, and neither a vital
sign's code nor its category is used.
"""

from uuid import NAMESPACE_URL, uuid5

import msgspec

from drivers.reading import Measurement, Quality
from gateway.messages.details import NO_DETAILS, Detail, Details, Diagnosis
from gateway.messages.identity import Identity, Number
from gateway.messages.instants import rfc3339
from gateway.messages.notation import Mode
from gateway.messages.outbound.code_systems import fhir_system
from gateway.messages.outbound.ehr import ChargeAction, ChargeData, Device
from gateway.messages.outbound.site import CPT_CODE, ChargeSite, FhirRelease

Json = dict[str, object]

MESSAGE_SYSTEM = "urn:capgate:message"
CHARGE_SYSTEM = "urn:capgate:charge"
PROCEDURE_SYSTEM = "urn:capgate:procedure"
UNIT_SYSTEM = "urn:capgate:unit"
OBSERVATION_SYSTEM = "urn:capgate:observation"
POINT_SYSTEM = "urn:capgate:point"

_CPT = "http://www.ama-assn.org/go/cpt"
_ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_ABSENT_EXTENSION = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_UCUM = "http://unitsofmeasure.org"


class ChartSample(msgspec.Struct, frozen=True, kw_only=True):
    """The temperatures of one cap of a session at one instant, for charting."""

    session: str
    device: Device
    at_us: int
    temperatures: dict[str, Measurement]
    mode: Mode

    @property
    def key(self) -> str:
        """The idempotency key of the sample."""
        return f"{self.session}.{self.device.unit}.{self.device.cap}.{self.at_us // 1000}"


def charge_bundle(
    charge: ChargeData,
    identity: Identity,
    site: ChargeSite,
    at_us: int,
    bundle_id: str,
    details: Details = NO_DETAILS,
) -> bytes:
    """The Bundle `bundle_id` of a charge or credit recorded at `at_us`, with the resources that it refers to."""
    who = site.shown(identity)
    units = {each.unit: each for each in charge.devices}  # one with two caps is one device
    devices = [_device(each, site, charge.mode) for each in units.values()] if Detail.DEVICE in site.details else []
    procedures = [_procedure(charge, who, site, devices)] if Detail.PROCEDURE in site.details else []
    is_r5, supporting = site.fhir_release is FhirRelease.R5, [*map(_reference, devices)]
    service = [*map(_reference, procedures)]
    refers = _listed("service", _codeable(service) if is_r5 else service) | _listed("supportingInformation", supporting)
    item = _charge_item(charge, who, site, at_us, details) | refers
    entry = _entry(
        "ChargeItem", CHARGE_SYSTEM, _charge_key(charge), item, charge.mode, updates=charge.reverses is not None
    )
    return _transaction([*devices, *procedures, entry], at_us, bundle_id, charge.mode)


def observation_bundle(sample: ChartSample, identity: Identity, site: ChargeSite, at_us: int, bundle_id: str) -> bytes:
    """The Bundle of a sample charted at `at_us`: the device, and one Observation for each point."""
    who = site.shown(identity)
    device = _device(sample.device, site, sample.mode)
    observations = [
        _observation(sample, who, name, measured, site, at_us, str(device["fullUrl"]))
        for name, measured in sample.temperatures.items()
    ]
    return _transaction([device, *observations], at_us, bundle_id, sample.mode)


def _charge_item(charge: ChargeData, who: Identity, site: ChargeSite, at_us: int, details: Details) -> Json:
    credit, recorded = charge.action is ChargeAction.CREDIT, rfc3339(at_us)
    code: Json = {"coding": [{"system": _CPT, "code": CPT_CODE}]}
    if site.description:
        code["text"] = site.description
    item: Json = {
        "status": "entered-in-error" if credit else "billable",
        "code": code,
        "subject": _subject(who, site),
        "encounter" if site.fhir_release is FhirRelease.R5 else "context": _visit(who, site),
        "occurrencePeriod": {"start": charge.start, "end": charge.end},
        "quantity": {"value": charge.quantity},
        "enteredDate": recorded,
    }
    if (account := who.number("account")) is not None:
        item["account"] = [_numbered(site.account_system, account)]
    if site.cost_center:
        item["costCenter"] = _numbered(site.organization_system, Number(site.cost_center))
    if site.performing_organization:
        item["performingOrganization"] = _numbered(site.organization_system, Number(site.performing_organization))
    if Detail.PERFORMER in site.details:
        staff = [each.number for each in details.performers if each.number] or [site.performer]
        item |= _listed("performer", [{"actor": _numbered(site.staff_system, Number(each))} for each in staff if each])
    item |= _listed("reason", [*map(_concept, details.diagnoses)])
    if credit:
        reason = f": {charge.reason}" if charge.reason else ""
        item["note"] = [{"time": recorded, "text": f"taken back by {charge.charge}{reason}"}]
    return item


def _procedure(charge: ChargeData, who: Identity, site: ChargeSite, devices: list[Json]) -> Json:
    """The cooling that is charged. A credit takes it back too, for it may be another patient's."""
    is_r5, credit = site.fhir_release is FhirRelease.R5, charge.action is ChargeAction.CREDIT
    procedure: Json = {
        "status": "entered-in-error" if credit else "completed",
        "code": {"text": site.description or "Scalp cooling"},
        "subject": _subject(who, site),
        "encounter": _visit(who, site),
        "occurrencePeriod" if is_r5 else "performedPeriod": {"start": charge.start, "end": charge.end},
    }
    used = [*map(_reference, devices)]
    procedure |= _listed("used", _codeable(used)) if is_r5 else _listed("usedReference", used)
    return _entry("Procedure", PROCEDURE_SYSTEM, _charge_key(charge), procedure, charge.mode, updates=credit)


def _charge_key(charge: ChargeData) -> str:
    """The key of the charge that it is, or takes back."""
    return charge.reverses or charge.charge


def _concept(diagnosis: Diagnosis) -> Json:
    coding = {"system": fhir_system(diagnosis.system), "code": diagnosis.code, "display": diagnosis.text}
    return {"coding": [{name: text for name, text in coding.items() if text}]}


def _reference(entry: Json) -> Json:
    """To a resource of the same Bundle."""
    return {"reference": entry["fullUrl"]}


def _codeable(references: list[Json]) -> list[Json]:
    """The same as R5 has it where a concept may stand in a reference's place."""
    return [{"reference": each} for each in references]


def _listed(element: str, values: list[Json]) -> Json:
    """The element with these values; nothing without any, for FHIR has no empty lists."""
    return {element: values} if values else {}


def _device(device: Device, site: ChargeSite, mode: Mode) -> Json:
    kind: Json = {"text": "Scalp cooling unit"}
    resource: Json = {"status": "active", "type": [kind] if site.fhir_release is FhirRelease.R5 else kind}
    if device.serial_number is not None:
        resource["serialNumber"] = device.serial_number
    return _entry("Device", UNIT_SYSTEM, device.unit, resource, mode)


def _observation(
    sample: ChartSample, who: Identity, name: str, measured: Measurement, site: ChargeSite, at_us: int, device_url: str
) -> Json:
    observation: Json = {
        "status": "preliminary",
        "category": [{"coding": [{"system": _CATEGORY, "code": "procedure"}]}],
        "code": {"coding": [{"system": POINT_SYSTEM, "code": name}], "text": f"{_words(name)} temperature"},
        "subject": _subject(who, site),
        "encounter": _visit(who, site),
        "effectiveDateTime": rfc3339(sample.at_us),
        "issued": rfc3339(at_us),
        "note": [{"text": "Temperature of the device. Not a body temperature."}],
        "device": {"reference": device_url},
    }
    if measured.value is not None and measured.quality is Quality.GOOD:
        value = round(measured.value, 2)
        observation["valueQuantity"] = {"value": value, "unit": "Cel", "system": _UCUM, "code": "Cel"}
    else:
        observation["dataAbsentReason"] = {"coding": [{"system": _ABSENT, "code": "error"}]}
    return _entry("Observation", OBSERVATION_SYSTEM, f"{sample.key}.{name}", observation, sample.mode)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _transaction(entries: list[Json], at_us: int, bundle_id: str, mode: Mode) -> bytes:
    bundle: Json = {
        "resourceType": "Bundle",
        **_meta(mode),
        "identifier": {"system": MESSAGE_SYSTEM, "value": bundle_id},
        "type": "transaction",
        "timestamp": rfc3339(at_us),
        "entry": entries,
    }
    return msgspec.json.encode(bundle)


def _entry(kind: str, system: str, value: str, resource: Json, mode: Mode, *, updates: bool = False) -> Json:
    """A conditional create of the resource by its identifier; with `updates` a conditional update."""
    search = f"identifier={system}|{value}"
    create: Json = {"method": "POST", "url": kind, "ifNoneExist": search}
    update: Json = {"method": "PUT", "url": f"{kind}?{search}"}
    named: Json = {"resourceType": kind, **_meta(mode), "identifier": [{"system": system, "value": value}]}
    return {
        "fullUrl": f"urn:uuid:{uuid5(NAMESPACE_URL, f'{system}|{value}')}",
        "resource": named | resource,
        "request": update if updates else create,
    }


def _subject(who: Identity, site: ChargeSite) -> Json:
    """A reference to the patient by number; without one, a text that only the visit identifies the patient."""
    mrn = who.number("mrn")
    if mrn is None:
        return {"extension": [{"url": _ABSENT_EXTENSION, "valueCode": "unknown"}]}
    return _numbered(site.mrn_system, mrn)


def _visit(who: Identity, site: ChargeSite) -> Json:
    return _numbered(site.visit_system, Number(who.visit, who.visit_authority or ""))


def _numbered(system: str, number: Number) -> Json:
    """A logical reference, by identifier of the site's system, else of the sender's."""
    named = system or number.system
    return {"identifier": ({"system": named} if named else {}) | {"value": number.value}}


def _meta(mode: Mode) -> Json:
    """`meta` with the tag for test data if the gateway is a test one."""
    return {} if mode is Mode.LIVE else {"meta": {"security": [{"system": _ACT_REASON, "code": "HTEST"}]}}
