"""The bridge between a real broker and interface engines, most of them written by others."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from drivers.toml.document import TomlProblems
from gateway.bridge.bridge import Bridge
from gateway.bridge.config import Carried, load_bridge
from gateway.mqtt.types import NOBODY_LISTENS
from gateway.runtime.clock import SystemClock
from tests.broker.authority import Authority
from tests.broker.bridge_side import (
    ANSWERS,
    CHARGES,
    SiteGateway,
    adt,
    bridge,
    bridge_subscribed,
    charge,
    next_payload,
    write_config,
)
from tests.broker.harness import Mosquitto, eventually, free_port
from tests.broker.mllp_peers import (
    EngineLog,
    engine,
    node_engine,
    node_send,
    scripted_engine,
    send,
    single_message_engine,
)
from tests.broker.paho_client import PahoClient


@pytest.fixture
def gateway(mosquitto: Mosquitto) -> Iterator[SiteGateway]:
    """A simulated gateway that receives the engine's messages, and accepts all of them."""
    caller = SiteGateway(mosquitto.port, lambda _: "accepted")
    yield caller
    caller.disconnect()


async def test_charges_go_to_the_engine_and_its_answers_come_back(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "capgate.bridge")
    heard = EngineLog()
    async with engine(heard) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))) as running:
        await bridge_subscribed(gateway)
        for number in range(1, 30):
            gateway.publish(CHARGES, charge(number))
        answers = [await next_payload(gateway) for _ in range(30)]
        assert [answer.split("MSA|")[1].strip() for answer in answers] == [
            f"AA|CG9RX2M7KQ4{number:02d}A" for number in range(30)
        ]
        assert heard.ids == [f"CG9RX2M7KQ4{number:02d}A" for number in range(30)]
        assert "Müller" in heard.messages[0]
        await eventually(lambda: running.lanes[Carried.CHARGE].carried == 30, "all are acknowledged to the broker")
    assert [vars(line)["carried"]["charge"] for line in caplog.records if line.message == "ended"] == [30]


