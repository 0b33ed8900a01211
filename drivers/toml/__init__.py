"""Reads and validates TOML files: every error at once, each with its line."""
