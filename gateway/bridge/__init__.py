"""Carries HL7 messages between the broker and an engine that speaks MLLP and no MQTT."""
