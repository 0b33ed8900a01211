"""Readers of the interface engine's messages: bytes to facts, or to the reason why there are none."""
