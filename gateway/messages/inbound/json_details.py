"""What a JSON event about an infusion states of the visit and the order for charges."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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

DETAIL_OF = {
    "patient_class": Detail.PATIENT_CLASS,
    "attending": Detail.ATTENDING,
    "visit_diagnoses": Detail.VISIT_DIAGNOSIS,
    "orderers": Detail.ORDERER,
    "diagnoses": Detail.DIAGNOSIS,
}
"""What each field of `details` is."""

_Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NUMBER)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", str_strip_whitespace=True)


class StaffModel(_Model):
    """A member of staff."""

    number: _Name
    family: _Name | None = None
    given: Annotated[str, Field(min_length=1, max_length=LONGEST_GIVEN)] | None = None

    @property
    def person(self) -> Person:
        """As details have it."""
        return Person(self.number, self.family or "", self.given or "")


class DiagnosisModel(_Model):
    """A coded diagnosis; the system is a name of HL7 table 0396 or a URI."""

    code: Annotated[str, Field(min_length=1, max_length=LONGEST_CODE)]
    text: Annotated[str, Field(max_length=LONGEST_TEXT)] | None = None
    system: Annotated[str, Field(max_length=LONGEST_SYSTEM)] | None = None

    @property
    def diagnosis(self) -> Diagnosis:
        """As details have it."""
        return Diagnosis(self.code, self.text or "", self.system or "")


class DetailsModel(_Model):
    """Details of the visit and of the order that the event is about."""

    patient_class: Annotated[str, Field(min_length=1, max_length=LONGEST_CODE)] | None = None
    attending: list[StaffModel] = []
    visit_diagnoses: list[DiagnosisModel] = []
    orderers: list[StaffModel] = []
    diagnoses: list[DiagnosisModel] = []


def stated_details(data: DetailsModel, subject: str, order: str) -> tuple[Stated, ...]:
    """What is stated of the visit and of the order."""
    visit = Details(
        patient_class=data.patient_class or "",
        attending=tuple(each.person for each in data.attending),
        diagnoses=tuple(each.diagnosis for each in data.visit_diagnoses),
    )
    of_order = Details(
        orderers=tuple(each.person for each in data.orderers),
        diagnoses=tuple(each.diagnosis for each in data.diagnoses),
    )
    found = (Stated(subject, About.VISIT, "", visit), Stated(subject, About.ORDER, order, of_order))
    return tuple(each for each in found if each.details != NO_DETAILS)
