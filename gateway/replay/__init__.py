"""Replays a file of facts: computes the increments that a gateway would have published."""
