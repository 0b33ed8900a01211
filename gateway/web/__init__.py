"""What the gateway shows over HTTP."""
