"""Segments that every outbound HL7 message has: MSH, PID, PV1. Pure."""

from collections.abc import Sequence

from gateway.messages.details import NO_DETAILS, Details, Person
from gateway.messages.hl7v2 import Segment, Value, segment
from gateway.messages.identity import Identity, Number
from gateway.messages.notation import Mode
from gateway.messages.outbound.site import ChargeSite

CONTROL_ID_PREFIX = "CG"  # of MSH-10, before the key

_SEXES = {"female": "F", "male": "M", "other": "O", "unknown": "U"}  # FHIR's codes -> HL7 table 0001
_NO_NAME = ("", "", "", "", "", "", "U")  # a name of type "unspecified": PID-5 may not be empty


def header(site: ChargeSite, kind: tuple[str, str, str], key: str, at_us: int, rest: dict[int, Value]) -> Segment:
    """MSH. `rest` has the version and other fields that differ between message types."""
    fields: dict[int, Value] = {
        3: site.sending_application,
        4: site.sending_facility,
        5: site.receiving_application,
        6: site.receiving_facility,
        7: site.hl7_time(at_us),
        9: kind,
        10: control_id(key),
        11: "P" if site.mode is Mode.LIVE else "T",
        18: "UNICODE UTF-8",
    }
    return segment("MSH", {**fields, **rest})


def control_id(key: str) -> str:
    """MSH-10 of the message with `key`; its acknowledgement names it."""
    return CONTROL_ID_PREFIX + key


def patient(site: ChargeSite, who: Identity) -> Segment:
    """PID with the identifiers that the site sends. PID-3 is required: without MRN it has the account or the visit."""
    visit = (Number(who.visit, who.visit_authority or ""), "VN")
    known = [(who.number("mrn"), "MR"), (who.number("account"), "AN")]
    number, kind = next(((number, kind) for number, kind in known if number), visit)
    account = who.number("account")
    sex = who.sex or ""
    fields: dict[int, Value] = {
        1: "1",
        3: _number(site, number, kind),
        5: tuple(who.name.split("^")) if who.name else _NO_NAME,
        7: (who.birth_date or "").replace("-", ""),
        8: _SEXES.get(sex.lower(), sex),
        18: _number(site, account, "AN") if account else "",
    }
    return segment("PID", fields)


def visit(site: ChargeSite, who: Identity, place: Sequence[str], details: Details = NO_DETAILS) -> Segment:
    """PV1: the visit, of an outpatient unless another class is known, and its place."""
    number = Number(who.visit, who.visit_authority or "")
    fields: dict[int, Value | list[Value]] = {
        1: "1",
        2: details.patient_class or "O",
        3: tuple(place),
        7: persons(details.attending),
        19: _number(site, number, "VN"),
    }
    return segment("PV1", fields)


def persons(staff: Sequence[Person]) -> list[Value]:
    """XCN, a repetition for each."""
    return [
        (each.number, each.family, each.given, "", "", "", "", "", _assigner(each.authority), "", "", "", each.kind)
        for each in staff
    ]


def _number(site: ChargeSite, number: Number, kind: str) -> tuple[str | tuple[str, ...], ...]:
    """A CX: the number with its assigning authority, as its sender stated it, else the site's."""
    return number.value, "", "", _assigner(number.authority, site.assigning_authority), kind


def _assigner(authority: str, of_site: str = "") -> str | tuple[str, ...]:
    """An HD."""
    namespace, _, universal = authority.partition("&")
    bare = universal.removeprefix("urn:oid:")
    is_oid = bare.replace(".", "").isdigit()
    if not universal or (not (namespace or is_oid) and of_site):  # a URI is FHIR's name, not HL7's
        return namespace or of_site
    return namespace, bare, "ISO" if is_oid else "URI"
