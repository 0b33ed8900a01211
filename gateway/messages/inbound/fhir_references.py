"""Resolves a MedicationAdministration's references to contained resources: visit, patient, order, drug. Pure.

Identifiers and codes of a contained resource are put where a logical reference (by identifier) has them, in R4 and R5
alike. A reference out of the message cannot be resolved; the answer names it. An optional element that cannot be read
is dropped, with a note.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from gateway.messages.identity import Identity, Number
from gateway.messages.inbound.answers import Accepted, FieldRead, Ignored, Inbound, ReaderSite, Receipt, Rejected
from gateway.messages.inbound.fhir_bundle import Json, list_of, object_of, text_of
from gateway.messages.inbound.hl7 import MAX_LENGTH
from gateway.messages.inbound.json_message import Stop
from gateway.messages.inbound.numbers import Stated, identity, meant, unclear
from gateway.messages.instants import InstantError, read_instant

VISITS = ("context", "encounter")  # R4; R5
_BY_IDENTIFIER = (*VISITS, "subject", "request")
_NO_VISIT = "context or encounter: no identifier; accepted: the visit as an identifier with a value"
_FORMER = frozenset({"old", "temp", "secondary"})  # Identifier.use
_VISIT_NUMBER, _ACCOUNT_NUMBER = "VN", "AN"  # HL7 table 0203


class Resolved(msgspec.Struct, frozen=True):
    """A resource with resolved references, the patient's numbers in it, and notes for its sender."""

    resource: Json
    stated: Stated
    notes: tuple[str, ...]


def resolved(resource: Json, known_at_us: int, site: ReaderSite) -> Resolved:
    """Resolve the resource's references."""
    contained = {f"#{text_of(each, 'id')}": each for each in list_of(resource.get("contained"))}
    made, notes = dict(resource), list(_unreadable(resource, known_at_us, site))
    if notes:
        made["meta"] = {name: value for name, value in object_of(made.get("meta")).items() if name != "lastUpdated"}
    accounts: list[Json] = []
    for element in _BY_IDENTIFIER:
        reference = object_of(resource.get(element))
        held = contained.get(text_of(reference, "reference"))
        own = object_of(reference.get("identifier"))
        numbers = [own] if _value(own) else _current(held or {})
        if held is not None:
            accounts += [object_of(each.get("identifier")) for each in list_of(held.get("account"))]
        if element in VISITS:
            accounts += [each for each in numbers if _ACCOUNT_NUMBER in _types(each)]
        if not _value(own):
            number = _chosen(element, numbers, site)
            notes += _outside(f"{element}.reference", reference, held)
            made[element] = {**reference, "identifier": number} if number else reference
    made |= _medication(resource, contained, notes)
    subject = object_of(resource.get("subject"))
    own = object_of(subject.get("identifier"))
    patient = {"identifier": own} if _value(own) else contained.get(text_of(subject, "reference"), {})
    mrns = _record_numbers(patient, site)
    return Resolved(
        made, Stated(tuple(map(_number, filter(_value, accounts))), tuple(map(_number, mrns))), tuple(notes)
    )


def with_notes(answer: Inbound, notes: tuple[str, ...]) -> Inbound:
    """The answer with further notes for its sender."""
    match answer:
        case Accepted(note=note):
            return msgspec.structs.replace(answer, note="; ".join(filter(None, (note, *notes))))
        case Rejected(text=text) | Ignored(text=text):
            return msgspec.structs.replace(answer, text="; ".join((text, *notes)))
        case Receipt():
            return answer


def identity_of(
    found: Resolved, site: ReaderSite, note: Callable[[FieldRead], str], known_at_us: int, message_id: str
) -> Identity:
    """The patient's identifiers: by the visit that is named, else by the other numbers. Raises Stop."""
    visit = next(filter(None, (_visit(found.resource, element, note) for element in VISITS)), None)
    whom = meant(site, found.stated, visit, is_account=visit in found.stated.accounts)
    if whom.doubtful:
        raise Stop(unclear(site, whom.doubtful, known_at_us, message_id))
    if whom.visit is None:
        raise Stop(Rejected(message_id, "no-visit", _NO_VISIT))
    made = identity(site, found.stated, whom.visit, whom.known)
    note(FieldRead("subject.identifier.value", "record number", made.mrn or ""))
    note(FieldRead("encounter.account", "account", made.account or ""))
    return made


