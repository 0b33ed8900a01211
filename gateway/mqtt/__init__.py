"""The broker: one connection, the relay of the outbox, telemetry, the consumer of inbound messages."""
