"""Asks a running gateway or bridge for its /healthz."""

from http.client import HTTPConnection, HTTPException

PATIENCE_S = 5.0


def healthz(address: tuple[str, int]) -> bytes:
    """The JSON that is served at that address. Raises OSError if nothing answers as it should."""
    host, port = address
    asked = HTTPConnection(host, port, timeout=PATIENCE_S)
    try:
        asked.request("GET", "/healthz")
        return asked.getresponse().read()
    except HTTPException as error:
        raise OSError(f"the answer is no HTTP: {error!r}") from error
    finally:
        asked.close()
