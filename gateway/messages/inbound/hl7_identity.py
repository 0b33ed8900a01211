"""Identifies an HL7 message's patient: by the visit, by the numbers of a session under way, or by the cap at the chair.

The site configures which field names the visit (`[ehr] visit_from`) and which of a patient's numbers is the record
number (`mrn_types`).
"""

import re

import msgspec

from gateway.messages.hl7v2 import Repetition, Segment
from gateway.messages.identity import Identity, Number
from gateway.messages.inbound.answers import Accepted, FieldRead
from gateway.messages.inbound.hl7 import MAX_LENGTH, Hl7
from gateway.messages.inbound.json_message import Stop
from gateway.messages.inbound.numbers import UNCLEAR, Stated, chair_disagrees, identity, meant, unclear
from gateway.session.facts import AnyFact, CapRef

_ACCOUNT = "PID-18"


class PatientContext(msgspec.Struct, frozen=True):
    """A message's patient, and the cap at the chair that it names."""

    subject: str
    identities: tuple[Identity, ...] = ()
    chair: CapRef | None = None


def identity_of(hl7: Hl7) -> Identity | None:
    """The patient's identifiers: by the visit that is named, else by the other numbers; None if neither finds one.

    Raises Stop, with a work item for each candidate, if several patients may be meant.
    """
    stated = stated_numbers(hl7)
    visit, is_account = _visit(hl7)
    found = meant(hl7.site, stated, visit, is_account=is_account)
    if found.doubtful:
        raise Stop(unclear(hl7.site, found.doubtful, hl7.known_at_us, hl7.message_id))
    return None if found.visit is None else _identity(hl7, found.visit, stated, found.known)


def stated_identity(hl7: Hl7, known: Identity) -> Identity:
    """The identity in the message, about a patient who is known."""
    return _identity(hl7, Number(known.visit, known.visit_authority or ""), stated_numbers(hl7), known)


def _identity(hl7: Hl7, visit: Number, stated: Stated, known: Identity | None) -> Identity:
    person = hl7.message.first("PID")
    return msgspec.structs.replace(
        identity(hl7.site, stated, visit, known),
        name=_name(hl7, person),
        birth_date=_birth_date(hl7, person),
        sex=(hl7.text(person, 8, "sex")[:MAX_LENGTH] or None) if "sex" in hl7.site.words.kept else None,
    )


def _visit(hl7: Hl7) -> tuple[Number | None, bool]:
    """The visit in the first of the site's fields that is not empty, and whether that is an account's field."""
    for place in hl7.site.words.visit_from:
        name, field = place.split("-")
        segment = hl7.message.first(name)
        text = hl7.identifier(segment, int(field), "visit")
        if text:
            return Number(text, authority_of(segment.repetitions(int(field))[0])), place == _ACCOUNT
    return None, False


def names_visit(hl7: Hl7) -> bool:
    """Whether one of the site's fields names the visit."""
    return _visit(hl7)[0] is not None


def stated_numbers(hl7: Hl7) -> Stated:
    """Account and record numbers of the patient in the message."""
    person = hl7.message.first("PID")
    account = hl7.identifier(person, 18, "account")
    accounts = (Number(account, authority_of(person.repetitions(18)[0])),) if account else ()
    return Stated(accounts, record_numbers(hl7, person))


def record_numbers(hl7: Hl7, person: Segment) -> tuple[Number, ...]:
    """The record numbers in PID-3: of the first of the site's types that occurs, else those without a type.

    Numbers of other types, such as a social security number, are ignored.
    """
    where, numbers = f"{person.name}-3", person.repetitions(3)
    found = typed_numbers(numbers, hl7.site.words.mrn_types)
    if found:
        hl7.note(FieldRead(where, "record number", found[0].value))
    return found


def typed_numbers(repetitions: tuple[Repetition, ...], types: tuple[str, ...]) -> tuple[Number, ...]:
    """The numbers of the first of these types that occurs, else those without a type."""
    of_type: dict[str, list[Number]] = {}
    for each in repetitions:
        value = part(each, 1)
        if value and len(value) <= MAX_LENGTH:
            of_type.setdefault(part(each, 5).upper(), []).append(Number(value, authority_of(each)))
    present = next((kind.upper() for kind in (*types, "") if kind.upper() in of_type), "")
    return tuple(of_type.get(present, ()))


def authority_of(number: Repetition, component: int = 4) -> str:
    """The assigning authority, which is component 4 of a CX: `namespace&universal id`."""
    parts = number[component - 1] if len(number) >= component else ()
    namespace, universal = ("" if part.strip() == '""' else part.strip() for part in (*parts, "", "")[:2])
    return f"{namespace}&{universal}" if universal else namespace


def part(repetition: Repetition, component: int) -> str:
    """The text of a component, trimmed; "" if there is none."""
    text = repetition[component - 1][0].strip() if component <= len(repetition) else ""
    return "" if text == '""' else text


def _name(hl7: Hl7, person: Segment) -> str | None:
    if "name" not in hl7.site.words.kept:
        return None
    family, given = person.get(5, 1), person.get(5, 2)
    return hl7.note(FieldRead("PID-5", "name", f"{family}^{given}"[:MAX_LENGTH].rstrip("^"))) or None


def _birth_date(hl7: Hl7, person: Segment) -> str | None:
    if "birth_date" not in hl7.site.words.kept:
        return None
    text = hl7.text(person, 7, "birth date")[:8]
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"[0-9]{8}", text) else None


def patient_context(hl7: Hl7, *locations: tuple[Segment, int]) -> PatientContext:
    """The message's patient and chair. Raises Stop for another gateway's chair, and if no patient is identified."""
    identity = identity_of(hl7)
    named = any(segment.get(field, part) for segment, field in locations for part in (1, 2, 3))
    caps = (hl7.chair(segment, field) for segment, field in locations)
    cap = next((cap for cap in caps if cap is not None), None)
    if identity is not None:
        if named and cap is None and not hl7.site.knows(identity.subject):
            raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway, and the visit has no cap here")
        return PatientContext(identity.subject, (identity,), cap)
    if cap is None:
        if named:
            raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway")
        raise hl7.rejected("no-visit", f"{_names(hl7)}: missing; accepted: the visit, or a chair of ours in PV1-3")
    subject = hl7.site.bound.get(cap)
    if subject is None:
        raise hl7.ignored("no-visit", f"{_names(hl7)}: missing, and the cap at the chair serves nobody")
    known = hl7.site.identity_of(subject)
    if known is not None and stated_numbers(hl7).contradicts(known):
        work = chair_disagrees(cap, subject, hl7.known_at_us, hl7.message_id)
        raise Stop(Accepted(hl7.message_id, (work,), note=UNCLEAR))
    return PatientContext(subject, (), cap)


def _names(hl7: Hl7) -> str:
    return " or ".join(hl7.site.words.visit_from)


def disagreement(hl7: Hl7, about: PatientContext) -> tuple[AnyFact, ...]:
    """A work item if the message's chair serves another patient than its visit's."""
    served = hl7.site.bound.get(about.chair) if about.chair is not None else None
    if served is None or served == about.subject or hl7.site.is_done(served):
        return ()
    return (chair_disagrees(about.chair, about.subject, hl7.known_at_us, hl7.message_id),)
