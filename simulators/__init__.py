"""Simulated units, lines and an embedded broker for demo and tests; never part of a live gateway."""
