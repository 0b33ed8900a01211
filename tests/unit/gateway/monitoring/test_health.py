"""The two HTTP paths: right answers for a monitor, and nothing for anybody else."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
import uvloop
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from gateway.monitoring import health as health_module
from gateway.monitoring.health import MAX_CONNECTIONS, MAX_HEAD_BYTES, Health, HealthServer, serve_pages
from tests.unit.gateway.monitoring import openmetrics

PAGE = Path(__file__).parents[4] / "docs" / "how-to" / "monitor.md"
WELL = Health(
    gateway="gw-01",
    version="0.1.0",
    mqtt_connected=True,
    units_up=("cap-07", "cap-08"),
    units_down=(),
    oldest_unsent_s=None,
    since_progress_s=0.4,
)


class Reports:
    """What the server shows; a test may change it or break it."""

    def __init__(self) -> None:
        self.now: Health | None = WELL

    def health(self) -> Health:
        if self.now is None:
            raise RuntimeError("no health")
        return self.now

    @property
    def metrics(self) -> CollectorRegistry:
        registry = CollectorRegistry()
        Counter("seen", "What was seen.", registry=registry).inc()
        return registry


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest_asyncio.fixture
async def server(reports: Reports) -> AsyncIterator[HealthServer]:
    async with HealthServer(("127.0.0.1", 0), reports.health, reports.metrics) as serving:
        yield serving


async def ask(server: HealthServer, request: bytes) -> bytes:
    """All that comes back for the raw request."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(request)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def get(server: HealthServer, target: str, host: str = "localhost", method: str = "GET") -> tuple[int, bytes]:
    answer = await ask(server, f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


async def test_a_well_gateway_answers_200_ok(server: HealthServer) -> None:
    status, body = await get(server, "/healthz")
    said = json.loads(body)
    assert (status, said["status"], said["reasons"]) == (200, "ok", [])
    assert (said["version"], said["units_up"], said["since_progress_s"]) == ("0.1.0", ["cap-07", "cap-08"], 0.4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mqtt_connected": False}, "broker"),
        ({"units_down": ("cap-09",)}, "cap-09"),
        ({"oldest_unsent_s": 301.0}, "wait longer"),
        ({"since_progress_s": 61.0}, "stands still"),
        ({"since_progress_s": None}, "stands still"),
    ],
)
async def test_each_trouble_answers_503_and_says_why(
    server: HealthServer, reports: Reports, change: dict[str, object], reason: str
) -> None:
    reports.now = msgspec.structs.replace(WELL, **change)
    status, body = await get(server, "/healthz")
    said = json.loads(body)
    assert (status, said["status"], len(said["reasons"])) == (503, "degraded", 1)
    assert reason in said["reasons"][0]


def test_the_page_names_every_reason_and_every_field() -> None:
    page = PAGE.read_text()
    worst = Health(
        gateway="", version="", uncounted="...", clock_wrong="...", disk_is_low=True, mqtt_connected=False,
        unheard=("...",), client_id_taken=True, units_up=(), units_down=("...",), oldest_unsent_s=1e9, rejected=1,
        since_progress_s=None,
    )  # fmt: skip
    assert re.findall(r"^\| `(.+?)` \| .+ \| .+ \|$", page, re.MULTILINE)[: len(worst.reasons())] == worst.reasons()
    example = json.loads(re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0])
    assert list(example) == ["status", "reasons", *msgspec.structs.asdict(WELL)]


async def test_a_second_gateway_on_the_port_is_told_who_has_it(server: HealthServer, reports: Reports) -> None:
    async with serve_pages(server.address, reports.health, reports.metrics) as unserved:
        assert unserved == f"127.0.0.1 port {server.address[1]}: Address already in use"
        assert json.loads((await get(server, "/healthz"))[1])["gateway"] == "gw-01"
    async with serve_pages(("127.0.0.1", 0), reports.health, reports.metrics) as unserved:
        assert unserved == ""


