"""Outcomes become bytes: CloudEvents JSON, HL7 v2, FHIR."""
