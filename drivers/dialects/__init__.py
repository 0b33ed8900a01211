"""Dialects (wire languages), one file each, for both roles: master and unit. Pure."""
