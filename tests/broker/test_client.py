"""The connection with both brokers in both protocol versions, and the work-arounds for defects of the library."""

import asyncio
import gc
import os
import socket
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest

from gateway.ledger.batch import UNPROVEN
from gateway.mqtt.client import connect
from gateway.mqtt.types import (
    PACKET_TOO_LARGE,
    BadCredentials,
    BadTls,
    ConnectRefused,
    Disconnected,
    MqttDown,
    MqttSettings,
    OutgoingMessage,
    PublishRefused,
    TlsFiles,
    Unreachable,
)
from simulators.broker.broker import Broker
from tests.broker.authority import Authority
from tests.broker.harness import HANGS_S, Mosquitto, eventually, free_port, only_3_1_1
from tests.broker.paho_client import PahoClient

WILL = OutgoingMessage("status", b"lost", retain=True)


def settings(port: int, **changes: object) -> MqttSettings:
    fields: dict[str, object] = {"will_delay_s": 0, "connect_timeout_s": 5.0, "ack_timeout_s": 5.0} | changes
    return MqttSettings("127.0.0.1", "gateway", port, **fields)  # type: ignore[arg-type]


@pytest.fixture(params=["5.0", "3.1.1"])
async def link(request: pytest.FixtureRequest, any_port: int) -> AsyncGenerator[tuple[str, int]]:
    """The protocol version, and a port on which the connection will use it."""
    if request.param == "5.0":
        yield "5.0", any_port
    else:
        async with only_3_1_1(any_port) as port:
            yield "3.1.1", port


@pytest.fixture
def reader(any_port: int) -> Iterator[PahoClient]:
    """A client that receives everything."""
    caller = PahoClient(any_port, paho.MQTTv5, "witness")
    caller.subscribe("#")
    yield caller
    caller.disconnect()


