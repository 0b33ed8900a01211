"""Device drivers: from bytes on a line to readings. Imports nothing of the gateway."""
