"""Telemetry: readings may be lost, statuses not, and neither delays the outbox."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.mqtt.client import Connection, connect
from gateway.mqtt.telemetry import LARGEST_BUFFER, Telemetry
from gateway.mqtt.types import Disconnected, MqttCounters, OutgoingMessage
from tests.broker.gateway_side import gateway, reading, settings, status
from tests.broker.harness import BrokerThread, eventually
from tests.broker.paho_client import PahoClient


@pytest.fixture
def reader(any_port: int) -> Iterator[PahoClient]:
    """A subscriber to everything under dev/."""
    caller = PahoClient(any_port, paho.MQTTv5, "reader")
    caller.subscribe("dev/#")
    yield caller
    caller.disconnect()


async def payloads(reader: PahoClient, count: int) -> list[bytes]:
    return await asyncio.to_thread(lambda: [bytes(reader.next().payload) for _ in range(count)])


async def test_readings_arrive_in_order_and_leave_together(
    tmp_path: Path, any_port: int, reader: PahoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sends: list[int] = []
    send_all = Connection.publish_many

    def counted(connection: Connection, messages: list[OutgoingMessage]) -> None:
        sends.append(len(messages))
        send_all(connection, messages)

    monkeypatch.setattr(Connection, "publish_many", counted)
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        assert (await payloads(reader, 1))[0].startswith(b"online")
        for number in range(100):
            gw.telemetry.put(reading(f"dev/{number % 7}"), str(number).encode())
            if number == 50:  # the others come a turn of the loop later
                await asyncio.sleep(0)
        got = await asyncio.to_thread(lambda: [reader.next() for _ in range(100)])
        assert [message.payload for message in got] == [str(number).encode() for number in range(100)]
        assert {(message.qos, message.retain) for message in got} == {(0, False)}
        assert all(119 <= getattr(message.properties, "MessageExpiryInterval", 0) <= 120 for message in got)
        assert sends == [100]
        assert gw.counters.telemetry_sent == 100


async def test_the_buffer_is_bounded_and_keeps_the_latest(any_port: int, reader: PahoClient) -> None:
    counters = MqttCounters()
    telemetry = Telemetry(counters)
    telemetry.put(reading("dev/old", expiry_s=0), b"too old")
    for number in range(LARGEST_BUFFER + 10):
        telemetry.put(reading(), str(number).encode())
    telemetry.put(reading("dev/brief", expiry_s=0), b"too late")
    await asyncio.sleep(0.02)
    async with connect(settings(any_port), OutgoingMessage("will", b"")) as connection:
        task = asyncio.create_task(telemetry.run(connection))
        came = await payloads(reader, LARGEST_BUFFER - 1)
        assert came == [str(number).encode() for number in range(11, LARGEST_BUFFER + 10)]
        assert (counters.telemetry_sent, counters.telemetry_dropped) == (LARGEST_BUFFER - 1, 13)
        task.cancel()
        await asyncio.wait((task,))


async def test_of_statuses_the_latest_is_told_on_every_connection_and_retained(
    any_port: int, reader: PahoClient
) -> None:
    telemetry = Telemetry(MqttCounters())
    for number in range(100):
        telemetry.status(status("dev/u1/status"), str(number).encode())
    telemetry.status(status("dev/u2/status"), b"up")
    for told in ([b"99", b"up"], [b"99", b"down"]):
        async with connect(settings(any_port), OutgoingMessage("will", b"")) as connection:
            task = asyncio.create_task(telemetry.run(connection))
            assert await payloads(reader, 2) == told
            task.cancel()
            await asyncio.wait((task,))
        telemetry.status(status("dev/u2/status"), b"down")
    late = PahoClient(any_port, paho.MQTTv5, "late")
    late.subscribe("dev/#")
    assert {bytes(late.next().payload) for _ in range(2)} == {b"99", b"down"}
    late.disconnect()


async def test_a_status_that_is_cleared_is_gone_from_the_broker_and_not_told_again(
    any_port: int, reader: PahoClient
) -> None:
    counters = MqttCounters()
    telemetry = Telemetry(counters)
    telemetry.status(status("dev/u1/status"), b"up")
    async with connect(settings(any_port), OutgoingMessage("will", b"")) as connection:
        task = asyncio.create_task(telemetry.run(connection))
        assert await payloads(reader, 1) == [b"up"]
        telemetry.status(status("dev/u1/status"), b"")
        assert await payloads(reader, 1) == [b""]
        await eventually(lambda: counters.statuses == 2, "the broker acknowledges")
        task.cancel()
        await asyncio.wait((task,))
    async with connect(settings(any_port), OutgoingMessage("will", b"")) as connection:
        task = asyncio.create_task(telemetry.run(connection))
        assert await asyncio.to_thread(reader.is_silent)
        task.cancel()
        await asyncio.wait((task,))


@pytest.mark.requirement("REQ-DELIVER-6")
async def test_a_flood_of_readings_holds_up_no_row_of_the_outbox(tmp_path: Path, any_port: int) -> None:
    engine = PahoClient(any_port, paho.MQTTv5, "engine")
    engine.subscribe("ehr/#")
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        for number in range(4 * LARGEST_BUFFER):
            gw.telemetry.put(reading(), bytes(1000))
            if number % 100 == 0:
                await asyncio.sleep(0)
        await gw.commit_messages("ehr/gw/increment/json", [b"billed"])
        assert await payloads(engine, 1) == [b"billed"]
    engine.disconnect()


async def test_telemetry_ends_with_its_connection() -> None:
    with BrokerThread() as ours:
        async with connect(settings(ours.port), OutgoingMessage("will", b"")) as connection:
            telemetry = Telemetry(MqttCounters())
            task = asyncio.create_task(telemetry.run(connection))
            await asyncio.sleep(0)
            ours.do(ours.broker.drop_connections)
            telemetry.put(reading(), b"1")
            with pytest.raises(ExceptionGroup) as ended:
                await task
            assert ended.group_contains(Disconnected)
