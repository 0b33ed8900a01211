"""What a MedicationAdministration states of its order for charges: who requested it, and the reasons of the request.

The reason of the administration itself is none of them: in R4 it says why a dose was given or not. An Encounter's class
is not read either, for its codes are not those of PV1-2.
"""

from collections.abc import Iterator, Mapping
from typing import cast

from gateway.messages.details import (
    LONGEST_CODE,
    LONGEST_GIVEN,
    LONGEST_NUMBER,
    LONGEST_SYSTEM,
    LONGEST_TEXT,
    NO_DETAILS,
    About,
    Details,
    Diagnosis,
    Person,
    Stated,
)
from gateway.messages.inbound.fhir_bundle import Json, list_of, object_of, text_of


def stated_details(resource: Json, subject: str, order: str) -> tuple[Stated, ...]:
    """What the request in the message states."""
    contained = {f"#{text_of(each, 'id')}": each for each in list_of(resource.get("contained"))}
    request = object_of(contained.get(text_of(object_of(resource.get("request")), "reference")))
    details = Details(
        orderers=tuple(_persons(object_of(request.get("requester")), contained)),
        diagnoses=tuple(_diagnoses(request)),
    )
    return () if details == NO_DETAILS else (Stated(subject, About.ORDER, order, details),)


def _persons(reference: Json, contained: Mapping[str, Json]) -> Iterator[Person]:
    """The requester under each of the numbers that are stated."""
    held = object_of(contained.get(text_of(reference, "reference")))
    own = object_of(reference.get("identifier"))
    name = object_of(next(iter(list_of(held.get("name"))), None))
    family = text_of(name, "family")
    given = " ".join(_texts(name.get("given")))
    for number in [own] if text_of(own, "value") else list_of(held.get("identifier")):
        value, system = text_of(number, "value"), text_of(number, "system")
        if 0 < len(value) <= LONGEST_NUMBER:
            yield Person(
                value,
                family if len(family) <= LONGEST_NUMBER else "",
                given if len(given) <= LONGEST_GIVEN else "",
                f"&{system}" if 0 < len(system) <= LONGEST_SYSTEM else "",
            )


def _diagnoses(request: Json) -> Iterator[Diagnosis]:
    """Each reason by its first code; others of the same concept are translations of it."""
    concepts = [
        *list_of(request.get("reasonCode")),
        *(object_of(each.get("concept")) for each in list_of(request.get("reason"))),
    ]
    for concept in concepts:
        coding = object_of(next((each for each in list_of(concept.get("coding")) if text_of(each, "code")), None))
        code, system = text_of(coding, "code"), text_of(coding, "system")
        text = text_of(coding, "display") or text_of(concept, "text")
        if 0 < len(code) <= LONGEST_CODE:
            yield Diagnosis(code, text[:LONGEST_TEXT], system if len(system) <= LONGEST_SYSTEM else "")


def _texts(value: object) -> Iterator[str]:
    for each in cast(list[object], value) if isinstance(value, list) else []:
        if isinstance(each, str):
            yield each
