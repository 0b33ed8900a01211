"""`/healthz` and `/metrics` over HTTP, on loopback unless the site chose another address.

Why not a framework: two fixed GET paths need no router and no templates, and a framework would cost about 10 MiB and
more behaviour to secure than is written here. A request's head is bounded in size and time, connections are bounded in
number, each serves one request, and on loopback the Host header must name loopback, so that a web page in a browser on
the same machine cannot read it by DNS rebinding.
"""

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address
from types import TracebackType
from typing import ClassVar, Protocol, Self

import msgspec

from gateway.monitoring.alarms import UNSENT_S

_log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 4096
MAX_CONNECTIONS = 16
TIMEOUT_S = 5.0
MAX_IDLE_S = 60.0  # polls come every few seconds, and a line of dead units still tries twice a minute


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's health, from the last state of its parts. Unit ids are no patient data."""

    version: str
    mqtt_connected: bool
    unheard: tuple[str, ...] = ()  # topic filters that the broker does not let us subscribe to
    client_id_taken: bool = False  # another client seems to use it as well
    units_up: tuple[str, ...]
    units_down: tuple[str, ...]
    oldest_unsent_s: float | None  # None: all is sent
    rejected: int = 0  # messages that the engine refused
    since_progress_s: float | None  # since the last poll ended; None: none has yet

    def reasons(self) -> list[str]:
        """Why the gateway is degraded; empty when all is well."""
        late = self.oldest_unsent_s is not None and self.oldest_unsent_s > UNSENT_S
        idle = self.since_progress_s is None or self.since_progress_s > MAX_IDLE_S
        findings = {
            "the broker is not connected": not self.mqtt_connected,
            f"the broker refuses subscriptions: {', '.join(self.unheard)}": bool(self.unheard),
            "another client uses the client id": self.client_id_taken,
            "polling stands still": idle,
            f"messages wait longer than {UNSENT_S:.0f} s": late,
            "the engine rejected messages": bool(self.rejected),
            f"units down: {', '.join(self.units_down)}": bool(self.units_down),
        }
        return [text for text, holds in findings.items() if holds]


class Report(Protocol):
    """A program's health: a struct for the JSON answer, and the reasons why it is degraded."""

    __struct_fields__: ClassVar[tuple[str, ...]]

    def reasons(self) -> list[str]:
        """Why it is degraded; empty when all is well."""
        ...


class HealthServer:
    """Serves both paths on `listen` while its context is open; `address` is then the bound one.

    `health` and `metrics` are called on the loop at each request and must not block. Entering raises OSError if the
    address cannot be bound.
    """

    def __init__(self, listen: tuple[str, int], health: Callable[[], Report], metrics: Callable[[], bytes]) -> None:
        self.address: tuple[str, int] = listen
        self._is_private = ip_address(listen[0]).is_loopback
        self._health = health
        self._metrics = metrics
        self._connections: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        host, port = self.address
        self._server = await asyncio.start_server(self._accept, host, port, limit=MAX_HEAD_BYTES)
        self.address = (host, self._server.sockets[0].getsockname()[1])
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await self._group.__aexit__(kind, error, trace)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        connection = self._group.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request and close the connection."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                writer.write(self._answer(await _read_head(reader)))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, EOFError):
            pass  # the client disconnected or was too slow
        finally:
            writer.transport.abort()

    def _answer(self, head: bytes | None) -> bytes:
        request = _parse(head) if head is not None else 431
        if isinstance(request, int):
            return _response(request)
        method, path, host = request
        if self._is_private and not _is_loopback(host):
            return _response(403)
        if path not in ("/healthz", "/metrics"):
            return _response(404)
        if method not in ("GET", "HEAD"):
            return _response(405, headers="Allow: GET, HEAD\r\n")
        return self._report(path, with_body=method == "GET")

    def _report(self, path: str, *, with_body: bool) -> bytes:
        try:
            if path == "/metrics":
                return _response(200, self._metrics(), "text/plain; version=0.0.4; charset=utf-8", with_body=with_body)
            health = self._health()
        except Exception:  # noqa: BLE001 - a defect in a report must not stop the gateway
            _log.exception("a report failed", extra={"path": path})
            return _response(500)
        reasons = health.reasons()
        said = {"status": "degraded" if reasons else "ok", "reasons": reasons, **msgspec.to_builtins(health)}
        body = msgspec.json.encode(said) + b"\n"
        return _response(503 if reasons else 200, body, "application/json", with_body=with_body)


_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    """The request line and headers; None if they are too long."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return None


def _parse(head: bytes) -> tuple[str, str, str] | int:
    """Method, path without query, Host; or the status that refuses the request."""
    request_line, *headers = head.decode("latin-1").split("\r\n")[:-2]
    words = request_line.split(" ")
    hosts = [value.strip() for name, _, value in (line.partition(":") for line in headers) if name.lower() == "host"]
    if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0") or len(hosts) != 1:
        return 400
    method, target, _ = words
    return method, target.partition("?")[0], hosts[0]


def _is_loopback(host: str) -> bool:
    """Whether the Host header names loopback, with or without a port."""
    name = host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def _response(
    status: int, body: bytes = b"", content_type: str = "text/plain", *, headers: str = "", with_body: bool = True
) -> bytes:
    body = body or f"{status} {_REASONS[status]}\n".encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{headers}Connection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
