"""A line over TCP: a unit with a network port, or a device server with a serial port behind it."""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar, cast

from drivers.errors import LineDown
from drivers.transport.base import CONNECT_TIMEOUT_S, ByteLink

_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),  # seconds of silence before the first probe
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # a request is one small segment: never wait to fill it
)


class TcpLink(ByteLink, asyncio.Protocol):
    """One connection; bytes pass unchanged."""

    silence_may_be_a_hang = True  # device servers such as ser2net may accept a connection and never answer

    def __init__(self, peer: str) -> None:
        super().__init__()
        self._peer = peer
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Configure the socket; called by the loop."""
        self._transport = cast(asyncio.Transport, transport)  # create_connection makes no other kind
        connection = cast(socket.socket, transport.get_extra_info("socket"))
        for level, option, value in _KEEPALIVE:
            connection.setsockopt(level, option, value)

    def data_received(self, data: bytes) -> None:
        """Take received bytes; called by the loop."""
        self.inbox.received(data)

    def eof_received(self) -> None:
        """Mark the link as closed; called by the loop, which then ends the connection."""
        self.inbox.lost(f"{self._peer}: connection closed by the far end", closed=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark the link as broken; called by the loop when peer, network or `close` ended the connection."""
        closed = isinstance(exc, ConnectionResetError | BrokenPipeError)
        self.inbox.lost(f"{self._peer}: {exc or 'connection closed'}", closed=closed)

    def write(self, data: bytes) -> None:
        """Send at once. Raises LineDown if broken or stuck."""
        self.inbox.check()
        if self._transport is None or self._transport.is_closing():
            raise LineDown(f"{self._peer}: connection is closed")
        if self._transport.get_write_buffer_size():
            raise LineDown(f"{self._peer}: the request before could not be sent")
        self._transport.write(data)

    def close(self) -> None:
        """Abort the connection."""
        if self._transport is not None:
            self._transport.abort()


L = TypeVar("L", bound=TcpLink)


async def connect(host: str, port: int, link: Callable[[str], L]) -> L:
    """A connected link of the given kind. Raises LineDown."""
    peer = f"{host}:{port}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connected = await asyncio.get_running_loop().create_connection(lambda: link(peer), host, port)
    except TimeoutError as error:
        raise LineDown(f"{peer}: no connection within {CONNECT_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise LineDown(f"{peer}: {error.strerror or error}") from error
    return connected
