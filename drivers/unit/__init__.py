"""Polls one unit: reads its blocks, checks its identity and the plausibility of its values."""
