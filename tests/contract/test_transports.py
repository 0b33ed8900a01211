"""One contract for every transport, on real descriptors and sockets; RFC 2217 is held to it in tests/peers."""

import asyncio
import os
import socket
import termios
import tty
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.dialects.base import ModbusQuery
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import LineDown
from drivers.line import Line, LineTiming
from drivers.transport.base import ByteLink, Connector, SerialSettings
from drivers.transport.memory import null_modem
from drivers.transport.open import connector

HANGS_S = 50.0  # what takes longer does not happen at all
SETTINGS = SerialSettings()


@dataclass
class Ends:
    """A way to open the line, and the far end's hands."""

    connect: Connector
    send: Callable[[bytes], None]
    receive: Callable[[int], Awaitable[bytes]]
    hang_up: Callable[[], None]


@asynccontextmanager
async def over_tcp() -> AsyncGenerator[Ends]:
    writers: list[asyncio.StreamWriter] = []
    heard = asyncio.StreamReader()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while data := await reader.read(4096):
            heard.feed_data(data)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Ends(
            connector(f"socket://127.0.0.1:{port}", SETTINGS),
            lambda data: writers[-1].write(data),
            heard.readexactly,
            lambda: writers[-1].close(),
        )
    finally:
        server.close()
        for writer in writers:
            writer.close()


@asynccontextmanager
async def over_a_pty() -> AsyncGenerator[Ends]:
    loop = asyncio.get_running_loop()
    master, slave = os.openpty()
    tty.setraw(slave)
    heard = asyncio.StreamReader()
    loop.add_reader(master, lambda: heard.feed_data(os.read(master, 4096)))
    open_ends = [master, slave]

    def hang_up() -> None:
        loop.remove_reader(master)
        while open_ends:
            os.close(open_ends.pop())

    try:
        yield Ends(
            connector(os.ttyname(slave), SETTINGS),
            lambda data: None if os.write(master, data) == len(data) else pytest.fail("pty is full"),
            heard.readexactly,
            hang_up,
        )
    finally:
        hang_up()


@asynccontextmanager
async def in_memory() -> AsyncGenerator[Ends]:
    connect, far_end = null_modem()
    heard = asyncio.StreamReader()
    far_end.on_request = heard.feed_data
    yield Ends(connect, far_end.send, heard.readexactly, far_end.hang_up)


TRANSPORTS = [over_tcp, over_a_pty, in_memory]
every_transport = pytest.mark.parametrize("transport", TRANSPORTS, ids=["tcp", "pty", "memory"])
Transport = Callable[[], AbstractAsyncContextManager[Ends]]


async def gathered(link: ByteLink, count: int) -> bytes:
    deadline = asyncio.get_running_loop().time() + 5
    while len(link.inbox.buffer) < count:
        assert await link.inbox.more(deadline), "nothing came"
    return bytes(link.inbox.buffer)


@every_transport
async def test_all_256_bytes_pass_both_ways_unchanged(transport: Transport) -> None:
    everything = bytes(range(256))
    async with transport() as ends:
        link = await ends.connect()
        link.inbox.listening = True
        link.write(everything)
        assert await ends.receive(256) == everything
        ends.send(everything)
        assert await gathered(link, 256) == everything
        link.close()


@every_transport
async def test_bytes_that_nobody_waits_for_are_dropped_and_counted(transport: Transport) -> None:
    async with transport() as ends:
        link = await ends.connect()
        link.write(b"?")
        assert await ends.receive(1) == b"?"
        ends.send(b"babble")
        async with asyncio.timeout(HANGS_S):
            while link.inbox.unasked_bytes < 6:
                await asyncio.sleep(0.001)
        assert not link.inbox.buffer
        link.close()


@every_transport
async def test_waiting_for_bytes_ends_at_the_deadline(transport: Transport) -> None:
    async with transport() as ends:
        link = await ends.connect()
        link.inbox.listening = True
        assert not await link.inbox.more(asyncio.get_running_loop().time() + 0.02)
        link.close()


@every_transport
async def test_a_far_end_that_hangs_up_wakes_the_waiter_with_an_error(transport: Transport) -> None:
    async with transport() as ends:
        link = await ends.connect()
        link.inbox.listening = True
        link.write(b"?")
        assert await ends.receive(1) == b"?"
        asyncio.get_running_loop().call_later(0.01, ends.hang_up)
        with pytest.raises(LineDown):
            await link.inbox.more(asyncio.get_running_loop().time() + 5)
        with pytest.raises(LineDown):
            link.write(b"?")
        link.close()


