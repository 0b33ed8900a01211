"""Scenario files: units, patients, faults and their times."""
