"""The bridge's MLLP listener with hostile clients, odd framing and slow peers: unusable input is counted."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.bridge.config import load_bridge
from gateway.bridge.mllp_server import MAX_CONNECTIONS
from gateway.bridge.notices import Happening, Trouble
from tests.broker.authority import Authority
from tests.broker.bridge_side import SiteGateway, adt, bridge, next_payload, until_online, write_config
from tests.broker.harness import Mosquitto, eventually, free_port
from tests.broker.mllp_peers import send


@pytest.fixture
def gateway(mosquitto: Mosquitto) -> Iterator[SiteGateway]:
    """A gateway that accepts everything."""
    caller = SiteGateway(mosquitto.port, lambda _: "accepted")
    yield caller
    caller.disconnect()


async def exchange(port: int, stream: bytes, answers: int) -> list[bytes]:
    """Write `stream`; returns the MSA segments of that many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(stream)
    heard = [(await reader.readuntil(b"\x1c\r")).split(b"\rMSA|")[1].split(b"\r")[0] for _ in range(answers)]
    writer.close()
    return heard


def framed(*messages: bytes) -> bytes:
    return b"".join(b"\x0b" + each + b"\x1c\r" for each in messages)


async def test_a_message_that_is_too_large_is_answered_by_its_id_and_the_next_one_is_read(
    tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto
) -> None:
    large = [adt(number, "NTE|1||" + "x" * size + "\r") for number, size in ((1, 65_500), (2, 5_000_000))]
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        await until_online(running, "gw-01")
        heard = await exchange(running.port, framed(large[0], adt(3), large[1], adt(4)), 4)
        assert heard == [
            f"AR|ADT1|too large: {len(large[0])} bytes, limit 65024".encode(),
            b"AA|ADT3",
            f"AR|ADT2|too large: {len(large[1])} bytes, limit 65024".encode(),
            b"AA|ADT4",
        ]
        assert running.notices.counts[Happening.TOO_LARGE] == 2


async def test_the_limit_is_the_brokers_where_that_is_lower(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder, ["max_packet_size 4000"]) as broker:
        gateway = SiteGateway(broker.port, lambda _: "accepted")
        async with bridge(load_bridge(write_config(tmp_path, broker.port, free_port()))) as running:
            await until_online(running, "gw-01")
            refused = await asyncio.to_thread(send, running.port, adt(1, "NTE|1||" + "x" * 4000 + "\r"))
            limit = int(refused.rsplit(" ", 1)[1])
            assert refused.startswith("MSA|AR|ADT1|too large: ")
            assert 3800 < limit < 4000
            longest = adt(2, "NTE|1||" + "x" * (limit - len(adt(2, "NTE|1||\r"))) + "\r")
            assert await asyncio.to_thread(send, running.port, longest) == "MSA|AA|ADT2"
            assert running.report().mqtt_connected
        gateway.disconnect()


