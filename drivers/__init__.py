"""Bytes on a line become readings; knows nothing of the gateway."""
