"""Descriptions: of all messages, and of how one would be read."""
