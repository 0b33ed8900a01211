"""Alarms, metrics and health of a running gateway."""
