"""Inputs become facts, and facts one ledger transaction."""
