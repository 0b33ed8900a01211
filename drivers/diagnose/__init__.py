"""Fault finding on a line: scans for units, captures traffic, explains captures, diagnoses probes."""