@pytest.fixture(autouse=True)
async def no_noise(caplog: pytest.LogCaptureFixture) -> AsyncGenerator[None]:
    """The event loop and the libraries log no errors during the test."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    yield
    await asyncio.sleep(0)
    assert complaints == []
    assert [record for record in caplog.records if record.name.startswith(("asyncio", "mqtt"))] == []


async def test_a_message_arrives_whole_and_its_puback_is_read(link: tuple[str, int], reader: PahoClient) -> None:
    version, port = link
    async with connect(settings(port), WILL) as connection:
        assert connection.protocol == version
        assert connection.session_present is False
        ack = await connection.publish(OutgoingMessage("ehr/x", "grün".encode(), content_type="application/json"))
        assert ack.reason == (0 if version == "5.0" else UNPROVEN)
        got = await asyncio.to_thread(reader.next)
        assert (got.topic, got.payload, got.qos) == ("ehr/x", "grün".encode(), 1)
        assert getattr(got.properties, "ContentType", "") == ("application/json" if version == "5.0" else "")


async def test_a_retained_message_is_kept_by_the_broker(link: tuple[str, int], any_port: int) -> None:
    async with connect(settings(link[1]), WILL) as connection:
        await connection.publish(OutgoingMessage("state", b"1", retain=True))
    late = PahoClient(any_port, paho.MQTTv5, "late")
    late.subscribe("state")
    assert late.next().retain is True
    late.disconnect()


async def test_a_batch_of_readings_arrives_whole_and_in_order(link: tuple[str, int], reader: PahoClient) -> None:
    version, port = link
    payloads = [str(number).encode() * (number % 60) for number in range(500)]
    async with connect(settings(port), WILL) as connection:
        connection.publish_many(
            OutgoingMessage(f"t/{number}", payload, 0, content_type="a/b", expiry_s=120)
            for number, payload in enumerate(payloads)
        )
        got = [await asyncio.to_thread(reader.next) for _ in payloads]
        await connection.publish(OutgoingMessage("fence", b""))
        assert (await asyncio.to_thread(reader.next)).topic == "fence"
    assert [(message.topic, message.payload) for message in got] == [
        (f"t/{number}", payload) for number, payload in enumerate(payloads)
    ]
    assert {message.qos for message in got} == {0}
    if version == "5.0":
        assert {getattr(message.properties, "ContentType", "") for message in got} == {"a/b"}
        assert all(118 <= getattr(message.properties, "MessageExpiryInterval", 0) <= 120 for message in got)


async def test_a_large_batch_waits_for_the_network_and_is_not_torn(link: tuple[str, int], reader: PahoClient) -> None:
    async with connect(settings(link[1]), WILL) as connection:
        connection.publish_many(OutgoingMessage("big", bytes(200_000), 0) for _ in range(30))
        await eventually(lambda: not connection.busy, "six megabytes are sent")
        await connection.publish(OutgoingMessage("fence", b""))
        sizes = [len((await asyncio.to_thread(reader.next)).payload) for _ in range(2)]
    assert sizes[0] == 200_000


async def test_inbound_messages_come_again_until_they_are_acknowledged(link: tuple[str, int], any_port: int) -> None:
    engine = PahoClient(any_port, paho.MQTTv5, "engine")
    async with connect(settings(link[1]), WILL) as connection:
        await connection.subscribe(["ehr/in/json"])
        engine.publish("ehr/in/json", b"kept")
        engine.publish("ehr/in/json", b"handled")
        messages = connection.messages()
        first, second = await anext(messages), await anext(messages)
        assert (first.payload, second.payload) == (b"kept", b"handled")
        second.ack()
        await connection.publish(OutgoingMessage("fence", b""))
    async with connect(settings(link[1]), WILL) as connection:
        assert connection.session_present is True
        again = await anext(connection.messages())
        assert again.payload == b"kept"
        again.ack()
        await connection.publish(OutgoingMessage("fence", b""))
    async with connect(settings(link[1]), WILL) as connection:
        await connection.subscribe(["ehr/in/json"])
        engine.publish("ehr/in/json", b"new")
        assert (await anext(connection.messages())).payload == b"new"
    engine.disconnect()


async def test_the_will_stands_unless_goodbye_was_said(link: tuple[str, int], reader: PahoClient) -> None:
    async with connect(settings(link[1]), OutgoingMessage("status", b"lost")):
        pass
    assert (await asyncio.to_thread(reader.next)).payload == b"lost"
    async with connect(settings(link[1]), OutgoingMessage("status", b"lost")) as connection:
        await connection.disconnect()
    assert await asyncio.to_thread(reader.is_silent)


@pytest.mark.parametrize("refuse_v5_with", [None, 0x84], ids=["5.0", "3.1.1"])
async def test_a_filter_the_broker_does_not_take_is_refused(refuse_v5_with: int | None) -> None:
    async with Broker() as broker:
        broker.refuse_v5_with = refuse_v5_with
        async with connect(settings(broker.port), WILL) as connection:
            with pytest.raises(PublishRefused) as refused:
                await connection.subscribe(["good", "$share//x"])
            assert refused.value.reason == (0x8F if refuse_v5_with is None else 0x80)


async def test_a_filter_that_makes_mosquitto_hang_up_ends_the_connection(mosquitto: Mosquitto) -> None:
    async with connect(settings(mosquitto.port), WILL) as connection:
        with pytest.raises(Disconnected):
            await connection.subscribe(["/" * 250])


async def test_retained_messages_come_only_to_who_asks_for_them(link: tuple[str, int], any_port: int) -> None:
    version, port = link
    engine = PahoClient(any_port, paho.MQTTv5, "engine")
    engine.publish("state/a", b"kept", retain=True)
    async with connect(settings(port), WILL) as connection:
        await connection.subscribe(["state/#"])
        engine.publish("state/b", b"live")
        came = await anext(connection.messages())
        assert came.payload == (b"live" if version == "5.0" else b"kept"), "3.1.1 leaves no choice"
    async with connect(settings(port), WILL) as connection:
        await connection.subscribe(["state/#"], with_retained=True)
        messages = connection.messages()
        while (came := await anext(messages)).payload != b"kept":
            pass
        assert came.retain is True
    engine.disconnect()


async def test_what_is_in_flight_fails_at_once_when_mosquitto_is_killed(mosquitto: Mosquitto) -> None:
    async with connect(settings(mosquitto.port, ack_timeout_s=60.0), WILL) as connection:
        mosquitto.pause()
        waiting = [connection.send(OutgoingMessage("a", b"x")) for _ in range(30)]
        mosquitto.kill()
        async with asyncio.timeout(HANGS_S):
            for future in waiting:
                with pytest.raises(Disconnected):
                    await future
        with pytest.raises(Disconnected):
            connection.send(OutgoingMessage("a", b"x"))
        with pytest.raises(Disconnected):
            connection.publish_many([OutgoingMessage("a", b"x")])
        with pytest.raises(Disconnected):
            await anext(connection.messages())


async def test_a_frozen_broker_is_given_up_within_one_and_a_half_keepalives(mosquitto: Mosquitto) -> None:
    async with connect(settings(mosquitto.port, keepalive_s=3, ack_timeout_s=60.0), WILL) as connection:
        mosquitto.pause()
        async with asyncio.timeout(4.5):
            with pytest.raises(Disconnected, match="Keep alive"):
                await anext(connection.messages())
        mosquitto.kill()


async def test_swallowed_pubacks_end_the_connection() -> None:
    async with Broker() as broker:
        broker.swallow_pubacks = 1
        async with connect(settings(broker.port, ack_timeout_s=0.2), WILL) as connection:
            with pytest.raises(Disconnected, match="no PUBACK"):
                await connection.publish(OutgoingMessage("a", b"x"))


async def test_a_topic_denied_by_our_broker_is_refused_and_under_3_1_1_unproven() -> None:
    async with Broker() as broker:
        broker.denied = {"denied/#"}
        async with connect(settings(broker.port), WILL) as connection:
            with pytest.raises(PublishRefused, match="denied/x: 0x87") as refused:
                await connection.publish(OutgoingMessage("denied/x", b""))
            assert refused.value.reason == 0x87
            assert (await connection.publish(OutgoingMessage("open", b""))).no_subscriber
        broker.refuse_v5_with = 0x84
        async with connect(settings(broker.port), WILL) as connection:
            assert connection.protocol == "3.1.1"
            assert (await connection.publish(OutgoingMessage("denied/x", b""))).reason == UNPROVEN


async def test_a_topic_denied_by_mosquitto_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic readwrite open/#\n")
    with Mosquitto(tmp_path, [f"acl_file {tmp_path}/acl"]) as broker:
        async with connect(settings(broker.port), WILL) as connection:
            with pytest.raises(PublishRefused, match="0x87"):
                await connection.publish(OutgoingMessage("denied/x", b""))
            assert (await connection.publish(OutgoingMessage("open/x", b""))).no_subscriber


async def test_another_client_of_our_id_is_told_apart_from_a_lost_link() -> None:
    async with (
        Broker() as broker,
        connect(settings(broker.port), WILL) as first,
        connect(settings(broker.port), WILL),
    ):
        with pytest.raises(Disconnected) as taken_over:
            await anext(first.messages())
        assert taken_over.value.reason == 0x8E


def open_things() -> tuple[int, int]:
    """The numbers of descriptors and tasks of this process, after garbage collection."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())


