"""Encoding and decoding of MQTT messages: bytes to facts, outcomes to bytes; pure."""
