"""A live site of real processes as the pages set it up: the broker, one unit, the gateway and the bridge, by TLS."""

import asyncio
import json
import re
import signal
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as paho

from tests.broker.authority import Authority
from tests.broker.command_side import capgate
from tests.broker.deployed import DeployedMosquitto, changed, install
from tests.broker.harness import free_port
from tests.broker.paho_client import PahoClient
from tests.support import suite
from tests.support.operator import Json

ROOT = Path(__file__).parents[2]
BRIDGE_PAGE = ROOT / "docs" / "how-to" / "connect-an-engine.md"
TOPICS = "capgate/v1/north"
ANSWERS = f"{TOPICS}/ehr/gw-01/result/json"
FIRST_S = 3  # cooling that attains the first unit; each further one takes half an hour, as shipped
LINE = """
[[line]]
id = "net-1"
url = "{url}"

[[line.unit]]
id = "cap-07"
profile = "reference-cap-unit"
unit_id = 1
poll_period_s = 0.5
cap = [{{ cap = 1, chair = "c12" }}]
"""


class InterfaceEngine(PahoClient):
    """The hospital's engine at the broker, which hears all that it may; it can acknowledge charges by JSON receipts."""

    def __init__(self, port: int, tls: ssl.SSLContext, *, answers: bool) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._answers = answers
        super().__init__(port, paho.MQTTv5, "interface-engine", tls=tls)
        self.client.on_message = self._on_message
        self.subscribe(f"{TOPICS}/dev/#")
        self.subscribe(f"{TOPICS}/ehr/+/#")

    def events(self, topic: str) -> list[Json]:
        """What came on topics that end so, as JSON."""
        return [json.loads(payload) for each, payload in list(self.heard) if each.endswith(topic)]

    def _on_message(self, client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))
        if self._answers and message.topic.endswith("/charge/json"):
            charge: str = json.loads(message.payload)["id"]
            data = {"for": charge, "result": "accepted"}
            receipt = event("ack", f"ack-{charge}", suite.in_future(0), data)
            client.publish(f"{TOPICS}/ehr/in/json", receipt, 1)


class Site(NamedTuple):
    """What a story acts on and looks at."""

    folder: Path
    authority: Authority
    broker: DeployedMosquitto
    units: suite.Units
    gateway: suite.Gateway
    engine: InterfaceEngine

    @property
    def config(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.toml"


@asynccontextmanager
async def live_site(folder: Path, vocabulary: str, formats: str, receipts: str) -> AsyncGenerator[Site]:
    """A site whose gateway is connected and reads the unit; a clean stop of the gateway at the end."""
    authority = Authority(folder / "authority")
    install(authority, folder / "certs", "broker", "127.0.0.1")
    install(authority, folder / "secrets", "client", "gw-01")
    with DeployedMosquitto(folder, folder / "certs") as broker:
        async with suite.serving(folder, suite.one_line("cap-07")) as units:
            _write_policy(folder)
            _write_configuration(folder, units.url, broker.port, vocabulary, formats, receipts)
            engine = InterfaceEngine(broker.port, context_of(authority, "interface-engine"), answers=receipts == "json")
            gateway = suite.Gateway(folder)
            await gateway.start()
            last = signal.SIGKILL
            try:
                await gateway.connected()
                await suite.until(lambda: _is_read(engine), "the unit is read")
                yield Site(folder, authority, broker, units, gateway, engine)
                last = signal.SIGTERM
            finally:
                code = await gateway.end(last)
                engine.disconnect()
            assert code == 0


@asynccontextmanager
async def bridge(site: Site, engine_port: int) -> AsyncGenerator[int]:
    """The installed bridge, with the configuration of its page; yields the port where it listens."""
    install(site.authority, site.folder / "secrets", "bridge", "bridge-01")
    port, page = free_port(), BRIDGE_PAGE.read_text()
    (tables,) = re.findall(r"^```toml\n(\[bridge\].*?)^```$", page, re.MULTILINE | re.DOTALL)
    config = site.folder / "bridge.toml"
    changes = {
        "broker.north.example:8883": f"127.0.0.1:{site.broker.port}",
        "engine.north.example:6661": f"127.0.0.1:{engine_port}",
        "10.20.0.5:2575": f"127.0.0.1:{port}",
        "127.0.0.1:9465": f"127.0.0.1:{free_port()}",
        "answer_timeout_s = 20": "answer_timeout_s = 120",
    }
    config.write_text(changed(tables, changes))
    with (site.folder / "bridge.log").open("wb") as log:
        program = await asyncio.create_subprocess_exec(suite.CAPGATE, "bridge", "--config", config, stderr=log)
    try:
        await says('"gateways_online":["gw-01"]', "bridge", "--status", "--json", "--config", config)
        yield port
        program.send_signal(signal.SIGTERM)
        assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


async def says(words: str, *command: str | Path) -> None:
    """Run a command of capgate until it says those words."""
    said = ""
    try:
        async with asyncio.timeout(suite.HANGS_S):
            while words not in said:
                _, said = await capgate(*command)
    except TimeoutError:
        raise AssertionError(f"never said: {words}; last: {said}") from None


def context_of(authority: Authority, user: str) -> ssl.SSLContext:
    """TLS as a client of that name."""
    identity = authority.issue(user)
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.load_cert_chain(identity.certificate, identity.key)
    return context


def event(thing: str, name: str, at: datetime, data: Json) -> str:
    """A JSON event of the engine."""
    return json.dumps(
        {
            "specversion": "1.0",
            "type": f"org.north.{thing}.v1",
            "source": "urn:north:engine",
            "id": name,
            "time": at.isoformat(),
            "data": data,
        }
    )


def _is_read(engine: InterfaceEngine) -> bool:
    return any(each["data"]["link"] == "up" for each in engine.events("/unit/cap-07/status"))


def _write_policy(folder: Path) -> None:
    shipped = (ROOT / "config" / "policies" / "default.toml").read_text()
    changes = {
        'approved_by = ""': 'approved_by = "the tests"',
        "first_threshold_s = 960": f"first_threshold_s = {FIRST_S}",
        'timezone = "UTC"': 'timezone = "America/New_York"',
        "# max_gap_s = 30.0": "max_gap_s = 600.0",
    }
    (folder / "policy.toml").write_text(changed(shipped, changes))


def _write_configuration(
    folder: Path, url: str, broker_port: int, vocabulary: str, formats: str, receipts: str
) -> None:
    site, line, _ = (ROOT / "config" / "gateway.toml").read_text().partition("# A serial line with one unit.")
    assert line
    changes = {
        "/var/lib/capgate": "state",
        "broker.north.example:8883": f"127.0.0.1:{broker_port}",
        'policy = "default"': 'policy = "policy.toml"',
        "127.0.0.1:9464": f"127.0.0.1:{free_port()}",
        'expected = "none"': f'expected = "{receipts}"',
        'formats = ["json", "hl7"]': f"formats = {formats}",
        'vocabulary = "common"': f'vocabulary = "{vocabulary}"',
    }
    (folder / "gateway.toml").write_text(changed(site, changes) + LINE.format(url=url))
