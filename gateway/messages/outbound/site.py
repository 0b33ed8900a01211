"""What a site settles about its charges: the formats, the names of both ends, and what its billing wants. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

import msgspec

from gateway.messages.identity import Identity
from gateway.messages.notation import Mode, Notation
from gateway.messages.vocabulary import DEFAULT_KEPT, PatientField
from gateway.session.facts import CapRef

CPT_CODE = "97009"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FhirRelease(StrEnum):
    """The release of FHIR that is written."""

    R4 = "R4"
    R5 = "R5"


class CreditForm(StrEnum):
    """How HL7 marks a credit, as against a charge."""

    CD = "CD"  # FT1-6, with a positive quantity
    CG_NEGATIVE = "CG-negative"  # FT1-6 is CG, with a negative quantity


class ServiceTime(StrEnum):
    """What FT1-4 says."""

    RANGE = "range"  # start and end
    START = "start"  # for receivers of HL7 2.3


class ChargeSite(msgspec.Struct, frozen=True, kw_only=True):
    """The site's choices; "" is left out of messages."""

    formats: tuple[Notation, ...] = (Notation.JSON,)
    fhir_release: FhirRelease = FhirRelease.R4
    visit_system: str = "urn:capgate:visit"  # FHIR's names of who gave out the numbers
    mrn_system: str = "urn:capgate:mrn"
    account_system: str = "urn:capgate:account"
    sending_application: str = "CAPGATE"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    department: str = ""
    location: str = ""  # point of care; the bed is the chair
    charge_code: str = ""  # the site's own; "": the CPT code stands in its place too
    description: str = ""  # in the site's words: the code's own descriptor is not ours to print
    assigning_authority: str = ""  # that assigned the patient's numbers
    credit_as: CreditForm = CreditForm.CD
    ft1_4: ServiceTime = ServiceTime.RANGE
    offset: bool = True  # whether HL7 times say how far they are from UTC
    zone: tzinfo = UTC  # of HL7 times
    performer: str = ""  # number of who is said to have performed
    orderer: str = ""
    modifiers: tuple[str, ...] = ()  # of the code, in FT1-26
    filler_order_number: bool = True  # whether FT1-23 is sent
    cost_center: str = ""  # FHIR alone, as the two that follow
    performing_organization: str = ""
    organization_system: str = "urn:capgate:organization"
    kept: frozenset[str] = DEFAULT_KEPT  # PatientField: what may be sent of a patient beside the visit
    chairs: Mapping[CapRef, str] = {}  # where each cap hangs
    mode: Mode = Mode.TEST

    def hl7_time(self, at_us: int) -> str:
        """An instant as HL7 writes it, to the second."""
        moment = (_EPOCH + timedelta(microseconds=at_us)).astimezone(self.zone)
        return moment.strftime("%Y%m%d%H%M%S%z" if self.offset else "%Y%m%d%H%M%S")

    def place(self, cap: CapRef) -> tuple[str, str, str]:
        """Where the cap hangs, as HL7 writes places: point of care, room, bed."""
        return self.location, "", self.chairs.get(cap, "")

    def shown(self, identity: Identity) -> Identity:
        """The identity without what the site does not send: it may be known from when it still did."""
        hidden: dict[str, None] = {field.value: None for field in PatientField if field not in self.kept}
        return msgspec.structs.replace(identity, **hidden)


class OutboundPlan(msgspec.Struct, frozen=True):
    """How charges are sent, and temperatures where a site charts them."""

    site: ChargeSite = ChargeSite()
    observations: tuple[Notation, ...] = ()
    period_s: int = 60  # between two observations of one cap
