"""The store: append-only entries, outbox and identities in SQLite; the only SQL of the running gateway."""
