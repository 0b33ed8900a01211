"""Readings become messages that may be dropped, and a bounded history."""
