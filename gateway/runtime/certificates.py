"""When certificates expire, and renewed ones taken up by a server that runs."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates

_log = logging.getLogger("capgate")

SOON_S = 30 * 86_400.0  # before it expires a certificate is to be renewed
LOOK_S = 60.0


def expires_at_s(file: Path) -> float:
    """When the first certificate in a PEM file to expire does so, Unix time. Raises OSError, ValueError."""
    found = load_pem_x509_certificates(file.read_bytes())
    return min(each.not_valid_after_utc.timestamp() for each in found)


def expiries(files: Mapping[str, Path]) -> dict[str, float]:
    """When each of these expires, by its name; what cannot be read is left out."""
    found: dict[str, float] = {}
    for name, file in files.items():
        with suppress(OSError, ValueError):
            found[name] = expires_at_s(file)
    return found


def expiry_text(at_s: float, now_s: float) -> str:
    """`expires on 2026-12-12`, or `expired on ...`."""
    day = datetime.fromtimestamp(at_s, UTC).date()
    return f"{'expires' if at_s > now_s else 'expired'} on {day}"


async def take_up_renewed(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Give a server's context the pair in these files whenever they change, until cancelled."""
    known = await asyncio.to_thread(_state_of, certificate, key)
    while True:  # ends with the task
        await asyncio.sleep(LOOK_S)
        now = await asyncio.to_thread(_state_of, certificate, key)
        if now is not None and now != known and await asyncio.to_thread(_loaded, context, certificate, key):
            known = now


def _state_of(certificate: Path, key: Path) -> tuple[bytes, bytes] | None:
    try:
        return certificate.read_bytes(), key.read_bytes()
    except OSError:
        return None  # between the old pair and the new one


def _loaded(context: ssl.SSLContext, certificate: Path, key: Path) -> bool:
    """Whether the pair is loaded. One that does not fit together would spoil the context, so another tries it first."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:  # SSLError is one
        _log.error("a renewed certificate is not taken up", extra={"file": str(certificate), "reason": str(error)})
        return False
    _log.info("a renewed certificate is taken up", extra={"file": str(certificate)})
    return True
