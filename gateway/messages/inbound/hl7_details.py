"""What an HL7 message states of a visit and its orders for charges.

What stands before the first ORC is of the visit, what follows an ORC is of its order. Everything that is stated is
taken, in its order; a part that is too long costs itself alone.
"""

from collections.abc import Iterable, Iterator

from gateway.messages.details import (
    LONGEST_CODE,
    LONGEST_GIVEN,
    LONGEST_NUMBER,
    LONGEST_SYSTEM,
    LONGEST_TEXT,
    NO_DETAILS,
    About,
    Detail,
    Details,
    Diagnosis,
    Person,
    Stated,
)
from gateway.messages.hl7v2 import Repetition, Segment
from gateway.messages.inbound.answers import FieldRead
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.inbound.hl7_identity import authority_of, part

_DELETED = "D"  # DG1-21


def stated_details(hl7: Hl7, subject: str) -> tuple[Stated, ...]:
    """What is stated of the subject's visit and of each order in the message."""
    stay = hl7.message.first("PV1")
    visit = Details(
        patient_class=_patient_class(hl7, stay),
        attending=_persons(hl7, stay, 7, "attending", Detail.ATTENDING),
        diagnoses=_diagnoses(hl7, _of_visit(hl7), Detail.VISIT_DIAGNOSIS),
    )
    found = [Stated(subject, About.VISIT, "", visit)]
    for group in hl7.message.groups("ORC"):
        order = group.first("ORC")
        details = Details(
            orderers=_persons(hl7, order, 12, "who ordered", Detail.ORDERER),
            diagnoses=_diagnoses(hl7, group.segments, Detail.DIAGNOSIS),
        )
        found.append(Stated(subject, About.ORDER, order.get(2) or order.get(3), details))
    return tuple(each for each in found if each.details != NO_DETAILS)


def _patient_class(hl7: Hl7, stay: Segment) -> str:
    text = stay.get(2)
    if len(text) > LONGEST_CODE:
        return ""
    return hl7.note(FieldRead("PV1-2", "patient class", text, detail=Detail.PATIENT_CLASS))


def _of_visit(hl7: Hl7) -> Iterator[Segment]:
    for segment in hl7.message.segments:
        if segment.name == "ORC":
            return
        yield segment


def _diagnoses(hl7: Hl7, segments: Iterable[Segment], detail: Detail) -> tuple[Diagnosis, ...]:
    """The diagnoses in DG1. Before 2.4 the system stands in DG1-2 and the text in DG1-4."""
    found: list[Diagnosis] = []
    for each in segments:
        code = each.get(3)
        if each.name == "DG1" and 0 < len(code) <= LONGEST_CODE and each.get(21).upper() != _DELETED:
            system, text = each.get(3, 3) or each.get(2), each.get(3, 2) or each.get(4)
            hl7.note(FieldRead("DG1-3", "diagnosis", code, label=text, detail=detail))
            found.append(Diagnosis(code, text[:LONGEST_TEXT], system if len(system) <= LONGEST_CODE else ""))
    return tuple(found)


def _persons(hl7: Hl7, segment: Segment, field: int, what: str, detail: Detail) -> tuple[Person, ...]:
    """The persons in an XCN."""
    found = [_person(each) for each in segment.repetitions(field)]
    for person in found:
        hl7.note(FieldRead(f"{segment.name}-{field}", what, person.number or person.family, detail=detail))
    return tuple(person for person in found if person.number or person.family)


def _person(repetition: Repetition) -> Person:
    if len(part(repetition, 1)) > LONGEST_NUMBER:
        return Person()
    parts = {2: LONGEST_NUMBER, 3: LONGEST_GIVEN, 13: LONGEST_CODE}
    family, given, kind = (
        text if len(text := part(repetition, component)) <= longest else "" for component, longest in parts.items()
    )
    authority = authority_of(repetition, 9)
    return Person(part(repetition, 1), family, given, authority if len(authority) <= LONGEST_SYSTEM else "", kind)
