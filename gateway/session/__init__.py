"""Everything that counts; pure."""
