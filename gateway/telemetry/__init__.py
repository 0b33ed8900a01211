"""Readings to lossy messages (unit status, temperatures, charting) and to a bounded temperature log."""
