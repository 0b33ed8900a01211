"""Notations and media types of messages, and the mode of a gateway. Pure."""

from enum import StrEnum

HL7_TYPE = "application/hl7-v2; charset=utf-8"
FHIR_TYPE = "application/fhir+json"


class Notation(StrEnum):
    """The notation of a message to or from the EHR; each has topics of its own."""

    JSON = "json"
    HL7 = "hl7"
    FHIR = "fhir"


class Mode(StrEnum):
    """The mode of a gateway; only a live one can release a charge."""

    LIVE = "live"
    TEST = "test"
