"""Scenario files: which units there are, and what happens to them when."""
