"""The endpoints to which a client connects: a TCP listener or a pseudo-terminal, as context managers."""

import asyncio
import os
import tty
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol, cast

READ_SIZE = 4096
AUTO = "auto"

Write = Callable[[bytes], None]


class ByteHandler(Protocol):
    """Receives the bytes of one connection; it answers through the `Write` given to it at creation."""

    def receive(self, data: bytes) -> None:
        """Take received bytes."""
        ...

    def close(self) -> None:
        """The connection ended: no more bytes come, and none may be written."""
        ...


MakeByteHandler = Callable[[Write], ByteHandler]


class _Connection(asyncio.Protocol):
    def __init__(self, make_handler: MakeByteHandler, connections: set[asyncio.Transport]) -> None:
        self._make_handler = make_handler
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # It is a stream's transport, but uvloop's class does not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self._transport)
        self._handler = self._make_handler(self._transport.write)

    def data_received(self, data: bytes) -> None:
        self._handler.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._handler.close()
        self._connections.discard(self._transport)


@asynccontextmanager
async def tcp_listener(host: str, port: int, make_handler: MakeByteHandler) -> AsyncGenerator[int]:
    """Listen, with a handler for each connection; yields the port, a free one if `port` is 0. Raises OSError."""
    connections: set[asyncio.Transport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(make_handler, connections), host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for transport in tuple(connections):
            transport.abort()
        server.close()
        await server.wait_closed()


@contextmanager
def terminal(link: str, make_handler: MakeByteHandler) -> Generator[str]:
    """Open a pseudo-terminal in raw mode; yields the path for a client to open. Raises OSError.

    `link` is the path of a symbolic link to create, or "auto" for the terminal's own name. The client's end is kept
    open here too, since otherwise this end would read an error whenever the client closes it.
    """
    near, far = os.openpty()
    try:
        tty.setraw(near)
        tty.setraw(far)
        os.set_blocking(near, False)
        with _linked(link, os.ttyname(far)) as path, _handling(near, make_handler):
            yield path
    finally:
        os.close(near)
        os.close(far)


@contextmanager
def _handling(near: int, make_handler: MakeByteHandler) -> Generator[None]:
    handler = make_handler(lambda data: _write_or_lose(near, data))
    loop = asyncio.get_running_loop()
    loop.add_reader(near, lambda: handler.receive(os.read(near, READ_SIZE)))
    try:
        yield
    finally:
        loop.remove_reader(near)
        handler.close()


def _write_or_lose(near: int, data: bytes) -> None:
    """Write without blocking, as a transmitter does: bytes that nobody reads are lost."""
    try:
        os.write(near, data)
    except BlockingIOError:
        return


@contextmanager
def _linked(link: str, name: str) -> Generator[str]:
    if link == AUTO:
        yield name
        return
    path = Path(link)
    if path.is_symlink():
        path.unlink()  # left by an earlier run
    path.symlink_to(name)
    try:
        yield link
    finally:
        path.unlink(missing_ok=True)
