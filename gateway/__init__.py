"""The gateway: sessions and the outside (MQTT, the ledger, the command line)."""
