"""The files that are deployed do what they promise: systemd takes the unit, mosquitto grants just these rights."""

import queue
import re
import ssl
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.ledger.checkpoint import Checkpoint, CheckpointData, note_of, read_checkpoint, to_data
from gateway.ledger.entry import Head
from tests.broker.deployed import DEPLOY, DeployedMosquitto, changed
from tests.broker.harness import wait_until
from tests.support.tools import tool

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "secure-the-broker.md"
AUDIT_PAGE = PAGE.with_name("audit.md")
AT = "2026-03-10T16:35:01.000Z"
EXPOSURE_TENTHS = 20
NOT_AUTHORIZED = 0x87
PATIENCE_S = 50.0
KEPT_S = 3600  # how long the broker keeps a session that lasts
USERS = (  # of the access list and, gw-02, of none
    "gw-01", "gw-01-commands", "gw-02", "gw-03", "interface-engine", "interface-engine-out", "dashboard",
    "checkpoint-keeper", "bridge-01", "bridge-01-a", "bridge-01-b",
)  # fmt: skip
MADE_BY_THE_PAGE = {"gw-01", "gw-01-commands"}


# --- the service


@pytest.fixture(params=["capgate.service", "capgate-bridge.service"])
def unit_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit with a program that exists on this machine."""
    unit = tmp_path / str(request.param)
    unit.write_text((DEPLOY / unit.name).read_text().replace("/opt/capgate/bin/capgate", "/bin/true"))
    return unit


def test_systemd_finds_nothing_wrong_with_the_unit(unit_file: Path) -> None:
    verified = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", unit_file], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr.strip()) == (0, "")


@pytest.mark.requirement("REQ-NETWORK-6")
def test_the_unit_is_exposed_by_less_than_two_of_ten(unit_file: Path) -> None:
    command = [tool("systemd-analyze"), "security", "--offline=true", f"--threshold={EXPOSURE_TENTHS}", "--no-pager"]
    rated = subprocess.run([*command, unit_file], capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-200:] + rated.stderr


def test_the_unit_starts_the_configuration_and_is_watched() -> None:
    settings = (DEPLOY / "capgate.service").read_text().splitlines()
    for wanted in (
        "Type=notify",
        "WatchdogSec=30",
        "Restart=always",
        "TimeoutStopSec=20",
        "ExecStart=/opt/capgate/bin/capgate run --config /etc/capgate/gateway.toml",
        "DeviceAllow=char-ttyUSB rw",
    ):
        assert wanted in settings, wanted


# --- the broker


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, the broker, the three users of the access list, a user it does not know, and a stranger."""
    folder = tmp_path_factory.mktemp("certs")
    _follow_the_page(folder)
    _authority(folder, "stranger-ca")
    for user in sorted(set(USERS) - MADE_BY_THE_PAGE):
        _issue(folder, user, "ca")
    _issue(folder, "stranger", "stranger-ca")
    return folder


