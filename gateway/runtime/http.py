"""Serves an ASGI application over HTTP/1.1 in the gateway's loop: uvicorn's protocol on a listening socket of ours.

Theory of operation. uvicorn parses and answers; its `Server` is left out, because that takes over signals, ends the
process when an address is in use, and wakes ten times a second. What uvicorn leaves unbounded is bounded here, so that
no client can hold what belongs to the others: connections are counted and closed beyond a number, of all and of one
address, handshakes likewise, a request has so long to arrive as a whole, and a client has so long to take what was
written to it.
"""

import asyncio
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

import h11
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from gateway.runtime.handshakes import HandshakeLimits, Handshakes

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

KEEP_ALIVE_S = 5


class HttpLimits(msgspec.Struct, frozen=True):
    """What clients may take."""

    connections: int  # and TLS handshakes, at once
    per_address: int  # of these, from one address
    head_bytes: int  # request line and headers
    timeout_s: Callable[[], float]  # for a request to arrive, and for a client to take what it was sent


def host_of(scope: Message) -> str | None:
    """The host that the request's Host header names, without port; None if there is not exactly one header."""
    hosts = [value.decode("latin-1").strip() for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return None
    (host,) = hosts
    return host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]


class HttpServer:
    """Serves `app` on `listen` while its context is open; `address` is then the bound one.

    Entering raises OSError if the address cannot be bound. `app` must answer its own errors: uvicorn logs nothing.
    """

    def __init__(
        self, app: Application, listen: tuple[str, int], limits: HttpLimits, tls: ssl.SSLContext | None = None
    ) -> None:
        self.address: tuple[str, int] = listen
        self._limits = limits
        self._tls = tls
        self._server: asyncio.Server | None = None  # without TLS
        self._listening: socket.socket | None = None  # with it
        self._accepting: asyncio.Task[None] | None = None
        self._state = ServerState()
        self._config = Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",  # what a client sends wrongly is no event of the gateway's
            access_log=False,
            interface="asgi3",
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=limits.head_bytes,
        )

    async def __aenter__(self) -> Self:
        loop, limits = asyncio.get_running_loop(), self._limits
        host, port = self.address

        def connection() -> asyncio.Protocol:
            return _Connection(self._config, self._state, limits, loop)

        if self._tls is None:
            self._server = await loop.create_server(connection, host, port)
            self.address = (host, self._server.sockets[0].getsockname()[1])
            return self
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family)
        self._listening.setblocking(False)
        self.address = (host, self._listening.getsockname()[1])
        bounds = HandshakeLimits(limits.connections, limits.per_address, limits.timeout_s())
        self._accepting = loop.create_task(Handshakes(self._tls, bounds, connection).accept(self._listening))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        if self._accepting is not None and self._listening is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._listening.close()
        for connection in list(self._state.connections):
            if isinstance(connection, _Connection):
                connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        while self._state.connections:  # noqa: ASYNC110 - transports report their loss in the loop's next round
            await asyncio.sleep(0)
        if self._server is not None:
            await self._server.wait_closed()


class _Connection(H11Protocol):
    """A client's connection, which ends when a limit is exceeded."""

    def __init__(self, config: Config, state: ServerState, limits: HttpLimits, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self._limits = limits
        self._arrival: asyncio.TimerHandle | None = None  # set while a request is expected or incomplete
        self._taking: asyncio.TimerHandle | None = None  # set while the client has not taken what was written

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        is_full = len(self.connections) >= self._limits.connections
        super().connection_made(transport)
        if is_full or self._of_its_address() > self._limits.per_address:
            transport.abort()
        else:
            self._arrival = self._abort_later()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrival = _cancelled(self._arrival)
        self._taking = _cancelled(self._taking)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._arrival = _cancelled(self._arrival)
        elif self._arrival is None and not self.transport.is_closing():
            self._arrival = self._abort_later()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking = self._taking or self._abort_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taking = _cancelled(self._taking)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._taking = self._taking or self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, with the status that fits, and hang up."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        if self.conn.our_state is not h11.IDLE:
            self.transport.abort()  # in the middle of an answer
            return
        reason = STATUS_PHRASES[status]
        body = b"%d %s\n" % (status, reason)
        self.transport.write(
            b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nCache-Control: no-store\r\n"
            b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s" % (status, reason, len(body), body)
        )
        self.transport.close()
        self._taking = self._taking or self._abort_later()

    def _of_its_address(self) -> int:
        """How many connections there are from this one's address, itself included."""
        address = self.client and self.client[0]
        return sum(
            isinstance(each, H11Protocol) and each.client is not None and each.client[0] == address
            for each in self.connections
        )

    def _abort_later(self) -> asyncio.TimerHandle:
        return self.loop.call_later(self._limits.timeout_s(), self.transport.abort)


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
