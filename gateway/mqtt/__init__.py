"""The MQTT client: one connection to the broker, the relay of the outbox, telemetry, the inbound consumer."""
