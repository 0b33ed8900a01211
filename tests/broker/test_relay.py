"""From the ledger to a subscriber, through brokers that crash, refuse, lose sessions and stall."""

import asyncio
import subprocess
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.ledger.batch import UNPROVEN
from tests.broker.engine_messages import payload, received
from tests.broker.gateway_side import MUST_ARRIVE, gateway, settings
from tests.broker.harness import BrokerThread, Mosquitto, eventually, only_3_1_1
from tests.broker.paho_client import PahoClient
from tests.scorecard.repeats import repeats

TOPICS = ("ehr/gw/increment/json", "ehr/gw/session/json", "ehr/gw/result/json")


@pytest.fixture
def engine(any_port: int) -> Iterator[PahoClient]:
    """A subscriber to all messages to the EHR."""
    caller = PahoClient(any_port, paho.MQTTv5, "engine")
    caller.subscribe("ehr/gw/#")
    yield caller
    caller.disconnect()


async def test_everything_committed_arrives_once_and_in_order(
    tmp_path: Path, any_port: int, engine: PahoClient
) -> None:
    async with gateway(tmp_path, settings(any_port)) as gw:
        told: list[tuple[str, bytes]] = []
        for number in range(0, 300, 5):
            topic = TOPICS[number % 3]
            payloads = [payload(number + step) for step in range(5)]
            await gw.commit_messages(topic, payloads)
            told += [(topic, each) for each in payloads]
        assert await received(engine, 300) == told
        await gw.outbox_empty()
        assert sorted(gw.attempts()) == sorted((f"e{number}", 0, True) for number in range(1, 301))
        assert gw.counters.published == 300
        assert engine.is_silent()


async def test_what_waited_for_the_broker_drains_whole(tmp_path: Path, any_port: int, engine: PahoClient) -> None:
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.connected()
        await gw.commit_messages(TOPICS[0], [payload(number) for number in range(900)])  # both brokers queue a thousand
        assert await received(engine, 900) == [(TOPICS[0], payload(number)) for number in range(900)]


async def test_a_stopped_gateway_repeats_nothing_after_its_restart(
    tmp_path: Path, any_port: int, engine: PahoClient
) -> None:
    for number in (1, 2):
        async with gateway(tmp_path, settings(any_port)) as gw:
            gw._committed = number * 100  # pyright: ignore[reportPrivateUsage] event ids are unique for ever
            await gw.commit_messages(TOPICS[0], [payload(number)])
            assert await received(engine, 1) == [(TOPICS[0], payload(number))]
            await eventually(lambda gw=gw: gw.counters.published == 1, "the PUBACK is here")
    assert engine.is_silent()


@contextmanager
def reconnecting_subscriber(port: int, heard: Path) -> Generator[None]:
    """mosquitto_sub, which reconnects by itself, and writes one line for each message to `heard`."""
    command = ["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-V", "mqttv5", "-x", "3600"]
    with heard.open("wb") as out:
        process = subprocess.Popen([*command, "-c", "-i", "engine", "-q", "1", "-t", "ehr/gw/#", "-v"], stdout=out)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@pytest.mark.requirement("REQ-DELIVER-1")
async def test_nothing_is_lost_when_the_broker_is_killed_again_and_again(tmp_path: Path, mosquitto: Mosquitto) -> None:
    kills, told, record = repeats(4), defaultdict[str, list[bytes]](list), tmp_path / "heard"
    count = 100 * kills
    with reconnecting_subscriber(mosquitto.port, record):
        async with gateway(tmp_path, settings(mosquitto.port)) as gw:
            for number in range(count):
                topic = TOPICS[number % 3]
                await gw.commit_messages(topic, [payload(number)])
                told[topic].append(payload(number))
                await asyncio.sleep(0.005)
                if number % 100 == 50:
                    await eventually(lambda: gw.service.connected, "the gateway is back")
                    mosquitto.kill()
                    await asyncio.sleep(0.05)
                    await asyncio.to_thread(mosquitto.start)
            await gw.outbox_empty()
            expected = {f"{topic} ".encode() + each for topic, payloads in told.items() for each in payloads}
            await eventually(lambda: len(set(record.read_bytes().splitlines())) >= count, "all are heard")
            lines = record.read_bytes().splitlines()
            assert set(lines) == expected, "nothing lost, nothing invented, every repeat equal to the byte"
            assert gw.counters.losses == kills


@pytest.mark.requirement("REQ-DELIVER-2")
async def test_a_swallowed_puback_makes_the_message_come_again_byte_for_byte(tmp_path: Path) -> None:
    with BrokerThread() as ours:
        engine = PahoClient(ours.port, paho.MQTTv5, "engine")
        engine.subscribe("ehr/gw/#")
        async with gateway(tmp_path, settings(ours.port, ack_timeout_s=0.3)) as gw:
            await gw.connected()
            ours.do(lambda: setattr(ours.broker, "swallow_pubacks", 1))
            await gw.commit_messages(TOPICS[0], [payload(1), payload(2)])
            came = await received(engine, 4)
            assert came[:2] == came[2:] == [(TOPICS[0], payload(1)), (TOPICS[0], payload(2))]
            await gw.outbox_empty()
            assert gw.attempts() == [("e1", 0, True), ("e2", 0, True)]
        engine.disconnect()


