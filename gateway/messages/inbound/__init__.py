"""Bytes of the interface engine become facts, or a reason."""
