"""Node-RED with the flow of its how-to: feeds in by HTTP and MLLP, a charge out to billing, the receipt back."""

import asyncio
import json
import socket
import subprocess
import urllib.request
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
import pytest

from drivers.reading import RunState
from gateway.app import Gateway
from gateway.ledger.deliveries import Proof
from gateway.mqtt.types import NOBODY_LISTENS
from gateway.polling.supervisor import Supervisor
from tests.broker.authority import Authority
from tests.broker.deployed import DeployedMosquitto, changed, install
from tests.broker.harness import HANGS_S, Mosquitto, eventually, free_port, in_a_thread, wait_until
from tests.broker.live_site import context_of
from tests.broker.mllp_peers import NODE, send
from tests.broker.paho_client import PahoClient
from tests.contract.message_samples import MESSAGES
from tests.support.pipeline import MINUTE_US, Suite, configured, cool, facts_of, running

Json = dict[str, Any]
FLOW = Path(__file__).parents[2] / "docs" / "how-to" / "engines" / "node-red.json"
TABLES = """
[health]
listen = "127.0.0.1:0"

[receipts]
expected = "json"

[drugs]
chemo = ["PACLI"]

"""
SETTINGS = """
module.exports = {
    uiHost: "127.0.0.1", disableEditor: true, httpAdminRoot: false, telemetry: { enabled: false },
    mqttReconnectTime: 100,
    logging: { console: { level: "info" } }
};
"""


class Billing:
    """A billing system that takes each charge by HTTP, and answers with `status`."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.heard: list[tuple[str | None, Json]] = []

    @contextmanager
    def serving(self) -> Generator[int]:
        billing = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                billing.heard.append((self.headers["Idempotency-Key"], json.loads(body)))
                self.send_response(billing.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        with in_a_thread(server) as port:
            yield port


class Engine:
    """Node-RED with the flow, which a test speaks to by HTTP and by MLLP."""

    def __init__(self, http_port: int, mllp_port: int, log: Path) -> None:
        self._http_port = http_port
        self.mllp_port = mllp_port
        self._log = log

    def logged(self, text: str, times: int = 1) -> None:
        """Wait until its log has the text so often."""
        wait_until(lambda: self._log.read_text().count(text) >= times, f"Node-RED logs {text}")

    async def post(self, event: Json) -> int:
        """The status of the answer to an event."""
        return await asyncio.to_thread(self._post, json.dumps(event).encode())

    async def send(self, message: bytes) -> str:
        """The MSA of the answer to a message."""
        return await asyncio.to_thread(send, self.mllp_port, message)

    def _post(self, body: bytes) -> int:
        url = f"http://127.0.0.1:{self._http_port}/capgate"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=HANGS_S) as answer:
            return answer.status


@contextmanager
def node_red(folder: Path, broker_port: int, billing_port: int) -> Generator[Engine]:
    """Node-RED with the how-to's flow, at a broker without TLS, for a gateway in mode test."""
    text = changed(FLOW.read_text(), {"capgate/v1/north": "capgate-test/v1/ward", '"usetls": true': '"usetls": false'})
    with running_flow(folder, text, broker_port, billing_port) as engine:
        yield engine


