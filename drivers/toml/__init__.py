"""TOML that people write: every error at once, each with its line."""
