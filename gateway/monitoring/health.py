"""`/healthz` and `/metrics` over HTTP, on loopback unless the site chose another address.

Metrics are in Prometheus' text format, or in OpenMetrics where the Accept header asks for it.

Each connection serves one request, and on loopback the Host header must name loopback, so that a web page in a browser
on the same machine cannot read it by DNS rebinding.
"""

import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from http import HTTPStatus
from typing import ClassVar, Protocol

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from gateway.monitoring.alarms import UNSENT_S
from gateway.runtime.addresses import is_loopback
from gateway.runtime.http import HttpLimits, HttpServer, Message, Receive, Send, host_of
from gateway.session.fact_types import ClockState

_log = logging.getLogger("capgate")

MAX_HEAD_BYTES = 4096
MAX_CONNECTIONS = 16
TIMEOUT_S = 5.0
MAX_IDLE_S = 60.0  # polls come every few seconds, and a line of dead units still tries twice a minute


class Uncounted(StrEnum):
    """Why nothing is counted."""

    DISK = "disk"  # it is full, read-only or failing
    KEY = "key"  # of the ledger: it is missing
    LEDGER = "ledger"  # it is another version's, or another gateway's
    CLOCK = "clock"  # the wall clock is not believed
    SAFE_MODE = "safe-mode"  # there were too many crashes


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's health, from the last state of its parts. Unit ids are no patient data."""

    gateway: str  # its id: on a port that two share, the other one answers
    version: str
    uncounted: str = ""  # why nothing is counted
    clock: ClockState | None = None  # how far its instants are to be believed; None: nothing is counted
    clock_wrong: str = ""  # why the wall clock is not believed, while the gateway counts
    disk_is_low: bool = False  # there is room for the ledger alone
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
            f"nothing is counted: {self.uncounted}": bool(self.uncounted),
            f"the clock is wrong: {self.clock_wrong}": bool(self.clock_wrong),
            "the disk is nearly full": self.disk_is_low,
            "the broker is not connected": not self.mqtt_connected,
            f"the broker refuses subscriptions: {', '.join(self.unheard)}": bool(self.unheard),
            "another client uses the client id": self.client_id_taken,
            "polling stands still": idle,
            f"messages wait longer than {UNSENT_S:.0f} s": late,
            "the engine rejected messages": bool(self.rejected),
            f"units down: {', '.join(self.units_down)}": bool(self.units_down),
        }
        return [text for text, holds in findings.items() if holds]


class HealthReport(msgspec.Struct, frozen=True):
    """The health, and in words why the gateway is degraded."""

    health: Health
    reasons: tuple[str, ...]


class Report(Protocol):
    """A program's health: a struct for the JSON answer, and the reasons why it is degraded."""

    __struct_fields__: ClassVar[tuple[str, ...]]

    def reasons(self) -> list[str]:
        """Why it is degraded; empty when all is well."""
        ...


class HealthServer(HttpServer):
    """Serves both paths on `listen` while its context is open; `address` is then the bound one.

    `health` and the collectors of `metrics` are called on the loop at each request and must not block. Entering raises
    OSError if the address cannot be bound.
    """

    def __init__(self, listen: tuple[str, int], health: Callable[[], Report], metrics: CollectorRegistry) -> None:
        limits = HttpLimits(MAX_CONNECTIONS, MAX_CONNECTIONS, MAX_HEAD_BYTES, lambda: TIMEOUT_S)
        super().__init__(self._serve, listen, limits)
        self._is_private = is_loopback(listen[0])
        self._health = health
        self._metrics = metrics

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; the connection is then closed."""
        status, content_type, body = self._answer(scope)
        allow = [(b"Allow", b"GET, HEAD")] if status is HTTPStatus.METHOD_NOT_ALLOWED else []
        headers = [
            (b"Content-Type", content_type),
            (b"Content-Length", b"%d" % len(body)),
            (b"Cache-Control", b"no-store"),
            (b"X-Content-Type-Options", b"nosniff"),
            *allow,
            (b"Connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, scope: Message) -> tuple[HTTPStatus, bytes, bytes]:
        host = host_of(scope)
        if host is None or scope["http_version"] not in ("1.0", "1.1"):
            return _refusal(HTTPStatus.BAD_REQUEST)
        if self._is_private and not is_loopback(host):
            return _refusal(HTTPStatus.FORBIDDEN)
        path = scope["raw_path"]
        if path not in (b"/healthz", b"/metrics"):
            return _refusal(HTTPStatus.NOT_FOUND)
        if scope["method"] not in ("GET", "HEAD"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            if path == b"/metrics":
                accepted = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
                encode, content_type = choose_encoder(accepted)
                return HTTPStatus.OK, content_type.encode(), encode(self._metrics)
            health = self._health()
        except Exception:  # noqa: BLE001 - a defect in a report must not stop the gateway
            _log.exception("a report failed", extra={"path": path.decode()})
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        reasons = health.reasons()
        said = {"status": "degraded" if reasons else "ok", "reasons": reasons, **msgspec.to_builtins(health)}
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return status, b"application/json", msgspec.json.encode(said) + b"\n"


@asynccontextmanager
async def serve_pages(
    listen: tuple[str, int], health: Callable[[], Report], metrics: CollectorRegistry
) -> AsyncGenerator[str]:
    """Serve both pages; if the address cannot be bound the gateway runs without them, and why is given."""
    server = HealthServer(listen, health, metrics)
    try:
        await server.__aenter__()
    except OSError as error:
        _log.error("no health page", extra={"listen": listen, "reason": str(error)})
        yield why_unserved(listen, error)
        return
    try:
        yield ""
    finally:
        await server.__aexit__(None, None, None)


def why_unserved(listen: tuple[str, int], error: OSError) -> str:
    """Why nothing is served at an address, for the alarm about it."""
    return f"{listen[0]} port {listen[1]}: {os.strerror(error.errno) if error.errno else error}"


def _refusal(status: HTTPStatus) -> tuple[HTTPStatus, bytes, bytes]:
    return status, b"text/plain", f"{status.value} {status.phrase}\n".encode()