async def failed(attempt: MqttSettings) -> MqttDown:
    with pytest.raises(MqttDown) as error:
        async with connect(attempt, WILL):
            pass
    return error.value


@pytest.fixture
def unresponsive_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("kind", ["nobody there", "wrong password", "no answer"])
async def test_ten_failed_connects_leak_nothing(tmp_path: Path, unresponsive_port: int, kind: str) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    async with Broker(users={"gateway": "right"}) as broker:
        expected, attempt = {
            "nobody there": (Unreachable, settings(free_port())),
            "wrong password": (BadCredentials, settings(broker.port, username="gateway", password_file=wrong)),
            "no answer": (Unreachable, settings(unresponsive_port, connect_timeout_s=0.05)),
        }[kind]
        await failed(attempt)  # starts what stays: the executor's thread
        await asyncio.sleep(0.05)  # the broker, in this process, closes its side
        before = open_things()
        for _ in range(10):
            assert type(await failed(attempt)) is expected
        await eventually(lambda: open_things() == before, "sockets and tasks of failed connects are gone")


async def test_a_cancelled_connect_leaks_nothing(unresponsive_port: int) -> None:
    await asyncio.to_thread(int)
    before = open_things()
    for delay_s in (0.0, 0.001, 0.02):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(delay_s), connect(settings(unresponsive_port), WILL):
                pass
    await eventually(lambda: open_things() == before, "sockets and tasks of cancelled connects are gone")
    assert threading.active_count() < 10