@contextmanager
def running_flow(folder: Path, text: str, broker_port: int, billing_port: int) -> Generator[Engine]:
    """Node-RED with a flow, and this machine's address and ports in the place of the page's."""
    http_port, mllp_port = free_port(), free_port()
    flow = json.loads(text)
    nodes: dict[str, Json] = {node["id"]: node for node in flow}
    nodes["broker"] |= {"broker": "127.0.0.1", "port": str(broker_port)}
    nodes["billing"]["url"] = f"http://127.0.0.1:{billing_port}/charges"
    nodes["mllp"]["port"] = str(mllp_port)
    folder.mkdir(exist_ok=True)
    (folder / "settings.js").write_text(SETTINGS)
    (folder / "flow.json").write_text(json.dumps(flow))
    command = ["node", NODE / "node_modules" / "node-red" / "red.js", "-u", folder, "-p", str(http_port)]
    command += ["-s", folder / "settings.js", folder / "flow.json"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as program:
        try:
            engine = Engine(http_port, mllp_port, folder / "log")
            engine.logged("Connected to broker")
            yield engine
        finally:
            program.terminate()


async def lines_at_rest(_: Supervisor) -> None:
    await asyncio.Event().wait()


@asynccontextmanager
async def ward(folder: Path, broker_port: int) -> AsyncGenerator[Suite]:
    """A gateway at the broker, whose unit is read by the test."""
    async with running(configured(folder, TABLES)) as suite:
        mqtt = msgspec.structs.replace(suite.config.mqtt, port=broker_port)
        config, stop = msgspec.structs.replace(suite.config, mqtt=mqtt), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(Gateway(config, suite.clock, suite.ledger, suite.pipeline).run(stop))
            yield suite
            stop.set()


def event(suite: Suite, name: str, thing: str, minutes_ago: float = 0.0, **data: object) -> Json:
    return {
        "specversion": "1.0",
        "type": f"org.example.{thing}.v1",
        "source": "urn:mar",
        "id": name,
        "time": at(suite, minutes_ago).isoformat(),
        "data": {"visit": "V-1", **data},
    }


def end_of_infusion(suite: Suite, minutes_ago: float) -> bytes:
    start, end = (f"{at(suite, each):%Y%m%d%H%M%S+0000}" for each in (50, minutes_ago))
    lines = [
        f"MSH|^~\\&|EHR|H|CAPGATE|WARD|{end}||RAS^O17^RAS_O17|R1|T|2.5.1",
        "PV1|1|O|A^B^C01" + "|" * 16 + "V-1",
        "ORC|RE|O-1|||CM",
        f"RXA|0|1|{start}|{end}|PACLI||||STOPPED|||||||||||CP|A|{end}",
    ]
    return "\r".join([*lines, ""]).encode()


def at(suite: Suite, minutes_ago: float) -> datetime:
    return datetime.fromtimestamp((suite.clock.us - minutes_ago * MINUTE_US) / 1e6, UTC)


async def recorded(suite: Suite, kind: str) -> None:
    async with asyncio.timeout(HANGS_S):
        while not await facts_of(suite, kind):
            await asyncio.sleep(0.02)


async def proof_of(suite: Suite, charge: str) -> Proof:
    """What the gateway knows of the charge's delivery, once it has a receipt."""
    async with asyncio.timeout(HANGS_S):
        while (await suite.ledger.outbox.deliveries()).pending:
            await asyncio.sleep(0.02)
    followed = await suite.ledger.outbox.followed(charge)
    assert followed is not None
    return followed.proof


@pytest.mark.parametrize(("status", "proof"), [(201, Proof.ACKNOWLEDGED), (422, Proof.REJECTED)])
async def test_an_infusion_comes_in_a_charge_goes_out_and_a_receipt_comes_back(
    status: int, proof: Proof, tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Supervisor, "run", lines_at_rest)
    billing = Billing(status)
    with billing.serving() as billing_port, node_red(tmp_path / "node-red", mosquitto.port, billing_port) as engine:
        async with ward(tmp_path / "ward", mosquitto.port) as suite:
            await cool(suite)
            bound = event(suite, "b", "association.bound", 60, validated=True, unit="cap-01", cap=1)
            assert await engine.post(bound) == 202
            await recorded(suite, "patient_bound")
            assert await engine.send(end_of_infusion(suite, 1)) == "MSA|AA|R1"
            await recorded(suite, "infusion_ended")
            await suite.poll(80)
            suite.state = RunState.STOPPED
            await suite.poll(2)
            assert await engine.post(event(suite, "p", "preparation.charted", person="rn-1")) == 202
            await recorded(suite, "preparation_charted")
            assert await engine.post(event(suite, "f", "session.finalized", person="rn-1")) == 202
            await eventually(lambda: bool(billing.heard), "billing has the charge")
            ((key, charge),) = billing.heard
            assert (key, charge["quantity"], charge["patient"]["visit"]) == (charge["charge"], 3, "V-1")
            assert await proof_of(suite, charge["charge"]) is proof


def published(port: int, topic: str, payload: bytes) -> None:
    command = ["mosquitto_pub", "-p", str(port), "-V", "5", "-q", "1", "-t", topic, "-s"]
    subprocess.run(command, input=payload, check=True, timeout=HANGS_S)


def test_a_charge_waits_at_the_broker_while_node_red_is_stopped(tmp_path: Path, mosquitto: Mosquitto) -> None:
    billing = Billing(201)
    charge = (MESSAGES / "out_charge.json").read_bytes()
    with billing.serving() as billing_port:
        with node_red(tmp_path / "node-red", mosquitto.port, billing_port):
            pass
        published(mosquitto.port, "capgate-test/v1/ward/ehr/gw-01/charge/json", charge)
        with node_red(tmp_path / "node-red", mosquitto.port, billing_port):
            wait_until(lambda: bool(billing.heard), "billing has the charge")
    assert billing.heard == [(json.loads(charge)["id"], json.loads(charge)["data"])]


def test_the_flow_as_it_stands_files_a_charge_over_the_shipped_broker(tmp_path: Path) -> None:
    billing, authority, secrets = Billing(201), Authority(tmp_path / "authority"), tmp_path / "secrets"
    install(authority, tmp_path / "certs", "broker", "127.0.0.1")
    install(authority, secrets, "interface-engine", "interface-engine")
    flow = changed(FLOW.read_text(), {"/etc/node-red": str(secrets)})
    charge = (MESSAGES / "out_charge.json").read_bytes()
    fed = b"MSH|^~\\&|EHR|H|C|N|20260310||ADT^A04|M1|P|2.5.1\rPV1|1\r"
    with DeployedMosquitto(tmp_path, tmp_path / "certs") as broker, billing.serving() as billing_port:
        gateway = PahoClient(broker.port, paho.MQTTv5, "gw-01", tls=context_of(authority, "gw-01"))
        gateway.subscribe("capgate/v1/north/ehr/in/#")
        with running_flow(tmp_path / "node-red", flow, broker.port, billing_port) as engine:
            topic = "capgate/v1/north/ehr/gw-01/charge/json"
            wait_until(lambda: gateway.publish(topic, charge) != NOBODY_LISTENS, "it subscribes to charges")
            receipt = json.loads(gateway.messages.get(timeout=HANGS_S).payload)["data"]
            assert send(engine.mllp_port, fed) == "MSA|AA|M1"
            assert gateway.messages.get(timeout=HANGS_S).payload == fed
        gateway.disconnect()
        assert broker.denied == []
    assert billing.heard == [(json.loads(charge)["id"], json.loads(charge)["data"])]
    assert (receipt["for"], receipt["result"]) == (json.loads(charge)["id"], "accepted")


def test_nobody_is_answered_while_the_broker_is_away(tmp_path: Path, mosquitto: Mosquitto) -> None:
    first, second = (f"MSH|^~\\&|EHR|H|C|N|20260310||ADT^A04|{name}|T|2.5.1\rPV1|1\r".encode() for name in ("M1", "M2"))
    with (
        node_red(tmp_path / "node-red", mosquitto.port, free_port()) as engine,
        socket.create_connection(("127.0.0.1", engine.mllp_port), HANGS_S) as sender,
    ):
        mosquitto.kill()
        engine.logged("Disconnected from broker")
        sender.sendall(b"\x0b" + first + b"\x1c\r")
        mosquitto.start()
        engine.logged("Connected to broker", times=2)
        sender.sendall(b"\x0b" + second[:20])
        sender.sendall(second[20:] + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            answer += sender.recv(4096)
    assert [line for line in answer.split(b"\r") if line.startswith(b"MSA")] == [b"MSA|AA|M2"]