async def test_a_rejected_charge_comes_back_as_such_and_blocks_none_behind_it(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    heard = EngineLog()
    heard.code = "AE"
    async with engine(heard) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        await bridge_subscribed(gateway)
        gateway.publish(CHARGES, charge(1))
        assert ["MSA|AE" in await next_payload(gateway) for _ in range(2)] == [True, True]
        assert len(heard.messages) == 2


async def test_an_engine_that_hangs_up_after_each_message_gets_every_one_once(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    heard = EngineLog()
    with single_message_engine(heard) as port:
        async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
            await bridge_subscribed(gateway)
            for number in range(1, 6):
                gateway.publish(CHARGES, charge(number))
            assert ["MSA|AA" in await next_payload(gateway) for _ in range(6)] == [True] * 6
            assert heard.ids == [f"CG9RX2M7KQ4{number:02d}A" for number in range(6)]


async def test_nothing_is_acknowledged_to_the_broker_before_the_engine_has_answered(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    away = free_port()
    config = load_bridge(write_config(tmp_path, mosquitto.port, away))
    async with bridge(config):
        await bridge_subscribed(gateway)
        gateway.publish(CHARGES, charge(1))
        await asyncio.sleep(0.2)
    heard = EngineLog()
    async with engine(heard) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        assert "CG9RX2M7KQ400A" in await next_payload(gateway)
        assert "CG9RX2M7KQ401A" in await next_payload(gateway)
        assert heard.ids == ["CG9RX2M7KQ400A", "CG9RX2M7KQ401A"]


async def test_rubbish_foreign_answers_and_two_frames_in_a_packet_do_no_harm(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    def answer(packet: bytes) -> bytes:
        own = packet.split(b"|")[9]
        frames = [b"not HL7", b"MSH|^~\\&|E|H|C|N|1||ACK|X1|T|2.5.1\rMSA|AA|CGSOMEBODYELS\r"]
        frames.append(b"MSH|^~\\&|E|H|C|N|1||ACK|X2|T|2.5.1\rMSA|AA|" + own + b"\r")
        return b"\xff\x00 rubbish" + b"".join(b"\x0b" + each + b"\x1c\r" for each in frames)

    async with scripted_engine(answer) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        await bridge_subscribed(gateway)
        assert "MSA|AA|CG9RX2M7KQ400A" in await next_payload(gateway)
        assert gateway.is_silent(), "answers to nothing are not passed on"


async def test_an_engine_that_closes_then_stalls_then_works_gets_the_message(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    moods = iter([None, b"", None])

    def answer(packet: bytes) -> bytes | None:
        own = packet.split(b"|")[9]
        works = b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X|T|2.5.1\rMSA|AA|" + own + b"\r\x1c\r"
        return next(moods, works)

    async with scripted_engine(answer) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        await bridge_subscribed(gateway)
        assert "MSA|AA|CG9RX2M7KQ400A" in await next_payload(gateway)


async def test_a_message_that_the_engine_never_answers_blocks_none_behind_it(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    def answer(packet: bytes) -> bytes | None:
        own = packet.split(b"|")[9]
        if own == b"CG9RX2M7KQ400A":
            return None
        return b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X|T|2.5.1\rMSA|AA|" + own + b"\r\x1c\r"

    async with scripted_engine(answer) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        await bridge_subscribed(gateway)
        gateway.publish(CHARGES, charge(1))
        assert "MSA|AA|CG9RX2M7KQ401A" in await next_payload(gateway)


async def test_a_killed_broker_loses_no_charge(tmp_path: Path, gateway: SiteGateway, mosquitto: Mosquitto) -> None:
    """The gateway's outbox resends what the broker loses; here the publisher does."""
    heard = EngineLog()
    async with engine(heard) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        await bridge_subscribed(gateway)
        await next_payload(gateway)
        await asyncio.to_thread(mosquitto.kill)
        await asyncio.to_thread(mosquitto.start)
        back = PahoClient(mosquitto.port, paho.MQTTv5, "gw-02")
        await eventually(lambda: back.publish(CHARGES, charge(1)) == 0, "the bridge is back")
        await eventually(lambda: "CG9RX2M7KQ401A" in heard.ids, "the engine has it")
        back.disconnect()


async def test_what_the_engine_sends_reaches_the_gateways_and_is_acknowledged(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        assert await asyncio.to_thread(send, running.port, adt(1)) == "MSA|AA|ADT1"
        assert await next_payload(gateway) == adt(1).decode()
        assert (await asyncio.to_thread(send, running.port, b"no HL7 at all")).startswith("MSA|AR")
        gateway.disconnect()
        witness = PahoClient(mosquitto.port, paho.MQTTv5, "witness")
        await eventually(lambda: witness.publish(ANSWERS, adt(0)) == NOBODY_LISTENS, "the broker knows that it is gone")
        witness.disconnect()
        answer = await asyncio.to_thread(send, running.port, adt(2))
        assert answer == "MSA|AE|ADT2|no gateway listens"


@pytest.mark.parametrize("package", ["node-hl7-server", "simple-hl7", "@medplum/hl7"])
async def test_engines_of_npm_take_charges_and_are_understood(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway, package: str
) -> None:
    # node-hl7-server reads earlier messages of a connection again with every message.
    more = "keep_connection = false" if package == "node-hl7-server" else ""
    with node_engine(package) as (port, heard):
        async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, port, more))):
            await bridge_subscribed(gateway)
            for number in range(1, 5):
                gateway.publish(CHARGES, charge(number))
            answers = [(await next_payload(gateway)).split("MSA|")[1].split("\r")[0] for _ in range(5)]
    ids = [f"CG9RX2M7KQ4{number:02d}A" for number in range(5)]
    assert [answer.split("|")[:2] for answer in answers] == [["AA", each] for each in ids]
    assert heard() == ids


@pytest.mark.parametrize("package", ["node-hl7-client", "simple-hl7", "@medplum/hl7"])
async def test_senders_of_npm_understand_our_answers(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway, package: str
) -> None:
    async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, free_port()))) as running:
        answer = await asyncio.to_thread(node_send, package, running.port, adt(1))
        assert answer == {"code": "AA", "for": "ADT1"}
        assert "ADT1" in await next_payload(gateway)


async def test_two_messages_in_a_packet_are_two_and_an_acknowledgement_is_not_acknowledged(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    config = load_bridge(write_config(tmp_path, mosquitto.port, free_port(), listen='ack = "CA"'))
    ack = b"MSH|^~\\&|E|H|C|N|1||ACK^P03|X|T|2.5.1\rMSA|AA|CG9RX2M7KQ401A\r"
    async with bridge(config) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"".join(b"\x0b" + each + b"\x1c\r" for each in (adt(1), ack, adt(2))))
        answers = b""
        while answers.count(b"\x1c") < 2:
            answers += await reader.read(4096)
        writer.close()
        assert [line for line in answers.split(b"\r") if line.startswith(b"MSA")] == [b"MSA|CA|ADT1", b"MSA|CA|ADT2"]
        assert [await next_payload(gateway) for _ in range(3)] == [adt(1).decode(), ack.decode(), adt(2).decode()]


async def test_both_ways_run_by_tls_with_certificates_on_both_sides(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    authority, strangers = Authority(tmp_path / "ours"), Authority(tmp_path / "strangers")
    host, client, stranger = authority.issue("127.0.0.1"), authority.issue("bridge"), strangers.issue("stranger")
    files = f'ca_file = "{authority.ca}"\ncert_file = "{client.certificate}"\nkey_file = "{client.key}"\n'
    listener = f'ca_file = "{authority.ca}"\ncert_file = "{host.certificate}"\nkey_file = "{host.key}"\n'
    client.key.chmod(0o600)
    host.key.chmod(0o600)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.ca))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(host.certificate, host.key)
    heard = EngineLog()
    async with engine(heard, server) as port:
        config = load_bridge(write_config(tmp_path, mosquitto.port, port, files, listener))
        async with bridge(config) as running:
            await bridge_subscribed(gateway)
            assert "MSA|AA" in await next_payload(gateway)
            trusted = ssl.create_default_context(cafile=str(authority.ca))
            trusted.load_cert_chain(client.certificate, client.key)
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port, ssl=trusted)
            writer.write(b"\x0b" + adt(1) + b"\x1c\r")
            assert b"MSA|AA|ADT1" in await reader.readuntil(b"\x1c")
            writer.close()
            foreign = ssl.create_default_context(cafile=str(authority.ca))
            foreign.load_cert_chain(stranger.certificate, stranger.key)
            assert await answer_to(adt(2), running.port, foreign) == b"", "a certificate of another authority"


