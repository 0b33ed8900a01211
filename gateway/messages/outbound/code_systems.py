"""Code systems of diagnoses, by their names in HL7 table 0396 and in FHIR. Pure."""

_URIS = {
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "SCT": "http://snomed.info/sct",
}
_NAMES = {uri: name for name, uri in _URIS.items()}


def hl7_system(stated: str) -> str:
    """The name in HL7, another name as it was stated; "" for a URI without one."""
    return _NAMES.get(stated, "" if ":" in stated else stated)


def fhir_system(stated: str) -> str:
    """The URI in FHIR, another URI as it was stated; "" for a name without one."""
    return _URIS.get(stated, stated if ":" in stated else "")