async def test_a_broker_that_closes_without_an_answer_is_unreachable() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(HANGS_S):
            assert isinstance(await failed(settings(port, connect_timeout_s=2 * HANGS_S)), Unreachable)


async def test_a_refused_login_says_so_in_both_versions(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("right\n")
    async with Broker(users={"gateway": "right"}) as broker:
        good = settings(broker.port, username="gateway", password_file=password)
        async with connect(good, WILL) as connection:
            assert connection.protocol == "5.0"
        missing = settings(broker.port, username="gateway", password_file=tmp_path / "missing")
        assert isinstance(await failed(missing), BadCredentials)
        broker.refuse_v5_with = 1
        async with connect(good, WILL) as connection:
            assert connection.protocol == "3.1.1"
        password.write_text("wrong")
        error = await failed(good)
        assert isinstance(error, BadCredentials)
        assert error.reason == 0x86


async def test_a_refusal_for_another_cause_does_not_fall_back() -> None:
    async with Broker() as broker:
        broker.refuse_v5_with = 0x88
        error = await failed(settings(broker.port))
        assert isinstance(error, ConnectRefused)
        assert error.reason == 0x88


async def test_the_broker_may_lower_window_and_keepalive(tmp_path: Path) -> None:
    with Mosquitto(tmp_path, ["max_inflight_messages 3", "max_keepalive 10"]) as broker:
        reader = PahoClient(broker.port, paho.MQTTv5, "witness")
        reader.subscribe("#")
        async with connect(settings(broker.port), WILL) as connection:
            assert connection.window == 3
            answers = [connection.send(OutgoingMessage("a", str(number).encode())) for number in range(20)]
            assert [await answer for answer in answers] == [0] * 20
        assert [reader.next().payload for _ in range(20)] == [str(number).encode() for number in range(20)]
        reader.disconnect()


async def test_a_message_larger_than_the_broker_takes_is_refused_and_the_connection_goes_on(tmp_path: Path) -> None:
    message = OutgoingMessage("a/topic", b"", content_type="application/hl7-v2", expiry_s=60)
    with Mosquitto(tmp_path, ["max_packet_size 2000"]) as broker:
        async with connect(settings(broker.port), WILL) as connection:
            longest = connection.largest_payload(message)
            assert 1900 < longest < 2000
            assert (await connection.publish(_with(message, longest))).no_subscriber
            with pytest.raises(PublishRefused) as refused:
                await connection.publish(_with(message, longest + 1))
            assert refused.value.reason == PACKET_TOO_LARGE
            assert (await connection.publish(_with(message, longest))).no_subscriber


def _with(message: OutgoingMessage, size: int) -> OutgoingMessage:
    return msgspec.structs.replace(message, payload=b"x" * size)


async def test_mutual_tls_lets_in_who_holds_a_certificate_and_nobody_else(tmp_path: Path) -> None:
    ours, strangers = Authority(tmp_path / "ours"), Authority(tmp_path / "strangers")
    server, client, forged = ours.issue("127.0.0.1"), ours.issue("gateway"), strangers.issue("gateway")
    secured = [
        f"cafile {ours.ca}",
        f"certfile {server.certificate}",
        f"keyfile {server.key}",
        "require_certificate true",
        "use_identity_as_username true",
    ]
    with Mosquitto(tmp_path, secured) as broker:
        good = settings(broker.port, tls=TlsFiles(ours.ca, client.certificate, client.key))
        async with connect(good, WILL) as connection:
            connection.publish_many([OutgoingMessage("t", bytes(1000), 0)] * 100)
            assert (await connection.publish(OutgoingMessage("a", b"x"))).no_subscriber
        for files in (
            TlsFiles(ours.ca),
            TlsFiles(ours.ca, forged.certificate, forged.key),
            TlsFiles(strangers.ca, client.certificate, client.key),
            TlsFiles(tmp_path / "missing.pem"),
        ):
            async with asyncio.timeout(HANGS_S):
                assert isinstance(await failed(settings(broker.port, tls=files)), BadTls), files
