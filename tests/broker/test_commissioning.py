"""`capgate send-test` and `capgate outbox` against a real broker: through a running gateway and without one."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from jsonschema import Draft7Validator

from gateway.app import run_gateway
from gateway.config.load import load_config
from gateway.control.socket import SOCKET_FILE
from gateway.runtime.clock import SystemClock
from tests.broker.command_side import CONFIG, capgate
from tests.broker.harness import Mosquitto, eventually, free_port
from tests.broker.paho_client import PahoClient
from tests.contract.message_samples import SCHEMAS

pytestmark = pytest.mark.timeout(300)  # many processes, one after the other

LONGEST_WAIT_S = 15.0  # the most that the command takes
ROOT = "capgate-test/v1/ward/ehr"


@pytest.fixture
def config(tmp_path: Path, mosquitto: Mosquitto) -> Path:
    return write(tmp_path, mosquitto.port)


def write(folder: Path, broker_port: int) -> Path:
    path = folder / "gateway.toml"
    path.write_text(CONFIG.format(broker=broker_port, unit=free_port()))
    return path


@asynccontextmanager
async def gateway(config: Path) -> AsyncGenerator[None]:
    """A running gateway whose only unit is dead."""
    stop = asyncio.Event()
    settings = load_config(config)
    task = asyncio.create_task(run_gateway(settings, SystemClock(), stop))
    try:
        await eventually((settings.state_dir / SOCKET_FILE).exists, "the control socket is there")
        yield
    finally:
        stop.set()
        await task


async def send_test(config: Path, what: str = "charge", wait_s: float = LONGEST_WAIT_S) -> tuple[int, dict[str, Any]]:
    code, said = await capgate("send-test", what, "--config", config, "--wait", str(wait_s), "--json")
    return code, json.loads(said)


async def step(config: Path, wait_s: float = LONGEST_WAIT_S) -> tuple[int, str]:
    """Exit code, and how far a test charge came."""
    code, tried = await send_test(config, wait_s=wait_s)
    return code, tried["step"]


class Engine:
    """An engine that answers what it hears as `result` says; None: it keeps silent."""

    def __init__(self, port: int, result: str | None) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._caller = PahoClient(port, paho.MQTTv5, "engine")
        self._result = result
        self._caller.client.on_message = self._answer
        self._caller.subscribe(f"{ROOT}/gw-01/+/json")

    def _answer(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        event = json.loads(message.payload)
        self.heard.append((message.topic, event))
        if self._result is None or "/result/" in message.topic:
            return
        receipt = {
            "specversion": "1.0",
            "type": "org.example.ack.v1",
            "source": "urn:engine",
            "id": f"r-{event['id']}",
            "time": "2026-03-10T15:30:03Z",
            "data": {"for": event["id"], "result": self._result},
        }
        self._caller.client.publish(f"{ROOT}/in/json", json.dumps(receipt), 1)

    def leave(self) -> None:
        self._caller.disconnect()


@pytest.fixture
def engine(mosquitto: Mosquitto) -> Iterator[Engine]:
    made = Engine(mosquitto.port, "accepted")
    yield made
    made.leave()


@pytest.mark.parametrize("what", ["charge", "increment"])
async def test_an_engine_that_answers_is_told_to_be_there(config: Path, engine: Engine, what: str) -> None:
    async with gateway(config):
        code, tried = await send_test(config, what)
        assert (code, tried["step"]) == (0, "acknowledged")
    code, tried = await send_test(config, what)
    assert (code, tried["step"]) == (0, "acknowledged"), "without a gateway as well"
    (topic, event), (_, again) = [each for each in engine.heard if f"/{what}/" in each[0]]
    assert topic == f"{ROOT}/gw-01/{what}/json"
    assert again["id"] == tried["key"] != event["id"]
    assert event["data"]["mode"] == "test"
    assert re.fullmatch(r"TEST[0-9A-Z]{4}L\d\dA", event["id"]), "no session has an L in its token"
    schema = json.loads((SCHEMAS / f"{what}-1.json").read_text())
    assert [problem.message for problem in Draft7Validator(schema).iter_errors(event["data"])] == []  # pyright: ignore[reportUnknownMemberType] untyped


async def test_a_test_is_in_no_ledger(config: Path, engine: Engine) -> None:
    async with gateway(config):
        await send_test(config)
        code, listed = await capgate("outbox", "list", "--config", config)
        assert (code, listed) == (0, "the engine has everything\n")
    assert len([topic for topic, _ in engine.heard if topic.endswith("/charge/json")]) == 1


async def test_every_way_to_fail_has_its_name(tmp_path: Path) -> None:
    access = tmp_path / "acl"
    access.write_text("topic readwrite #\n")
    with Mosquitto(tmp_path, [f"acl_file {access}"]) as broker:
        config = write(tmp_path, broker.port)
        async with gateway(config):
            assert await step(config) == (1, "nobody-listens")
            silent = Engine(broker.port, None)
            assert await step(config, wait_s=0.5) == (1, "not-acknowledged")
            assert await step(config, wait_s=0) == (0, "taken")
            silent.leave()
            angry = Engine(broker.port, "rejected")
            assert await step(config) == (1, "rejected")
            angry.leave()
            access.write_text("topic read #\ntopic write capgate-test/v1/ward/dev/#\n")
            broker.reload()
            while (came := await step(config)) == (1, "nobody-listens"):
                pass  # the broker reads its list in its own time
            assert came == (1, "not-allowed")
        assert await step(config) == (1, "not-allowed"), "without a gateway as well"
    assert await step(config) == (1, "not-connected")


async def test_there_is_no_order_for_what_is_not_there(config: Path) -> None:
    async with gateway(config):
        who = ("--person", "rn-1", "--reason", "mended")
        code, said = await capgate("outbox", "resend", "9RX2M7KQ400A", *who, "--config", config)
        assert (code, said.splitlines()[0]) == (1, "refused: no message has that key")
        code, said = await capgate("outbox", "show", "9RX2M7KQ400A", "--config", config)
        assert code == 1