async def test_a_topic_the_access_list_denies_waits_and_holds_up_no_other(tmp_path: Path) -> None:
    access = tmp_path / "acl"
    access.write_text("topic read #\ntopic write ehr/gw/session/#\ntopic write dev/#\n")
    with Mosquitto(tmp_path, [f"acl_file {access}"]) as broker:
        engine = PahoClient(broker.port, paho.MQTTv5, "engine")
        engine.subscribe("ehr/gw/#")
        async with gateway(tmp_path, settings(broker.port)) as gw:
            await gw.commit_messages(TOPICS[0], [payload(1), payload(2)])
            await gw.commit_messages(TOPICS[1], [payload(3)])
            assert await received(engine, 1) == [(TOPICS[1], payload(3))]
            await eventually(lambda: gw.counters.refused >= 2, "the refusals are counted")
            assert gw.service.held_topics == {TOPICS[0]: 0x87}
            await gw.commit_messages(TOPICS[1], [payload(4)])
            assert await received(engine, 1) == [(TOPICS[1], payload(4))]
            waiting = await gw.ledger.outbox.pending(0, 10)
            assert [row.event_id for row in waiting][:2] == ["e1", "e2"], "a refusal delivers nothing"

            access.write_text("topic readwrite #\n")
            broker.reload()
            assert await received(engine, 2) == [(TOPICS[0], payload(1)), (TOPICS[0], payload(2))]
            await gw.outbox_empty()
            assert gw.service.held_topics == {}
            assert ("e1", 0x87, False) in gw.attempts()
            assert gw.attempts().count(("e1", 0, True)) == 1
        engine.disconnect()


async def test_a_message_nobody_listens_to_waits_for_its_subscriber(tmp_path: Path, any_port: int) -> None:
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.commit_messages(TOPICS[0], [payload(1)])
        await eventually(lambda: gw.counters.no_subscriber >= 1, "the broker has nobody for it")
        assert gw.service.held_topics == {TOPICS[0]: 0x10}
        engine = PahoClient(any_port, paho.MQTTv5, "engine")
        engine.subscribe("ehr/gw/#")
        assert await received(engine, 1) == [(TOPICS[0], payload(1))]
        await gw.outbox_empty()
        engine.disconnect()


async def test_a_site_that_subscribes_to_what_must_arrive_hears_of_nothing_else(tmp_path: Path, any_port: int) -> None:
    engine = PahoClient(any_port, paho.MQTTv5, "engine")
    engine.subscribe(MUST_ARRIVE)
    async with gateway(tmp_path, settings(any_port)) as gw:
        await gw.commit_messages("ehr/gw/session/json", [payload(1)])
        await gw.commit_messages(MUST_ARRIVE, [payload(2)])
        assert await received(engine, 1) == [(MUST_ARRIVE, payload(2))]
        await eventually(lambda: gw.counters.no_subscriber >= 2, "the other one was tried again")
        assert gw.service.held_topics == {}
    engine.disconnect()


async def test_under_3_1_1_a_puback_is_recorded_as_unproven(tmp_path: Path, any_port: int, engine: PahoClient) -> None:
    async with only_3_1_1(any_port) as port, gateway(tmp_path, settings(port)) as gw:
        await gw.connected()
        assert gw.service.protocol == "3.1.1"
        await gw.commit_messages(TOPICS[0], [payload(1)])
        assert await received(engine, 1) == [(TOPICS[0], payload(1))]
        await gw.outbox_empty()
        assert gw.attempts() == [("e1", UNPROVEN, True)]


async def test_what_is_committed_while_the_broker_is_away_arrives_in_order(tmp_path: Path) -> None:
    with BrokerThread() as ours:
        engine = PahoClient(ours.port, paho.MQTTv5, "engine", clean=False, connect={"SessionExpiryInterval": 60})
        engine.subscribe("ehr/gw/#")
        engine.disconnect()
        async with gateway(tmp_path, settings(ours.port)) as gw:
            await gw.connected()
            ours.do(ours.broker.freeze)
            ours.do(ours.broker.drop_connections)
            await eventually(lambda: not gw.service.connected, "the loss is noticed")
            await gw.commit_messages(TOPICS[0], [payload(number) for number in range(100)])
            ours.do(ours.broker.thaw)
            await gw.outbox_empty()
        back = PahoClient(ours.port, paho.MQTTv5, "engine", clean=False, connect={"SessionExpiryInterval": 60})
        assert await received(back, 100) == [(TOPICS[0], payload(number)) for number in range(100)]
        assert back.is_silent()
        back.disconnect()
