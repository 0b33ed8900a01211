"""Replay of a profile's golden polls."""
