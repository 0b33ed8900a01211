"""A server takes up a renewed certificate while it runs, and one that does not fit its key never."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_certificate

from gateway.runtime import certificates
from tests.support.certificates import certificate, new_key, pem

FIRST, SECOND = datetime(2030, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


async def served_until(port: int) -> datetime:
    """Until when the certificate is valid that the server shows to a new connection."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anybody)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return load_der_x509_certificate(shown).not_valid_after_utc


async def test_a_renewed_pair_is_taken_up_once_it_fits_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "LOOK_S", 0.01)
    file, key_file = tmp_path / "page.crt", tmp_path / "page.key"
    old, new = new_key(), new_key()
    file.write_bytes(certificate(FIRST, old))
    key_file.write_bytes(pem(old))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    renewing = asyncio.create_task(certificates.take_up_renewed(context, file, key_file))
    assert await served_until(port) == FIRST
    file.write_bytes(certificate(SECOND, new))
    await asyncio.sleep(0.1)
    assert await served_until(port) == FIRST, "its key is another"
    key_file.write_bytes(pem(new))
    async with asyncio.timeout(30):
        while await served_until(port) != SECOND:
            await asyncio.sleep(0.01)
    renewing.cancel()
    server.close()
