"""What a charge may say beside what it claims: staff, diagnoses, the class of the patient, as they were stated. Pure.

Nothing here is chosen or translated: what the EHR stated of a visit or an order is repeated, and what it did not state
is left out.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

LONGEST_CODE = 20  # characters that are kept of each part; together they fit HL7 2.5.1
LONGEST_NUMBER = 40  # also of a family name
LONGEST_GIVEN = 30
LONGEST_SYSTEM = 64  # also of an assigning authority
LONGEST_TEXT = 120


class Detail(StrEnum):
    """What a site may have its charges say, where it is known."""

    PATIENT_CLASS = "patient_class"
    ATTENDING = "attending"
    ORDERER = "orderer"  # of the order whose end the count begins at
    PERFORMER = "performer"  # who signed the session
    DIAGNOSIS = "diagnosis"  # of the same order
    VISIT_DIAGNOSIS = "visit_diagnosis"  # where the order states none
    DEVICE = "device"
    PROCEDURE = "procedure"


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member of staff. `authority` assigned the number, in the form that `Number` has."""

    number: str = ""
    family: str = ""
    given: str = ""
    authority: str = ""
    kind: str = ""  # of number, HL7 table 0203


class Diagnosis(msgspec.Struct, frozen=True, omit_defaults=True):
    """A coded diagnosis; the system is a name of HL7 table 0396 or a URI, as it was stated."""

    code: str
    text: str = ""
    system: str = ""


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is stated; empty is unknown."""

    patient_class: str = ""
    attending: tuple[Person, ...] = ()
    orderers: tuple[Person, ...] = ()
    performers: tuple[Person, ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()

    def over(self, older: "Details") -> "Details":
        """These, with what they leave unknown as `older` has it."""
        pairs = zip(msgspec.structs.asdict(self).items(), msgspec.structs.astuple(older), strict=True)
        return Details(**{name: new or old for (name, new), old in pairs})


NO_DETAILS = Details()

LONGEST_SIGNER = 15  # of a person's number in HL7 2.5.1


def of_charge(wanted: frozenset[Detail], signer: str, visit: Details, order: Details) -> Details:
    """Those of a charge: what the site wants of what is stated of the visit and of the order, and who signed."""
    diagnoses = order.diagnoses if Detail.DIAGNOSIS in wanted else ()
    if Detail.VISIT_DIAGNOSIS in wanted:
        diagnoses = diagnoses or visit.diagnoses
    has_performer = Detail.PERFORMER in wanted and 0 < len(signer) <= LONGEST_SIGNER
    return Details(
        patient_class=visit.patient_class if Detail.PATIENT_CLASS in wanted else "",
        attending=visit.attending if Detail.ATTENDING in wanted else (),
        orderers=order.orderers if Detail.ORDERER in wanted else (),
        performers=(Person(signer),) if has_performer else (),
        diagnoses=diagnoses,
    )


class About(StrEnum):
    """What details are stated of."""

    VISIT = "visit"
    ORDER = "order"
    CHARGE = "charge"  # what a charge said


class Stated(msgspec.Struct, frozen=True):
    """Details of a visit, an order or a charge; `name` is the order's or the charge's, "" the visit's."""

    subject: str
    about: About
    name: str
    details: Details


def as_wanted(stated: Iterable[Stated], wanted: frozenset[Detail]) -> tuple[Stated, ...]:
    """What the site wants of what is stated of visits and orders."""
    kept = (msgspec.structs.replace(each, details=_wanted(each, wanted)) for each in stated)
    return tuple(each for each in kept if each.details != NO_DETAILS)


def _wanted(stated: Stated, wanted: frozenset[Detail]) -> Details:
    details = stated.details
    diagnosis = Detail.VISIT_DIAGNOSIS if stated.about is About.VISIT else Detail.DIAGNOSIS
    return Details(
        patient_class=details.patient_class if Detail.PATIENT_CLASS in wanted else "",
        attending=details.attending if Detail.ATTENDING in wanted else (),
        orderers=details.orderers if Detail.ORDERER in wanted else (),
        diagnoses=details.diagnoses if diagnosis in wanted else (),
    )
