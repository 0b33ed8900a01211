"""Commissioning: sends a message that is marked as a test, and reports how far it came."""