def _follow_the_page(folder: Path) -> None:
    """Make the authority, the broker and gw-01's two with the commands of the how-to, for a broker at this machine."""
    (commands,) = re.findall(r"^```sh\n(openssl req .*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert "DNS:broker.north.example" in commands
    commands = commands.replace("DNS:broker.north.example", "IP:127.0.0.1")
    subprocess.run(["sh", "-ec", commands], cwd=folder, check=True, capture_output=True)


_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def _authority(folder: Path, name: str) -> None:
    _openssl(folder, "req", "-x509", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")


def _issue(folder: Path, name: str, authority: str) -> None:
    _openssl(folder, "req", "-new", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    signing = ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2"]
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run([tool("openssl"), *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def broker_port(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """mosquitto with the deployed files, and a further gateway as the page adds it."""
    broker = DeployedMosquitto(tmp_path_factory.mktemp("broker"), certificates)
    access = broker.access.read_text()
    (block,) = [each for each in access.split("\n\n") if "user gw-01\n" in each]
    broker.access.write_text(f"{access}\n{block.replace('gw-01', 'gw-03')}\n")
    with broker:
        yield broker.port


class Peer:
    """One MQTT 5 client of the broker, with a certificate."""

    def __init__(
        self, port: int, certificates: Path, user: str, *, client_id: str = "", clean: bool = True, kept_s: int = 0
    ) -> None:
        self.session_present = False
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._events: queue.Queue[tuple[str, int]] = queue.Queue()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or f"test-{user}",
            protocol=MQTTv5,
            reconnect_on_failure=False,
        )
        lasting = Properties(PacketTypes.CONNECT)
        lasting.SessionExpiryInterval = kept_s
        context = ssl.create_default_context(cafile=certificates / "ca.crt")
        context.load_cert_chain(certificates / f"{user}.crt", certificates / f"{user}.key")
        self._client.tls_set_context(context)  # pyright: ignore[reportUnknownMemberType] - paho leaves it untyped
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, clean_start=clean, properties=lasting)
        self._client.loop_start()
        assert self._next("connected") == 0

    def subscribe(self, topic: str) -> None:
        """Ask for a topic; mosquitto grants any and then delivers what the access list allows."""
        self._client.subscribe(topic, 1)
        self._next("subscribed")

    def publish(self, topic: str, payload: bytes = b"x") -> int:
        """The reason code of the broker's PUBACK."""
        self._client.publish(topic, payload, 1, properties=Properties(PacketTypes.PUBLISH))
        return self._next("published")

    def close(self) -> None:
        """Leave and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _next(self, kind: str) -> int:
        got, code = self._events.get(timeout=PATIENCE_S)
        assert got == kind
        return code

    def _on_connect(
        self, _client: Client, _data: object, flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self.session_present = flags.session_present
        self._events.put(("connected", code.value))

    def _on_subscribe(
        self, _client: Client, _data: object, _id: int, _codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._events.put(("subscribed", 0))

    def _on_publish(
        self, _client: Client, _data: object, _id: int, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._events.put(("published", code.value))

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.put((message.topic, bytes(message.payload)))


@pytest.fixture
def peers(broker_port: int, certificates: Path) -> Iterator[dict[str, Peer]]:
    """Every user that the authority knows, connected and subscribed to everything."""
    connected = {user: Peer(broker_port, certificates, user) for user in USERS}
    for peer in connected.values():
        peer.subscribe("#")
    yield connected
    for peer in connected.values():
        peer.close()


DEV = "dev/gw-01/unit/cap-07/status"
EHR = "ehr/gw-01/increment/json"
INBOUND = "ehr/in/json"
WRITERS = {
    f"v1/north/{DEV}": {"gw-01"},
    f"v1/north/{EHR}": {"gw-01", "gw-01-commands"},
    "v1/north/ehr/gw-01/charge/json": {"gw-01", "gw-01-commands"},
    "v1/north/ehr/gw-01/observation/hl7": {"gw-01", "gw-01-commands"},
    f"v1/north/{INBOUND}": {"interface-engine", "interface-engine-out"},
    f"v1/south/{INBOUND}": {"interface-engine", "interface-engine-out"},
    f"v1/south/{DEV}": set[str](),
    "v1/north/dev/gw-02/status": set[str](),
    "v1/north/ehr/gw-02/increment/json": set[str](),
    "v2/north/dev/gw-01/status": set[str](),
}
READERS = {
    DEV: {"gw-01", "gw-01-commands", "gw-03", "interface-engine", "dashboard"},
    "dev/gw-01/status": {"gw-01", "gw-01-commands", "interface-engine", "dashboard"},
    "dev/gw-01/checkpoint": {
        "gw-01",
        "gw-01-commands",
        "interface-engine",
        "dashboard",
        "checkpoint-keeper",
    },
    EHR: {"gw-01-commands", "interface-engine"},
    INBOUND: {"gw-01", "gw-01-commands", "gw-03", "interface-engine"},  # what it wrote itself
}


@pytest.mark.requirement("REQ-NETWORK-2")
@pytest.mark.parametrize("root", ["capgate", "capgate-test"])
def test_every_user_may_write_just_its_own_topics(peers: dict[str, Peer], root: str) -> None:
    for topic, writers in WRITERS.items():
        accepted = {user for user, peer in peers.items() if peer.publish(f"{root}/{topic}") != NOT_AUTHORIZED}
        assert accepted == writers, topic
    for topic in ("$SYS/broker/version", "other/v1/north/dev/gw-01/status", root):
        assert {peer.publish(topic) for peer in peers.values()} == {NOT_AUTHORIZED}, topic


@pytest.mark.requirement("REQ-NETWORK-2")
@pytest.mark.parametrize("root", ["capgate", "capgate-test"])
def test_every_user_reads_just_what_it_may(peers: dict[str, Peer], root: str) -> None:
    last = b"last"
    for topic in READERS:
        writer = peers["interface-engine" if topic == INBOUND else "gw-01"]
        assert writer.publish(f"{root}/v1/north/{topic}") == 0
    # One message that each of the readers sees comes after all others on its connection.
    for topic in (DEV, "dev/gw-01/checkpoint"):
        peers["gw-01"].publish(f"{root}/v1/north/{topic}", last)
    received: dict[str, set[str]] = {}
    for user in ("gw-01", "gw-01-commands", "gw-03", "interface-engine", "dashboard", "checkpoint-keeper"):
        for topic, payload in iter(lambda peer=peers[user]: peer.messages.get(timeout=PATIENCE_S), None):
            if topic.startswith(f"{root}/"):
                received.setdefault(topic.removeprefix(f"{root}/v1/north/"), set()).add(user)
            if payload == last:
                break
    assert received == READERS
    assert peers["gw-02"].messages.empty()
    assert peers["interface-engine-out"].messages.empty()


@contextmanager
def keeping(held: Path, broker_port: int, certificates: Path) -> Generator[None]:
    """The command of the audit page runs, at this machine's broker; it appends to `held`."""
    (command,) = re.findall(r"^```sh\n(mosquitto_sub .*?)\n```$", AUDIT_PAGE.read_text(), re.MULTILINE | re.DOTALL)
    command = changed(command, {"broker.example -p 8883": f"127.0.0.1 -p {broker_port}", "held.jsonl": f"'{held}'"})
    keeper = subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=certificates)
    try:
        yield
    finally:
        keeper.terminate()
        keeper.wait()


def test_the_command_of_the_audit_page_keeps_what_was_published_while_it_was_away(
    certificates: Path, tmp_path: Path
) -> None:
    held, topic = tmp_path / "held.jsonl", "capgate/v1/north/dev/gw-01/checkpoint"
    heads = [Head("0" * 16, seq, "a" * 64, "gw-01") for seq in (1, 2)]
    first, second = (to_data(Checkpoint(note_of(head, AT), b"s", b"k")) for head in heads)

    def has(data: CheckpointData) -> bool:
        return any(to_data(read_checkpoint(line)) == data for line in held.read_bytes().splitlines())

    with DeployedMosquitto(tmp_path, certificates) as broker:  # of its own: on the other one this user is connected
        gateway = Peer(broker.port, certificates, "gw-01")
        with keeping(held, broker.port, certificates):
            wait_until(lambda: gateway.publish(topic, msgspec.json.encode(first)) == 0 and has(first), "it subscribes")
        gateway.publish(topic, msgspec.json.encode(second))
        with keeping(held, broker.port, certificates):
            wait_until(lambda: has(second), "it has what it missed")
        gateway.close()


def test_a_certificate_takes_nobody_elses_session_and_nothing_that_waits_in_it(
    broker_port: int, certificates: Path
) -> None:
    """Whatever client id it gives, it has the session of its own name; two certificates share none."""
    topic = "capgate/v1/north/ehr/in/json"
    engine = Peer(broker_port, certificates, "interface-engine-out")
    gateway = Peer(broker_port, certificates, "gw-01", client_id="capgate-gw-01", kept_s=KEPT_S)
    gateway.subscribe(topic)
    for user in USERS:
        if user not in ("gw-01", "interface-engine-out"):
            for client_id in ("capgate-gw-01", "gw-01"):
                Peer(broker_port, certificates, user, client_id=client_id).close()
    assert engine.publish(topic, b"while others came and went") == 0
    assert gateway.messages.get(timeout=PATIENCE_S)[1] == b"while others came and went"
    gateway.close()
    assert engine.publish(topic, b"while it was away") == 0
    for client_id in ("capgate-gw-01", "gw-01"):
        Peer(broker_port, certificates, "dashboard", client_id=client_id).close()
    gateway = Peer(broker_port, certificates, "gw-01", client_id="capgate-gw-01", clean=False, kept_s=KEPT_S)
    assert gateway.session_present
    assert gateway.messages.get(timeout=PATIENCE_S) == (topic, b"while it was away")
    gateway.close()
    engine.close()


@pytest.mark.parametrize("root", ["capgate", "capgate-test"])
def test_the_bridge_carries_hl7_and_no_more(peers: dict[str, Peer], root: str) -> None:
    site, bridge = f"{root}/v1/north", peers["bridge-01"]
    for topic in ("ehr/in/hl7", "dev/bridge-01/status", "dev/bridge-01/lease"):
        assert bridge.publish(f"{site}/{topic}") != NOT_AUTHORIZED, topic
    for topic in ("ehr/in/json", "ehr/gw-01/charge/hl7", "dev/gw-01/status"):
        assert bridge.publish(f"{site}/{topic}") == NOT_AUTHORIZED, topic
    carried = ["dev/gw-01/status", "ehr/gw-01/charge/hl7", "ehr/gw-01/observation/hl7", "ehr/gw-01/result/json"]
    for topic in ("dev/bridge-01/lease", "ehr/gw-01/charge/json", "dev/gw-01/alarm/disk", *carried):
        peers["gw-01"].publish(f"{site}/{topic}", b"x")
    heard: list[str] = []
    while not heard or heard[-1] != f"{site}/{carried[-1]}":
        heard.append(bridge.messages.get(timeout=PATIENCE_S)[0])
    assert heard[-len(carried) :] == [f"{site}/{topic}" for topic in carried]
    assert not any(topic.endswith(("/lease", "/charge/json", "/alarm/disk")) for topic in heard)


@pytest.mark.parametrize("root", ["capgate", "capgate-test"])
def test_a_bridge_on_standby_sees_who_carries_and_no_more(peers: dict[str, Peer], root: str) -> None:
    site, watch = f"{root}/v1/north", peers["bridge-01-a"]
    assert watch.publish(f"{site}/dev/bridge-01/lease") == NOT_AUTHORIZED
    for topic in ("ehr/in/hl7", "dev/bridge-01/status", "dev/bridge-01/lease"):
        peers["bridge-01"].publish(f"{site}/{topic}", b"a")
    assert watch.messages.get(timeout=PATIENCE_S) == (f"{site}/dev/bridge-01/lease", b"a")


def test_a_reader_that_is_away_loses_nothing_up_to_the_stated_length() -> None:
    assert "max_queued_messages 20000" in (DEPLOY / "mosquitto.conf").read_text().splitlines()


@pytest.mark.requirement("REQ-NETWORK-1")
@pytest.mark.parametrize("user", ["stranger", None])
def test_without_a_certificate_of_the_authority_nobody_connects(
    broker_port: int, certificates: Path, user: str | None
) -> None:
    pair = ["-cert", f"{user}.crt", "-key", f"{user}.key"] if user else []
    # The CONNECT packet of an MQTT 5 client without an id; a broker that took it would answer.
    connect = bytes.fromhex("100d 0004 4d515454 05 02 003c 00 0000")
    asked = subprocess.run(
        [tool("openssl"), "s_client", "-quiet", "-connect", f"127.0.0.1:{broker_port}", "-CAfile", "ca.crt", *pair],
        cwd=certificates,
        input=connect,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert asked.stdout == b""
    assert b"alert" in asked.stderr