async def test_odd_framing_is_counted_and_never_hides_a_message(
    tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    stream = b"GET / HTTP/1.1\r\n\r\n" + framed(adt(1)) + b"\x0bMSH|^~\\&|secret" + framed(adt(2)) + b"\x0bMSH|cut off"
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        await until_online(running, "gw-01")
        assert await exchange(running.port, stream, 2) == [b"AA|ADT1", b"AA|ADT2"]
        counts = running.notices.counts
        await eventually(lambda: counts[Happening.UNENDED] == 2, "two frames were not ended")
        assert counts[Happening.STRAY_BYTES] == len("GET / HTTP/1.1")
        assert (await exchange(running.port, framed(b"no HL7"), 1))[0].startswith(b"AR||does not begin with MSH")
    assert "secret" not in caplog.text
    assert {"stray bytes", "unended frames", "not hl7"} <= {line.message for line in caplog.records}


async def test_only_the_header_need_be_readable(tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto) -> None:
    """Errors in other segments are for the gateways to judge and count."""
    odd = adt(1).replace(b"|T|2.5.1", b"|T|2.5.1||||||KLINGON") + b"\xff\xfe|x\rPI|1\r"
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        await until_online(running, "gw-01")
        assert await asyncio.to_thread(send, running.port, odd) == "MSA|AA|ADT1"
        message = await asyncio.to_thread(gateway.next)
        assert bytes(message.payload) == odd
        assert getattr(message.properties, "ContentType", None) is None, "it is not the UTF-8 that this would say"


async def test_a_message_byte_by_byte_and_a_peer_that_stops_in_a_message_hinder_nobody(
    tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto
) -> None:
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        await until_online(running, "gw-01")
        _, stopped = await asyncio.open_connection("127.0.0.1", running.port)
        stopped.write(b"\x0bMSH|^~\\&|")
        reader, slow = await asyncio.open_connection("127.0.0.1", running.port)
        for byte in framed(adt(1)):
            slow.write(bytes((byte,)))
            await slow.drain()
        assert await asyncio.to_thread(send, running.port, adt(2)) == "MSA|AA|ADT2"
        assert b"MSA|AA|ADT1" in await reader.readuntil(b"\x1c")
        slow.close()
        stopped.close()


async def test_when_all_places_are_taken_the_connection_that_was_idle_the_longest_gives_way(
    tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto
) -> None:
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        await until_online(running, "gw-01")
        idle = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(MAX_CONNECTIONS)]
        await eventually(lambda: running.report().connections == MAX_CONNECTIONS, "all places are taken")
        first = idle[0]
        first[1].write(framed(adt(1)))
        assert b"MSA|AA|ADT1" in await first[0].readuntil(b"\x1c"), "it is not idle any more"
        assert await asyncio.to_thread(send, running.port, adt(2)) == "MSA|AA|ADT2"
        assert await idle[1][0].read() == b"" or idle[1][0].at_eof(), "the idlest was closed"
        assert running.notices.counts[Happening.GAVE_WAY] == 1
        assert Trouble.FULL in running.notices.troubles
        first[1].write(framed(adt(3)))
        assert b"MSA|AA|ADT3" in await first[0].readuntil(b"\x1c")
        for _, writer in idle:
            writer.close()
        await eventually(lambda: running.report().reasons() == [], "there is room again")


async def test_connections_that_are_all_at_work_stay_and_a_new_one_is_turned_away(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    mute = SiteGateway(mosquitto.port, lambda _: None)
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port(), listen="answer_timeout_s = 300.0"))
    async with bridge(config) as running:
        await until_online(running, "gw-01")
        busy = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(MAX_CONNECTIONS)]
        for number, (_, writer) in enumerate(busy):
            writer.write(framed(adt(number)))
        for _ in busy:
            await next_payload(mute)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert running.notices.counts[Happening.TURNED_AWAY] == 1
        for number in range(len(busy)):
            mute.result(f"ADT{number}", "accepted")
        for number, (each, peer) in enumerate(busy):
            assert f"MSA|AA|ADT{number}\r".encode() in await each.readuntil(b"\x1c")
            peer.close()
    mute.disconnect()


async def test_a_reconnect_storm_leaves_nothing_behind(
    tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto
) -> None:
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        await until_online(running, "gw-01")
        for _ in range(300):
            _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"\x0bMSH|")
            writer.transport.abort()
        assert await asyncio.to_thread(send, running.port, adt(1)) == "MSA|AA|ADT1"
        await eventually(lambda: running.report().connections == 0, "all are gone")


async def test_clients_that_tls_refuses_are_counted_with_the_reason(
    tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "ours")
    host = authority.issue("127.0.0.1")
    host.key.chmod(0o600)
    listener = f'ca_file = "{authority.ca}"\ncert_file = "{host.certificate}"\nkey_file = "{host.key}"\n'
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port(), listen=listener))) as running:
        bare = ssl.create_default_context(cafile=str(authority.ca))
        for number, greeting in enumerate((b"\x0bMSH|in clear\x1c\r", None), 1):
            try:
                tls = bare if greeting is None else None
                reader, writer = await asyncio.open_connection("127.0.0.1", running.port, ssl=tls)
                writer.write(greeting or framed(adt(1)))
                assert b"MSA" not in await reader.read()
                writer.close()
            except OSError:
                pass  # refused, depending on timing
            counts = running.notices.counts
            await eventually(lambda: counts[Happening.TLS_REFUSED] == number, "it is counted")  # noqa: B023
        causes = [vars(line)["cause"] for line in caplog.records if line.message == "tls refused"]
        assert causes
        await eventually(lambda: running.report().connections == 0, "none is left")
