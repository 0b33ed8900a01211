"""A site's settings for outbound messages: notations, sender and receiver, and billing options. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

import msgspec

from gateway.messages.details import Detail
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
    """How HL7 distinguishes a credit from a charge."""

    CD = "CD"  # FT1-6, with a positive quantity
    CG_NEGATIVE = "CG-negative"  # FT1-6 is CG, with a negative quantity


class ServiceTime(StrEnum):
    """The content of FT1-4, the transaction's time."""

    RANGE = "range"  # start and end
    START = "start"  # for receivers of HL7 2.3


class ChargeSite(msgspec.Struct, frozen=True, kw_only=True):
    """The site's settings; "" is left out of messages."""

    formats: tuple[Notation, ...] = (Notation.JSON,)
    fhir_release: FhirRelease = FhirRelease.R4
    visit_system: str = ""  # FHIR's systems, which name the assigning authorities; "": as the senders say
    mrn_system: str = ""
    account_system: str = ""
    sending_application: str = "CAPGATE"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    department: str = ""
    location: str = ""  # point of care; the bed is the chair
    charge_code: str = ""  # the site's own code; "": the CPT code is used in its place too
    description: str = ""  # the site's text, as the code's own descriptor is copyrighted
    assigning_authority: str = ""  # of the patient's numbers
    credit_as: CreditForm = CreditForm.CD
    ft1_4: ServiceTime = ServiceTime.RANGE
    offset: bool = True  # whether HL7 times have their offset from UTC
    zone: tzinfo = UTC  # of HL7 times
    performer: str = ""  # number of the performing person, where nobody is known
    orderer: str = ""
    details: frozenset[Detail] = frozenset()
    modifiers: tuple[str, ...] = ()  # of the code, in FT1-26
    filler_order_number: bool = True  # whether FT1-23 is sent
    cost_center: str = ""  # FHIR alone, as the two that follow
    performing_organization: str = ""
    organization_system: str = ""
    staff_system: str = ""
    kept: frozenset[str] = DEFAULT_KEPT  # PatientField: what may be sent of a patient beside the visit
    chairs: Mapping[CapRef, str] = {}  # where each cap hangs
    mode: Mode = Mode.TEST

    def hl7_time(self, at_us: int) -> str:
        """An instant in HL7's format, to the second, in the site's zone."""
        moment = (_EPOCH + timedelta(microseconds=at_us)).astimezone(self.zone)
        return moment.strftime("%Y%m%d%H%M%S%z" if self.offset else "%Y%m%d%H%M%S")

    def place(self, cap: CapRef) -> tuple[str, str, str]:
        """The cap's place as HL7's PL: point of care, room, bed."""
        return self.location, "", self.chairs.get(cap, "")

    def shown(self, identity: Identity) -> Identity:
        """The identity without fields that the site does not send; they may be known from an earlier setting."""
        hidden: dict[str, None] = {field.value: None for field in PatientField if field not in self.kept}
        return msgspec.structs.replace(identity, **hidden)


class OutboundPlan(msgspec.Struct, frozen=True):
    """The settings of outbound charges, and of temperatures for charting."""

    site: ChargeSite = ChargeSite()
    observations: tuple[Notation, ...] = ()
    period_s: int = 60  # between two observations of one cap
