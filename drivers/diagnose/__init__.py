"""Fault finding on a line: scan for units, capture traffic, dissect a capture, diagnose a probe."""
