"""Where a client connects: a TCP listener or a pseudo-terminal, open as long as its context."""

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
    """Receives the bytes of one connection; it answers through the `Write` that it was made with."""

    def receive(self, data: bytes) -> None:
        """Bytes have come."""
        ...

    def close(self) -> None:
        """Nothing more will come, and nothing more may be written."""
        ...


MakeByteHandler = Callable[[Write], ByteHandler]


class _Connection(asyncio.Protocol):
    def __init__(self, make_handler: MakeByteHandler, connections: set[asyncio.Transport]) -> None:
        self._make_handler = make_handler
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream's transport, but uvloop's is no subclass of asyncio's.
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
    """Listens, with a handler for each connection; gives the port, a free one where 0 was asked for. Raises OSError."""
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
    """Opens a pseudo-terminal, raw at both ends; gives the path for a reader to open. Raises OSError.

    `link` is a path for a symbolic link to it, or "auto" for the terminal's own name. The reader's end is kept open
    here as well: else every time the reader closes it, this end would read an error.
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
    """Writes as a transmitter does: what nobody takes off the line is lost."""
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
        path.unlink()  # one that an earlier run left behind
    path.symlink_to(name)
    try:
        yield link
    finally:
        path.unlink(missing_ok=True)