def _visit(resource: Json, element: str, note: Callable[[FieldRead], str]) -> Number | None:
    number = object_of(object_of(resource.get(element)).get("identifier"))
    value = note(FieldRead(f"{element}.identifier.value", "visit", text_of(number, "value")))
    return Number(value, _number(number).authority) if value else None


def _unreadable(resource: Json, known_at_us: int, site: ReaderSite) -> Iterator[str]:
    """A note if `meta.lastUpdated`, which is optional, cannot be read."""
    changed = object_of(resource.get("meta")).get("lastUpdated")
    if changed is None:
        return
    try:
        if not isinstance(changed, str) or len(changed) > MAX_LENGTH:
            raise InstantError("no dateTime")
        read_instant(changed, known_at_us, site.zone)
    except InstantError as error:
        problem = str(error).split("; accepted", maxsplit=1)[0]
        yield f"meta.lastUpdated: {problem}; read as if it were not there"


def _outside(where: str, reference: Json, held: Json | None) -> Iterator[str]:
    """A note if a reference leads out of the message."""
    named = text_of(reference, "reference")
    if named and held is None:
        kind = next((part for part in named.split("/")[-2:-1] if part.isalpha()), "resource")
        yield f"{where}: the {kind[:MAX_LENGTH]} that it names is not in the message"


def _medication(resource: Json, contained: dict[str, Json], notes: list[str]) -> Json:
    """The code of the drug that is referred to, if the administration itself has none."""
    reference, where = object_of(resource.get("medicationReference")), "medicationReference"
    if not reference:
        reference, where = object_of(object_of(resource.get("medication")).get("reference")), "medication.reference"
    if not reference or _codings(resource.get("medicationCodeableConcept")):
        return {}
    held = contained.get(text_of(reference, "reference"))
    notes += _outside(where, reference, held)
    codings = [] if held is None else _codings(held.get("code")) or _only_ingredient(held)
    return {"medicationCodeableConcept": {"coding": codings}} if codings else {}


def _only_ingredient(medication: Json) -> list[Json]:
    """The codes of a drug's only ingredient; none for a mixture, as it is not known which part counts."""
    parts = list_of(medication.get("ingredient"))
    if len(parts) != 1:
        return []
    return _codings(parts[0].get("itemCodeableConcept")) or _codings(object_of(parts[0].get("item")).get("concept"))


def _codings(concept: object) -> list[Json]:
    return [each for each in list_of(object_of(concept).get("coding")) if text_of(each, "code")]


def _current(held: Json) -> list[Json]:
    """The resource's identifiers, without former, temporary and secondary ones."""
    numbers = [each for each in list_of(held.get("identifier")) if _value(each)]
    return [each for each in numbers if text_of(each, "use") not in _FORMER] or numbers


def _chosen(element: str, numbers: Sequence[Json], site: ReaderSite) -> Json:
    """One of several identifiers: for a visit one that is known here, else one of its type, else the first."""
    if not numbers or element not in VISITS:
        return numbers[0] if numbers else {}
    known = [each for each in numbers if site.knows(site.subject_of(_value(each)))]
    typed = [each for each in numbers if _VISIT_NUMBER in _types(each)]
    return [*known, *typed, *numbers][0]


def _record_numbers(patient: Json, site: ReaderSite) -> list[Json]:
    """The patient's identifiers of the first of the site's types that occurs, else those without a type."""
    numbers = [each for each in _current(patient) if len(_value(each)) <= MAX_LENGTH]
    for kind in site.words.mrn_types:
        if found := [each for each in numbers if kind.upper() in _types(each)]:
            return found
    return [each for each in numbers if not _types(each)]


def _types(number: Json) -> set[str]:
    return {text_of(each, "code").upper() for each in _codings(number.get("type"))}


def _value(number: Json) -> str:
    return text_of(number, "value")


def _number(number: Json) -> Number:
    system = text_of(number, "system")
    return Number(_value(number), f"&{system}" if system else "")