async def test_metrics_are_in_the_text_format(server: HealthServer) -> None:
    answer = await ask(server, b"GET /metrics?name=x HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in head
    samples = [each for family in text_string_to_metric_families(body.decode()) for each in family.samples]
    assert {each.name: each.value for each in samples}["seen_total"] == 1.0


async def test_metrics_are_in_openmetrics_where_that_is_asked_for(server: HealthServer) -> None:
    request = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {openmetrics.ASKED}\r\n\r\n"
    answer = await ask(server, request.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/openmetrics-text; version=1.0.0" in head
    assert [family.name for family in openmetrics.families(body)] == ["seen"]
    assert body.endswith(b"# EOF\n")


async def test_head_brings_the_length_without_the_body(server: HealthServer) -> None:
    answer = await ask(server, b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert re.search(rb"Content-Length: [1-9]\d+\r\n", answer)
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "target", ["/", "/metrics/", "/../metrics", "/%6detrics", "//healthz", "http://x/healthz", "*"]
)
async def test_no_other_path_exists(server: HealthServer, target: str) -> None:
    assert (await get(server, target))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get"])
async def test_nothing_can_be_changed(server: HealthServer, method: str) -> None:
    assert (await get(server, "/healthz", method=method))[0] == 405


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9464", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:9464"])
async def test_loopback_may_be_named_in_any_way(server: HealthServer, host: str) -> None:
    assert (await get(server, "/healthz", host))[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9464", "localhost.evil.example", "10.0.0.1", "", "[::1"]
)
async def test_a_rebound_name_is_refused(server: HealthServer, host: str) -> None:
    assert (await get(server, "/healthz", host))[0] == 403


async def test_beyond_loopback_a_monitor_may_use_any_name_of_the_box(reports: Reports) -> None:
    async with HealthServer(("0.0.0.0", 0), reports.health, reports.metrics) as serving:
        assert (await get(serving, "/healthz", "gw-01.north.example:9464"))[0] == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
        b"\xff\xfe\x00\x16\x03\x01\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_a_bad_request(server: HealthServer, request_bytes: bytes) -> None:
    assert (await ask(server, request_bytes)).startswith(b"HTTP/1.1 400 ")


async def test_a_head_without_end_is_refused_not_collected(server: HealthServer) -> None:
    answer = await ask(server, b"GET /healthz HTTP/1.1\r\nX: " + b"a" * (MAX_HEAD_BYTES + 1))
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.requirement("REQ-INPUT-3")
async def test_a_client_that_says_nothing_is_dropped(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "TIMEOUT_S", 0.02)
    assert await ask(server, b"GET /hea") == b""


async def test_a_client_that_reads_nothing_is_dropped(reports: Reports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "TIMEOUT_S", 0.05)
    registry = CollectorRegistry()
    Counter("seen", "x" * 20_000_000, registry=registry)  # more than the kernel takes for a client
    async with HealthServer(("127.0.0.1", 0), reports.health, registry) as serving:
        _, writer = await asyncio.open_connection(*serving.address, limit=1)  # asyncio then stops to read
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await get(serving, "/healthz"))[0] == 200, "others are served meanwhile"
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_a_client_that_leaves_early_harms_nobody(server: HealthServer) -> None:
    for sent in (b"", b"GET", b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        _, writer = await asyncio.open_connection(*server.address)
        writer.write(sent)
        writer.transport.abort()
    assert (await get(server, "/healthz"))[0] == 200


async def test_more_connections_than_allowed_are_closed_at_once(server: HealthServer) -> None:
    silent = [await asyncio.open_connection(*server.address) for _ in range(MAX_CONNECTIONS)]
    try:
        assert await ask(server, b"") == b""
    finally:
        for _, writer in silent:
            writer.transport.abort()


async def test_a_broken_report_is_a_500_and_the_server_lives(server: HealthServer, reports: Reports) -> None:
    reports.now = None
    assert (await get(server, "/healthz"))[0] == 500
    assert (await get(server, "/metrics"))[0] == 200


async def test_leaving_ends_open_connections_and_tasks(reports: Reports) -> None:
    before = asyncio.all_tasks()
    async with HealthServer(("127.0.0.1", 0), reports.health, reports.metrics) as serving:
        reader, writer = await asyncio.open_connection(*serving.address)
        await get(serving, "/healthz")
    assert await reader.read() == b""
    writer.transport.abort()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_server_works_on_either_event_loop(
    reports: Reports, loop_factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "TIMEOUT_S", 0.05)

    async def use() -> list[object]:
        async with HealthServer(("127.0.0.1", 0), reports.health, reports.metrics) as serving:
            silent = await ask(serving, b"GET /hea")
            early = await asyncio.open_connection(*serving.address)
            early[1].transport.abort()
            return [silent, (await get(serving, "/healthz"))[0], (await get(serving, "/nothing"))[0]]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(use()) == [b"", 200, 404]


async def test_an_address_in_use_is_told_on_entering(server: HealthServer, reports: Reports) -> None:
    with pytest.raises(OSError, match="address already in use"):
        async with HealthServer(server.address, reports.health, reports.metrics):
            pass
