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


def stated_details(data: DetailsModel, wanted: frozenset[Detail], subject: str, order: str) -> tuple[Stated, ...]:
    """As far as the site asks for it."""
    visit = Details(
        patient_class=data.patient_class or "" if Detail.PATIENT_CLASS in wanted else "",
        attending=tuple(each.person for each in data.attending if Detail.ATTENDING in wanted),
        diagnoses=tuple(each.diagnosis for each in data.visit_diagnoses if Detail.VISIT_DIAGNOSIS in wanted),
    )
    of_order = Details(
        orderers=tuple(each.person for each in data.orderers if Detail.ORDERER in wanted),
        diagnoses=tuple(each.diagnosis for each in data.diagnoses if Detail.DIAGNOSIS in wanted),
    )
    found = (Stated(subject, About.VISIT, "", visit), Stated(subject, About.ORDER, order, of_order))
    return tuple(each for each in found if each.details != NO_DETAILS)
