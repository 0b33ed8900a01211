"""A message marked as test, and how far it came."""
