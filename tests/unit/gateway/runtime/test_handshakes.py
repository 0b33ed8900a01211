"""TLS handshakes that are slow, many or none: they cost others nothing, and nothing is kept of them."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.runtime.http import HttpLimits, HttpServer, Message, Receive, Send

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
NEVER_S = 600.0


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "page.crt", folder / "page.key"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command = ["openssl", "req", "-x509", *new, "-keyout", key, "-out", cert]
    subprocess.run(command, check=True, capture_output=True)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(cert, key)
    return made


async def hello(scope: Message, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def serving(context: ssl.SSLContext, timeout_s: float = NEVER_S) -> AsyncGenerator[HttpServer]:
    """At most eight connections, three of one address."""
    limits = HttpLimits(connections=8, per_address=3, head_bytes=2048, timeout_s=lambda: timeout_s)
    async with HttpServer(hello, ("127.0.0.1", 0), limits, context) as server:
        yield server


class Silent:
    """Connections that begin no handshake, from one address of this machine."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, address: str = "127.0.0.2") -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection(*self._server.address, local_addr=(address, 0))
        self._writers.append(writer)
        return reader

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def is_ended(reader: asyncio.StreamReader) -> bool:
    """Whether the server hangs up; it has to answer to nothing else meanwhile."""
    with suppress(ConnectionError):
        async with asyncio.timeout(60):
            return await reader.read(1) == b""
    return True


async def asked(server: HttpServer, address: str = "127.0.0.1") -> bytes:
    """What a client gets that does as it should."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(*server.address, ssl=trust, local_addr=(address, 0))
    writer.write(GET)
    answer = await reader.read()
    writer.transport.abort()
    return answer


async def test_who_ends_the_handshake_is_answered(
    context: ssl.SSLContext,
) -> None:
    async with serving(context) as server:
        for _ in range(5):
            assert (await asked(server)).endswith(b"hello")


async def test_one_address_has_so_many_handshakes_and_the_others_theirs(context: ssl.SSLContext) -> None:
    async with serving(context) as server:
        silent = Silent(server)
        kept = [await silent.connect() for _ in range(3)]
        assert await is_ended(await silent.connect())
        with pytest.raises(ConnectionError):
            await asked(server, "127.0.0.2")
        assert (await asked(server)).endswith(b"hello")
        assert not any(each.at_eof() for each in kept)
        silent.close()


async def test_where_all_places_are_taken_the_oldest_goes(context: ssl.SSLContext) -> None:
    async with serving(context) as server:
        silent = Silent(server)
        first, *others = [await silent.connect(f"127.0.0.{2 + number // 3}") for number in range(8)]
        assert (await asked(server)).endswith(b"hello")
        assert await is_ended(first)
        assert not any(each.at_eof() for each in others)
        silent.close()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", GET], ids=["nothing", "a beginning", "no TLS"])
async def test_a_handshake_that_does_not_end_is_not_waited_for(context: ssl.SSLContext, sent: bytes) -> None:
    async with serving(context, timeout_s=0.2) as server:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(sent)
        with suppress(ConnectionError):
            async with asyncio.timeout(60):
                assert b"hello" not in await reader.read()
        writer.transport.abort()
        assert (await asked(server)).endswith(b"hello")


async def test_what_is_under_way_ends_with_the_server(context: ssl.SSLContext) -> None:
    async with serving(context) as server:
        silent = Silent(server)
        readers = [await silent.connect() for _ in range(3)]
        assert (await asked(server)).endswith(b"hello")
    for each in readers:
        assert await is_ended(each)
    silent.close()
