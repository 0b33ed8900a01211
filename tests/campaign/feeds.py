"""How the EHR writes what it says: JSON events, and of infusions also HL7 v2 (RAS) or FHIR resources."""

import json
from datetime import UTC, datetime

from gateway.messages.notation import Notation
from tests.campaign.bus import Json
from tests.campaign.plan import Meaning, Statement, Visit

SOURCE = "urn:engine"
HL7_SENDER = "MAR"
FHIR_TYPE = "MedicationAdministration"
DRUG = "PACLI"
_OF_A_BAG = (Meaning.STARTED, Meaning.ENDED, Meaning.CORRECTED)


def encoded(visit: Visit, statement: Statement) -> tuple[Notation, bytes]:
    """The statement in the notation of the visit's feed; what is about no bag is always an event."""
    if statement.meaning in _OF_A_BAG:
        match visit.feed:
            case Notation.HL7:
                return visit.feed, _ras(visit, statement)
            case Notation.FHIR:
                return visit.feed, _medication_administration(visit, statement)
            case Notation.JSON:
                pass
    return Notation.JSON, _event(statement)


def sent_as(notation: Notation, statement: Statement) -> str:
    """By what the gateway's answer names the message; of a resource, its beginning."""
    match notation:
        case Notation.HL7:
            return f"{HL7_SENDER}|{statement.id}"
        case Notation.FHIR:
            return f"{FHIR_TYPE}/{statement.order}"
        case Notation.JSON:
            return f"{SOURCE}|{statement.id}"


def _event(statement: Statement) -> bytes:
    data: Json = {"visit": statement.visit, **dict(statement.extra)}
    if statement.order:
        data["order"] = statement.order
    if statement.version is not None:
        data["version"] = statement.version
    if statement.place is not None:
        data |= {"unit": statement.place.unit, "cap": statement.place.cap}
    event: Json = {
        "specversion": "1.0",
        "type": f"org.example.{statement.thing}.v1",
        "source": SOURCE,
        "id": statement.id,
        "time": _rfc3339(statement.at_us),
        "data": data,
    }
    if statement.recorded_us is not None:
        event["recordedtime"] = _rfc3339(statement.recorded_us)
    return json.dumps(event).encode()


def _ras(visit: Visit, statement: Statement) -> bytes:
    over = statement.meaning is not Meaning.STARTED
    rxa = {
        1: "0",
        2: "1",
        3: _hl7_time(_start_us(visit, statement)),
        4: _hl7_time(statement.at_us),
        5: DRUG,
        9: "STOPPED^Stopped^L" if over else "NEWBAG^New bag^L",
        20: "CP" if over else "PA",
        21: "U" if statement.meaning is Meaning.CORRECTED else "A",
        22: _hl7_time(statement.say_us),
    }
    said = _hl7_time(statement.say_us)
    segments = (
        f"MSH|^~\\&|{HL7_SENDER}|CLINIC|CAPGATE|CLINIC|{said}||RAS^O17^RAS_O17|{statement.id}|P|2.5.1",
        f"PV1|1|O|{'|' * 16}{statement.visit}",
        f"ORC|RE|{statement.order}|||{'CM' if over else 'IP'}",
        "|".join(["RXA", *(rxa.get(number, "") for number in range(1, 23))]),
        "",
    )
    return "\r".join(segments).encode()


def _medication_administration(visit: Visit, statement: Statement) -> bytes:
    period = {"start": _rfc3339(_start_us(visit, statement))}
    over = statement.meaning is not Meaning.STARTED
    if over:
        period["end"] = _rfc3339(statement.at_us)
    resource: Json = {
        "resourceType": FHIR_TYPE,
        "id": statement.order,
        "meta": {"lastUpdated": _rfc3339(statement.say_us)},
        "status": "completed" if over else "in-progress",
        "medicationCodeableConcept": {"coding": [{"code": DRUG}]},
        "context": {"identifier": {"value": statement.visit}},
        "request": {"identifier": {"value": statement.order}},
        "effectivePeriod": period,
    }
    return json.dumps(resource).encode()


def _start_us(visit: Visit, statement: Statement) -> int:
    """When the bag was begun."""
    return next(
        each.at_us for each in visit.statements if (each.meaning, each.order) == (Meaning.STARTED, statement.order)
    )


def _rfc3339(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()


def _hl7_time(at_us: int) -> str:
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    return f"{at:%Y%m%d%H%M%S}.{at.microsecond // 100:04d}+0000"
