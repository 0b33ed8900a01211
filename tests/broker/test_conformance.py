"""One suite for both brokers: the simulated one must answer as mosquitto does. Driven by paho."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol, Unpack

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.broker.harness import HANGS_S, wait_until
from tests.broker.paho_client import PahoClient, PahoOptions


class Join(Protocol):
    """Connects a client to the broker under test."""

    def __call__(self, version: int, name: str, **options: Unpack[PahoOptions]) -> PahoClient: ...


@pytest.fixture(params=[paho.MQTTv311, paho.MQTTv5], ids=["3.1.1", "5.0"])
def version(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture
def join(any_port: int) -> Iterator[Join]:
    """A function that connects clients; the remaining ones are disconnected at the end."""
    made: list[PahoClient] = []

    def join_as(version: int, name: str, **options: Unpack[PahoOptions]) -> PahoClient:
        made.append(PahoClient(any_port, version, name, **options))
        return made[-1]

    yield join_as
    for caller in made:
        caller.disconnect()


def persistent(version: int, **more: Unpack[PahoOptions]) -> PahoOptions:
    """The options of a persistent session."""
    options: PahoOptions = {**more, "clean": False}
    if version == paho.MQTTv5:
        options["connect"] = {"SessionExpiryInterval": 60}
    return options


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_of_each_qos_arrives_whole_at_the_lower_of_both_qos(join: Join, version: int, qos: int) -> None:
    reader, writer = join(version, "reader"), join(version, "writer")
    assert reader.subscribe("a/b", 1) == [1]
    assert writer.publish("a/b", b"\x00\xffwhole" * 300, qos) == 0
    message = reader.next()
    assert (message.topic, message.payload, message.qos, message.retain) == (
        "a/b",
        b"\x00\xffwhole" * 300,
        min(qos, 1),
        False,
    )


def test_wildcards_reach_what_they_should_and_nothing_else(join: Join, version: int) -> None:
    plus, rest = join(version, "plus"), join(version, "rest")
    plus.subscribe("site/+/status")
    rest.subscribe("site/#")
    writer = join(version, "writer")
    for topic in ("site", "site/a", "site/a/status", "site/a/b/status", "other/a/status", "$capgate/site"):
        writer.publish(topic, b"x")
    assert plus.next().topic == "site/a/status"
    assert plus.is_silent()
    assert [rest.next().topic for _ in range(4)] == ["site", "site/a", "site/a/status", "site/a/b/status"]
    assert rest.is_silent()


def test_a_retained_message_waits_for_subscribers_until_it_is_cleared(join: Join, version: int) -> None:
    writer = join(version, "writer")
    writer.publish("state", b"old", retain=True)
    writer.publish("state", b"new", retain=True)
    first = join(version, "first")
    first.subscribe("state")
    message = first.next()
    assert (message.payload, message.retain) == (b"new", True)
    writer.publish("state", b"live", retain=True)
    message = first.next()
    assert (message.payload, message.retain) == (b"live", False)
    writer.publish("state", b"", retain=True)
    assert first.next().payload == b""
    late = join(version, "late")
    late.subscribe("state")
    assert late.is_silent()


def test_a_lasting_session_keeps_messages_for_a_client_that_is_away(join: Join, version: int) -> None:
    reader = join(version, "reader", **persistent(version))
    assert reader.session_present is False
    reader.subscribe("in/#")
    reader.disconnect()
    writer = join(version, "writer")
    for number in range(50):
        writer.publish("in/json", str(number).encode())
    writer.publish("in/json", b"lost", 0)
    back = join(version, "reader", **persistent(version))
    assert back.session_present is True
    assert [back.next().payload for _ in range(50)] == [str(number).encode() for number in range(50)]


def test_a_clean_start_forgets_the_session(join: Join, version: int) -> None:
    reader = join(version, "reader", **persistent(version))
    reader.subscribe("in")
    reader.disconnect()
    fresh = join(version, "reader", clean=True)
    assert fresh.session_present is False
    join(version, "writer").publish("in", b"x")
    assert fresh.is_silent()


def test_what_was_not_acknowledged_comes_again_marked_as_duplicate(join: Join, version: int) -> None:
    reader = join(version, "reader", **persistent(version, manual_ack=True))
    reader.subscribe("in")
    join(version, "writer").publish("in", b"once more")
    first = reader.next()
    assert (first.payload, first.dup) == (b"once more", False)
    reader.cut()
    back = join(version, "reader", **persistent(version, manual_ack=True))
    again = back.next()
    assert (again.payload, again.dup, again.mid) == (b"once more", True, first.mid)
    back.client.ack(again.mid, 1)
    assert back.is_silent()


def test_no_more_than_the_receive_maximum_is_sent_unacknowledged(join: Join) -> None:
    reader = join(5, "reader", manual_ack=True, connect={"ReceiveMaximum": 2})
    reader.subscribe("in")
    writer = join(5, "writer")
    for number in range(3):
        writer.publish("in", str(number).encode())
    first, _ = reader.next(), reader.next()
    assert reader.is_silent()
    reader.client.ack(first.mid, 1)
    assert reader.next().payload == b"2"


def test_a_second_client_of_the_same_id_takes_over(join: Join, version: int) -> None:
    first = join(version, "twin", **persistent(version))
    first.subscribe("in")
    second = join(version, "twin", **persistent(version))
    assert second.session_present is True
    wait_until(lambda: first.gone is not None, "the first twin is cut off")
    if version == paho.MQTTv5:
        assert first.gone in (0x8E, 0x80)  # mosquitto may reset the connection before the reason is read
    join(version, "writer").publish("in", b"to the second")
    assert second.next().payload == b"to the second"


def test_a_client_silent_for_longer_than_its_keepalive_is_cut_off(any_port: int) -> None:
    with socket.create_connection(("127.0.0.1", any_port), timeout=HANGS_S) as mute:
        began_s = time.monotonic()
        mute.sendall(bytes.fromhex("100f 0004 4d515454 04 02 0001 0003 616263"))
        assert mute.recv(4) == bytes.fromhex("20020000")
        assert mute.recv(4) == b"", "cut off, as soon as the broker looks"
        assert time.monotonic() - began_s >= 1.0, "and not within its keepalive"


def test_garbage_instead_of_connect_closes_the_connection(any_port: int) -> None:
    with socket.create_connection(("127.0.0.1", any_port), timeout=HANGS_S) as rude:
        rude.sendall(b"GET / HTTP/1.1\r\nHost: broker\r\nAccept: text/html, application/xhtml+xml, */*\r\n\r\n")
        with suppress(ConnectionResetError):
            assert rude.recv(4) == b""


def test_the_will_is_published_when_the_client_dies_and_not_when_it_says_goodbye(join: Join, version: int) -> None:
    watcher = join(version, "watcher")
    watcher.subscribe("status/#")
    join(version, "polite", will=("status/polite", b"gone")).disconnect()
    join(version, "killed", will=("status/killed", b"gone")).cut()
    message = watcher.next()
    assert (message.topic, message.payload) == ("status/killed", b"gone")
    assert watcher.is_silent()


def test_a_delayed_will_waits_and_is_withdrawn_when_the_client_returns(join: Join) -> None:
    watcher = join(5, "watcher")
    watcher.subscribe("status/#")
    join(5, "returns", **persistent(5, will=("status/returns", b"gone"), will_delay_s=1)).cut()
    join(5, "stays-away", **persistent(5, will=("status/stays-away", b"gone"), will_delay_s=1)).cut()
    join(5, "returns", **persistent(5))
    assert watcher.is_silent()
    assert watcher.next().topic == "status/stays-away"
    assert watcher.is_silent()


def test_a_session_ends_when_its_expiry_has_passed(join: Join) -> None:
    options: PahoOptions = {"clean": False, "connect": {"SessionExpiryInterval": 1}}
    join(5, "brief", **options).disconnect()
    assert join(5, "brief", **options).session_present is True
    join(5, "brief", **options).disconnect()
    time.sleep(2.1)  # mosquitto checks once a second
    assert join(5, "brief", **options).session_present is False


def test_puback_says_whether_anybody_listens(join: Join) -> None:
    writer = join(5, "writer")
    assert writer.publish("nobody/here", b"x") == 0x10
    reader = join(5, "reader")
    reader.subscribe("nobody/#")
    assert writer.publish("nobody/here", b"x") == 0


def test_properties_travel_with_a_message(join: Join) -> None:
    reader, writer = join(5, "reader"), join(5, "writer")
    reader.subscribe("a")
    sent = Properties(PacketTypes.PUBLISH)
    sent.PayloadFormatIndicator = 1
    sent.ContentType = "application/json"
    sent.ResponseTopic = "ehr/in/json"
    sent.CorrelationData = b"9RX2M7KQ403A"
    sent.UserProperty = ("type", "increment")
    writer.publish("a", b"{}", properties=sent)
    got = reader.next().properties
    assert got is not None
    for name in ("PayloadFormatIndicator", "ContentType", "ResponseTopic", "CorrelationData", "UserProperty"):
        expected = [("type", "increment")] if name == "UserProperty" else getattr(sent, name)
        assert getattr(got, name) == expected


def test_a_queued_message_expires_and_one_in_time_says_what_is_left(join: Join) -> None:
    reader = join(5, "reader", **persistent(5))
    reader.subscribe("a/#")
    reader.disconnect()
    writer = join(5, "writer")
    for topic, expiry_s in (("a/brief", 1), ("a/long", 60)):
        properties = Properties(PacketTypes.PUBLISH)
        properties.MessageExpiryInterval = expiry_s
        writer.publish(topic, b"x", properties=properties)
    time.sleep(2.1)
    back = join(5, "reader", **persistent(5))
    message = back.next()
    assert message.topic == "a/long"
    assert message.properties is not None
    assert 50 <= message.properties.MessageExpiryInterval <= 58  # type: ignore[attr-defined]


def test_subscription_options_hold(join: Join) -> None:
    talker = join(5, "talker")
    talker.publish("kept", b"retained", retain=True)
    talker.subscribe("kept", retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
    assert talker.is_silent()
    talker.subscribe("own", noLocal=True)
    talker.publish("own", b"to others")
    assert talker.is_silent()
    talker.subscribe("flag", retainAsPublished=True)
    talker.publish("flag", b"x", retain=True)
    assert talker.next().retain is True


def test_after_unsubscribe_nothing_comes(join: Join, version: int) -> None:
    reader = join(version, "reader")
    reader.subscribe("a")
    reader.client.unsubscribe("a")
    reader.subscribe("fence")
    join(version, "writer").publish("a", b"x")
    assert reader.is_silent()


def test_a_client_without_an_id_is_given_one(join: Join) -> None:
    assert join(5, "").assigned_id


@pytest.mark.parametrize("flag", ["mqttv311", "mqttv5"])
def test_the_command_line_clients_of_mosquitto_agree(any_port: int, flag: str) -> None:
    where = ["-h", "127.0.0.1", "-p", str(any_port), "-V", flag]
    subscribe = ["stdbuf", "-oL", "mosquitto_sub", *where, "-t", "cli/#", "-q", "1", "-C", "2", "-W", "50", "-v", "-d"]
    reader = subprocess.Popen(subscribe, stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    seen: list[str] = []
    for line in reader.stdout:
        if "Subscribed" in line:
            break
    publish = ["mosquitto_pub", *where, "-q", "1", "-t"]
    subprocess.run([*publish, "cli/first", "-m", "one"], check=True, timeout=HANGS_S)
    subprocess.run([*publish, "cli/second", "-m", "two", "-r"], check=True, timeout=HANGS_S)
    seen = [line.strip() for line in reader.stdout if line.startswith("cli/")]
    reader.stdout.close()
    assert reader.wait(timeout=HANGS_S) == 0
    assert seen == ["cli/first one", "cli/second two"]


def test_a_burst_of_two_thousand_messages_arrives_whole_and_in_order(join: Join) -> None:
    count = 2_000
    reader, writer = join(5, "reader"), join(5, "writer")
    reader.subscribe("load", 0)
    for number in range(count):
        writer.client.publish("load", str(number).encode())
    assert [int(reader.next().payload) for _ in range(count)] == list(range(count))
