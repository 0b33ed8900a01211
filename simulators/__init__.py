"""Simulators for the demo and the tests: units, lines and an MQTT broker. Never part of a live gateway."""
