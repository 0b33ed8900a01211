"""Turns inputs (readings, messages, control acts) into facts, and their facts into one ledger transaction."""
