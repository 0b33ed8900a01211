"""Charges and observations go to the engine in separate lanes; wrong answers of the engine are reported."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.bridge.config import Carried, load_bridge
from gateway.bridge.lane import MOST_OBSERVATIONS
from gateway.bridge.notices import Happening, Trouble
from tests.broker.bridge_side import (
    ANSWERS,
    CHARGES,
    OBSERVATIONS,
    SiteGateway,
    bridge,
    bridge_subscribed,
    charge,
    next_payload,
    write_config,
)
from tests.broker.harness import Mosquitto, eventually
from tests.broker.mllp_peers import EngineLog, engine, scripted_engine
from tests.broker.paho_client import PahoClient


@pytest.fixture
def gateway(mosquitto: Mosquitto) -> Iterator[SiteGateway]:
    """A gateway that receives the engine's acknowledgements."""
    caller = SiteGateway(mosquitto.port, lambda _: "accepted")
    yield caller
    caller.disconnect()


def observation(number: int) -> bytes:
    return f"MSH|^~\\&|CAPGATE|NORTH|EHR|H|20260310||ORU^R01|OB{number:04d}|T|2.6\rPID|||V1\r".encode()


def accepting(packet: bytes) -> bytes:
    own = packet.split(b"|")[9]
    return b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X|T|2.5.1\rMSA|AA|" + own + b"\r\x1c\r"


async def test_an_engine_that_is_silent_on_observations_delays_no_charge(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    def answer(packet: bytes) -> bytes:
        return b"" if b"ORU^R01" in packet else accepting(packet)

    more = "ack_timeout_s = 300"
    config_file = write_config(tmp_path, mosquitto.port, 1)
    async with scripted_engine(answer) as port:
        config_file.write_text(config_file.read_text().replace("ack_timeout_s = 1", more).replace(':1"', f':{port}"'))
        async with bridge(load_bridge(config_file)) as running:
            await eventually(lambda: gateway.publish(OBSERVATIONS, observation(0)) == 0, "the bridge subscribes")
            for number in range(1, 2 * MOST_OBSERVATIONS):
                gateway.publish(OBSERVATIONS, observation(number), qos=number % 2)
            for number in range(100):
                gateway.publish(CHARGES, charge(number))
            answers = [await next_payload(gateway) for _ in range(100)]
            assert [answer.split("MSA|AA|")[1].strip() for answer in answers] == [
                f"CG9RX2M7KQ4{number:02d}A" for number in range(100)
            ]
            assert running.lanes[Carried.OBSERVATION].waiting == MOST_OBSERVATIONS + 1
            assert running.notices.counts[Happening.DROPPED] == MOST_OBSERVATIONS - 1


async def test_the_newest_observations_are_carried_when_the_engine_is_back(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    there = False

    def answer(packet: bytes) -> bytes | None:
        return accepting(packet) if there else None

    async with (
        scripted_engine(answer) as port,
        bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))) as running,
    ):
        await eventually(lambda: gateway.publish(OBSERVATIONS, observation(0)) == 0, "the bridge subscribes")
        for number in range(1, MOST_OBSERVATIONS + 51):
            gateway.publish(OBSERVATIONS, observation(number))
        await eventually(lambda: Trouble.OBSERVATIONS in running.notices.troubles, "the engine takes none")
        there = True
        heard = [(await next_payload(gateway)).split("MSA|AA|")[1].strip() for _ in range(MOST_OBSERVATIONS + 1)]
        assert f"OB{MOST_OBSERVATIONS + 50:04d}" in heard
        assert running.report().reasons() == []


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"\x0bnot HL7\x1c\r", "an answer came that is no HL7"),
        (b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X1|T|2.5.1\rMSA|AA|patient\r\x1c\r", "whose MSA-2 is not the MSH-10"),
        (b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X1|T|2.5.1\rMSA|OK|CG9RX2M7KQ400A\r\x1c\r", "without a code and an id"),
        (b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X1|T|2.5.1\rMSA|AA|CG9RX2M7KQ400A\r", "that was not ended"),
        (b"MSH|^~\\&|E|H|C|N|1||ACK|X1|T|2.5.1\rMSA|AA|CG9RX2M7KQ400A\r", "outside any MLLP frame"),
        (b"\x0b" + b"x" * 70_000 + b"\x1c\r", "larger than 65536 bytes"),
        (b"", "no acknowledgement within 1 s"),
    ],
)
async def test_a_wrong_acknowledgement_is_named_and_not_quoted(
    tmp_path: Path,
    mosquitto: Mosquitto,
    gateway: SiteGateway,
    answer: bytes,
    cause: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        scripted_engine(lambda _: answer) as port,
        bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))) as running,
    ):
        await bridge_subscribed(gateway)
        await eventually(lambda: cause in running.notices.troubles.get(Trouble.CHARGES, ""), cause)
        assert running.report().reasons()
    assert "patient" not in caplog.text


async def test_what_an_older_configuration_subscribed_to_is_not_carried(
    tmp_path: Path, mosquitto: Mosquitto, gateway: SiteGateway
) -> None:
    heard = EngineLog()
    async with engine(heard) as port:
        async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))) as running:
            await bridge_subscribed(gateway)
            await eventually(lambda: running.lanes[Carried.CHARGE].carried == 1, "it is carried")
        path = write_config(tmp_path, mosquitto.port, port, 'carry = ["observation"]')
        gateway.publish(CHARGES, charge(1))
        async with bridge(load_bridge(path)) as running:
            await eventually(lambda: running.notices.counts[Happening.NOT_CARRIED] == 1, "it is passed over")
            gateway.publish(OBSERVATIONS, observation(1))
            await eventually(lambda: heard.ids == ["CG9RX2M7KQ400A", "OB0001"], "the observation alone is carried")


async def test_an_acknowledgement_in_another_character_set_is_matched(tmp_path: Path, mosquitto: Mosquitto) -> None:
    def answer(packet: bytes) -> bytes:
        own = packet.split(b"|")[9]
        text = "|M\u00fcller fehlt\r".encode("latin-1")
        return b"\x0bMSH|^~\\&|E|H|C|N|1||ACK|X|T|2.5.1||||||ISO-8859-1\rMSA|AE|" + own + text + b"\x1c\r"

    witness = PahoClient(mosquitto.port, paho.MQTTv5, "witness")
    witness.subscribe(ANSWERS)
    async with scripted_engine(answer) as port, bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))):
        await eventually(lambda: witness.publish(CHARGES, charge(0)) == 0, "the bridge subscribes")
        message = await asyncio.to_thread(witness.next)
        assert "MSA|AE|CG9RX2M7KQ400A|Müller fehlt" in bytes(message.payload).decode("latin-1")
    witness.disconnect()
