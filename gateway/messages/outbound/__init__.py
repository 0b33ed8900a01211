"""Encoding of outcomes as CloudEvents JSON, HL7 v2 and FHIR."""
