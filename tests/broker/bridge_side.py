"""A bridge under test, and simulated gateways of its site, as MQTT clients."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.client as paho

from gateway.bridge.bridge import Bridge
from gateway.bridge.config import BridgeConfig
from gateway.runtime.clock import SystemClock
from tests.broker.harness import eventually
from tests.broker.paho_client import PahoClient

ROOT = "capgate-test/v1/north"
CHARGES = f"{ROOT}/ehr/gw-01/charge/hl7"
OBSERVATIONS = f"{ROOT}/ehr/gw-01/observation/hl7"
ANSWERS = f"{ROOT}/ehr/in/hl7"


def charge(number: int) -> bytes:
    """A charge whose MSH-10 ends in `number` and A."""
    text = f"MSH|^~\\&|CAPGATE|NORTH|EHR|H|20260310||DFT^P03^DFT_P03|CG9RX2M7KQ4{number:02d}A|T|2.5.1|||NE|AL\r"
    return (text + "EVN||20260310\rPID|||V770012||Müller\rFT1|1|9RX2M7KQ401A||20260310||CG|97009\r").encode()


def adt(number: int, more: str = "") -> bytes:
    """A message of the engine, ADT1 and so on."""
    head = f"MSH|^~\\&|EHR|H|CAPGATE|NORTH|20260310||ADT^A04|ADT{number}|T|2.5.1\r"
    return f"{head}PID|||V1\r{more}".encode()


class SiteGateway(PahoClient):
    """A simulated gateway that answers each message with `judge(control id)`, as result/code/text; None: no answer."""

    def __init__(self, port: int, judge: Callable[[str], str | None], name: str = "gw-01") -> None:
        super().__init__(port, paho.MQTTv5, name)
        self._judge = judge
        self._gateway = name
        self.client.on_message = self._on_message
        self.subscribe(ANSWERS)
        self.publish_status("online")

    def publish_status(self, state: str, **more: str) -> None:
        """Publish the gateway's retained status."""
        status = json.dumps({"data": {"state": state, "epoch": 1, "software": "1", "mode": "test", **more}})
        self.publish(f"{ROOT}/dev/{self._gateway}/status", status.encode(), retain=True)

    def result(self, control_id: str, result: str, code: str = "", text: str = "") -> None:
        """Publish the result event of a message."""
        data = {"for": f"EHR|{control_id}", "result": result, "format": "hl7v2"}
        data |= {"code": code} if code else {}
        data |= {"text": text} if text else {}
        self.client.publish(f"{ROOT}/ehr/{self._gateway}/result/json", json.dumps({"data": data}), 1)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.messages.put(message)
        control_id = message.payload.split(b"|")[9].decode()
        said = None if b"\rMSA" in message.payload else self._judge(control_id)
        if said is not None:
            self.result(control_id, *said.split("/"))


def write_config(folder: Path, broker_port: int, engine_port: int, more: str = "", listen: str = "") -> Path:
    """bridge.toml; `more` are keys of [engine], `listen` of [listen] and tables that follow."""
    path = folder / "bridge.toml"
    path.write_text(f"""
[bridge]
site = "north"
id = "bridge-01"
mode = "test"

[mqtt]
url = "mqtt://127.0.0.1:{broker_port}"

[engine]
address = "127.0.0.1:{engine_port}"
ack_timeout_s = 1
{more}
[listen]
address = "127.0.0.1:0"
{listen}
""")
    return path


@asynccontextmanager
async def bridge(config: BridgeConfig) -> AsyncGenerator[Bridge]:
    """A bridge that runs while the context lasts."""
    running = Bridge(config, SystemClock(), chance=lambda: 0.1)
    task = asyncio.create_task(running.run())
    try:
        await running.ready.wait()
        yield running
    finally:
        task.cancel()
        await asyncio.wait((task,))
        assert task.cancelled(), task.exception()


async def next_payload(gateway: PahoClient) -> str:
    """The payload of the next message that the gateway receives."""
    message = await asyncio.to_thread(gateway.next)
    return bytes(message.payload).decode()


async def bridge_subscribed(gateway: PahoClient, carried: int = 0) -> None:
    """Publish charges until the broker reports a subscriber: the bridge has subscribed."""
    await eventually(lambda: gateway.publish(CHARGES, charge(carried)) == 0, "the bridge subscribes")


async def until_online(running: Bridge, *gateways: str) -> None:
    """Wait until the bridge knows who is online."""
    await eventually(lambda: running.answers.online == set(gateways), f"{gateways} are online")
