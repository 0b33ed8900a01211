"""ser2net, a third-party device server, before a serial line: raw TCP and RFC 2217."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.dialects.base import ModbusQuery, Query, Raw, Request, TextQuery
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import LineDown
from drivers.line import Line, LineTiming
from drivers.transport import rfc2217
from drivers.transport.base import SerialSettings
from drivers.transport.open import connector
from tests.peers.julabo_units import sinstruments
from tests.peers.processes import probe_once_up, pty_pair, pty_settings
from tests.peers.ser2net_server import Server, ser2net

pytestmark = pytest.mark.peers

SETTINGS = SerialSettings(9600)
TIMING = LineTiming(gap_s=0.01, timeout_s=2.0, drain_s=0.1)
REGISTERS = (0xFFD6, 0xFFFF, 0x00FF, 13, 255)  # bytes that Telnet and terminals treat as special
ANSWERS: dict[Query, bytes] = {
    ModbusQuery(1, 3, 0x00FF, 5): bytes.fromhex("01 03 0A FF D6 FF FF 00 FF 00 0D 00 FF 22 BC"),
    TextQuery("IN_PV_00"): b"-4.2\r\n",
}


def answer_at(descriptor: int, name: DialectName) -> None:
    """A responder that answers known requests with fixed bytes."""
    codec = dialect(name)
    buffer = bytearray()

    def readable() -> None:
        buffer.extend(os.read(descriptor, 4096))
        heard = codec.scan_request(buffer)
        if isinstance(heard, Request):
            del buffer[: heard.consumed]
            os.write(descriptor, ANSWERS[heard.query])

    asyncio.get_running_loop().add_reader(descriptor, readable)


@asynccontextmanager
async def served_responder(folder: Path, name: DialectName) -> AsyncGenerator[Server]:
    """A raw responder on a serial line behind the device server."""
    near, far = folder / "near", folder / "far"
    async with pty_pair(near, far):
        descriptor = os.open(far, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        answer_at(descriptor, name)
        try:
            async with ser2net(folder, near) as server:
                yield server
        finally:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "query", "answer"),
    [
        (DialectName.MODBUS_RTU, ModbusQuery(1, 3, 0x00FF, 5), REGISTERS),
        (DialectName.JULABO, TextQuery("in_pv_00"), "-4.2"),
    ],
    ids=["modbus-rtu", "julabo"],
)
async def test_a_unit_behind_ser2net_is_read_over_rfc2217_and_bare_tcp(
    name: DialectName, query: Query, answer: Raw, tmp_path: Path
) -> None:
    async with served_responder(tmp_path, name) as server:
        for url in (
            f"rfc2217://127.0.0.1:{server.rfc2217_port}",
            f"rfc2217://127.0.0.1:{server.rfc2217_port}?ign_set_control",
            f"socket://127.0.0.1:{server.tcp_port}",
        ):
            line = Line(url, connector(url, SETTINGS), dialect(name), TIMING)
            answers = [await opened(line, query), await line.exchange(query), await line.exchange(query)]
            line.close()
            assert answers == [answer] * 3, url
            assert line.counters.timeouts == 0


async def opened(line: Line, query: Query) -> Raw:
    """The first answer, with retries, since ser2net releases the port some time after a client disconnects."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await line.exchange(query)
            except LineDown:
                await asyncio.sleep(0.1)


async def test_a_julabo_unit_behind_ser2net_is_probed_below_zero(tmp_path: Path) -> None:
    async with sinstruments(tmp_path) as (_, tty), ser2net(tmp_path, tty) as server:
        for url in (f"rfc2217://127.0.0.1:{server.rfc2217_port}", f"socket://127.0.0.1:{server.tcp_port}"):
            code, answer = await probe_once_up(url, "--profile", "julabo-cf", *pty_settings())
            assert (code, answer.faults, answer.value("coolant_supply")) == (0, [], -4.12), url


async def test_a_server_that_does_not_speak_rfc2217_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rfc2217, "CONNECT_TIMEOUT_S", 0.5)
    async with served_responder(tmp_path, DialectName.JULABO) as server:
        connect = connector(f"rfc2217://127.0.0.1:{server.tcp_port}", SETTINGS)
        with pytest.raises(LineDown, match="RFC 2217"):
            await connect()


async def test_a_server_that_goes_away_is_a_line_down_at_once(tmp_path: Path) -> None:
    async with served_responder(tmp_path, DialectName.JULABO) as server:
        link = await connector(f"rfc2217://127.0.0.1:{server.rfc2217_port}", SETTINGS)()
        link.inbox.listening = True
    with pytest.raises(LineDown):
        await link.inbox.more(asyncio.get_running_loop().time() + 5)
