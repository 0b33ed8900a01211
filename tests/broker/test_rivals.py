"""Two boxes with one client id, at a broker that does not say so: both see it, say it, and give way to each other."""

from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.monitoring.alarms import AlarmCode, AlarmInputs, active
from gateway.mqtt import rivals
from tests.broker.gateway_side import INBOUND, STATUS, gateway, settings
from tests.broker.harness import Mosquitto, eventually
from tests.broker.paho_client import PahoClient
from tests.broker.sink import TOPIC, Sink

MESSAGES = 10


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    return tmp_path / "one", tmp_path / "other"


async def test_two_boxes_with_one_configuration_see_each_other(
    folders: tuple[Path, Path], mosquitto: Mosquitto
) -> None:
    one_folder, other_folder = folders
    async with gateway(one_folder, settings(mosquitto.port)) as one:
        await one.connected()
        assert not one.service.has_rival
        async with gateway(other_folder, settings(mosquitto.port)) as other:
            await eventually(lambda: one.service.has_rival and other.service.has_rival, "both see it")
            assert one.counters.connects + other.counters.connects <= 10, "a fight for ever before"


async def test_what_a_gateway_itself_left_at_the_broker_is_no_rival(folders: tuple[Path, Path], any_port: int) -> None:
    folder, _ = folders
    before = PahoClient(any_port, paho.MQTTv5, "before")
    before.publish(STATUS, b"online 1", retain=True)
    for _ in range(2):
        async with gateway(folder, settings(any_port)) as gw:
            await gw.connected()
            before.publish(INBOUND, b"x")
            await eventually(lambda: gw.handled == [b"x"], "every status came before this")
            assert not gw.service.has_rival
    before.disconnect()


async def test_what_two_boxes_have_to_send_arrives_while_each_takes_the_others_connection(
    folders: tuple[Path, Path], any_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "FIRST_WAIT_S", 0.5)  # instead of half a minute
    one_folder, other_folder = folders
    with Sink(any_port, answers=False) as engine:
        async with gateway(one_folder, settings(any_port)) as one, gateway(other_folder, settings(any_port)) as other:
            boxes = {"one": one, "other": other}
            await eventually(lambda: one.service.has_rival and other.service.has_rival, "both see it")
            for number in range(MESSAGES):
                for name, box in boxes.items():
                    await box.commit_messages(TOPIC, [f"{name} {number}".encode()])
            for box in boxes.values():
                await box.outbox_empty()
                delivered = [event_id for event_id, _, counts in box.attempts() if counts]
                assert delivered == [f"e{number + 1}" for number in range(MESSAGES)], "each once, in order"
        expected = {f"{name} {number}".encode() for name in boxes for number in range(MESSAGES)}
        await eventually(lambda: set(engine.heard) == expected, "the engine has them all, and nothing else")


def test_the_alarm_names_the_client_id() -> None:
    alarms = dict(active(AlarmInputs(rival_of="capgate-gw-01")))
    assert "capgate-gw-01" in alarms[AlarmCode.CLIENT_ID_TAKEN]