@every_transport
async def test_closing_twice_is_closing_once_and_nothing_can_be_sent_after(transport: Transport) -> None:
    async with transport() as ends:
        link = await ends.connect()
        link.close()
        link.close()
        with pytest.raises(LineDown):
            link.write(b"?")


@every_transport
async def test_a_closed_line_can_be_opened_again(transport: Transport) -> None:
    async with transport() as ends:
        for _ in range(5):
            link = await ends.connect()
            link.write(b"?")
            assert await ends.receive(1) == b"?"
            link.close()


@every_transport
async def test_a_line_reads_a_unit(transport: Transport) -> None:
    async with transport() as ends, asyncio.TaskGroup() as group:
        line = Line("test", ends.connect, dialect(DialectName.MODBUS_RTU), LineTiming(0.0, 5.0, 0.0), baud=9600)
        reading = group.create_task(line.exchange(ModbusQuery(1, 3, 1, 1)))
        assert await ends.receive(8) == bytes.fromhex("01 03 00 01 00 01 D5 CA")
        ends.send(bytes.fromhex("01 03 02 FF D5 38 2B"))
        assert await reading == (0xFFD5,)
        line.close()


async def test_a_port_that_is_not_there_is_a_line_down_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LineDown, match="nowhere"):
        await connector(str(tmp_path / "nowhere"), SETTINGS)()


async def test_a_refused_connection_is_a_line_down_that_names_it() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(LineDown, match=str(port)):
        await connector(f"socket://127.0.0.1:{port}", SETTINGS)()


async def test_a_port_in_use_is_refused_to_the_second() -> None:
    async with over_a_pty() as ends:
        link = await ends.connect()
        with pytest.raises(LineDown):
            await ends.connect()
        link.close()


async def test_settings_that_a_port_refuses_are_named_in_words_that_help(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:  # what most C libraries say of 7E1 on a pseudo-terminal; some keep 8N1 in silence
        raise termios.error(22, "Invalid argument")

    async with over_a_pty() as ends:
        monkeypatch.setattr(termios, "tcsetattr", refuse)
        with pytest.raises(LineDown, match=r"9600 8N1 .*Invalid argument.*override"):
            await ends.connect()


async def test_opening_a_port_can_be_cancelled_without_leaving_it_open() -> None:
    async with over_a_pty() as ends:
        opening = asyncio.ensure_future(ends.connect())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(HANGS_S):
            while True:
                try:
                    link = await ends.connect()
                except LineDown:
                    await asyncio.sleep(0.001)  # the thread is still opening or closing it
                else:
                    break
        link.close()


async def test_a_hung_up_port_leaks_no_descriptor() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with over_a_pty() as ends:
        (await ends.connect()).close()
    before = descriptors()
    for _ in range(20):
        async with over_a_pty() as ends:
            link = await ends.connect()
            ends.hang_up()
            with pytest.raises(LineDown):
                await link.inbox.more(asyncio.get_running_loop().time() + 5)
    assert descriptors() == before


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ttyUSB0",
        "tcp://10.0.0.1:502",
        "socket://10.0.0.1",
        "socket://:502",
        "socket://10.0.0.1:70000",
        "socket://10.0.0.1:502?logging=debug",
        "rfc2217://10.0.0.1:9951?poll_modem",
        "socket://user@10.0.0.1:502",
        "socket://10.0.0.1:502/path",
    ],
)
def test_a_url_that_names_no_line_is_refused_with_the_accepted_forms(url: str) -> None:
    with pytest.raises(ValueError, match="accepted: /dev/"):
        connector(url, SETTINGS)


@pytest.mark.parametrize(
    "url",
    [
        "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0",
        "socket://10.0.0.1:502",
        "socket://[::1]:502",
        "socket://moxa.ward.example:4001/",
        "rfc2217://10.0.0.1:9951",
        "rfc2217://10.0.0.1:9951?ign_set_control",
    ],
)
def test_a_url_that_names_a_line_is_accepted(url: str) -> None:
    connector(url, SETTINGS)