async def answer_to(message: bytes, port: int, tls: ssl.SSLContext) -> bytes:
    """The answer; b"" if the connection is refused, by a TLS alert or a reset depending on timing."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    except OSError:
        return b""
    try:
        writer.write(b"\x0b" + message + b"\x1c\r")
        return await reader.read(100)
    except OSError:
        return b""
    finally:
        writer.transport.abort()


@pytest.mark.requirement("REQ-NETWORK-3")
def test_what_would_be_readable_on_the_network_is_refused_and_every_error_has_its_line(tmp_path: Path) -> None:
    path = write_config(tmp_path, 1883, 2575, 'cert_file = "none.crt"')
    path.write_text(path.read_text().replace('"127.0.0.1:2575"', '"engine.example:2575"').replace(":0", "nowhere"))
    with pytest.raises(TomlProblems) as wrong:
        load_bridge(path)
    path.write_text(path.read_text().replace("nowhere", ":0"))
    with pytest.raises(TomlProblems) as unsafe:
        load_bridge(path)
    assert "listen.address" in str(wrong.value.problems)
    texts = " ".join(problem.message for problem in unsafe.value.problems)
    assert "readable on the network" in texts
    assert "cert_file and key_file together" in texts
    assert all(problem.line > 0 for problem in unsafe.value.problems)


def test_the_pages_example_is_accepted(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "connect-an-engine.md").read_text()
    (tmp_path / "bridge.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    authority = Authority(tmp_path / "secrets")
    bridge_files = authority.issue("bridge")
    bridge_files.certificate.rename(tmp_path / "secrets" / "bridge.crt")
    bridge_files.key.chmod(0o600)
    authority.ca.rename(tmp_path / "secrets" / "ca.crt")
    loaded = load_bridge(tmp_path / "bridge.toml")
    assert list(loaded.outbound.values()) == [
        "capgate/v1/north/ehr/+/charge/hl7",
        "capgate/v1/north/ehr/+/observation/hl7",
    ]
    assert (loaded.inbound.topic, loaded.target.port) == ("capgate/v1/north/ehr/in/hl7", 6661)
    assert loaded.listen is not None
    assert loaded.listen.ca is not None


async def test_an_address_that_cannot_be_had_is_told(tmp_path: Path, mosquitto: Mosquitto) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = write_config(tmp_path, mosquitto.port, free_port())
        path.write_text(path.read_text().replace(":0", f":{taken.getsockname()[1]}"))
        with pytest.raises(ExceptionGroup) as refused:
            await Bridge(load_bridge(path), SystemClock()).run()
        assert refused.group_contains(OSError)
