"""Verification, re-derivation, export and reconciliation of a ledger; its only input is the ledger file."""
