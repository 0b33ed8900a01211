"""Faults of brokers, networks and engines: every charge arrives nevertheless, and nothing else.

The numbers are small; CAPGATE_REPEATS multiplies them. Tests are named by the scorecard's rows, R1 to R11.
"""

import asyncio
import os
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.ledger.deliveries import Deliveries, ResendRules
from tests.broker.gateway_side import Gateway, gateway, settings, status
from tests.broker.harness import HANGS_S, Mosquitto, eventually, only_3_1_1
from tests.broker.proxy import proxy
from tests.broker.sink import TOPIC, Sink, charge

REPEATS = int(os.environ.get("CAPGATE_REPEATS", "1"))
SOON = ResendRules(first_s=1.0, longest_s=4.0)
QUICK = 0.01  # factor of every back-off, for tests with many losses in a row
RARELY = ResendRules(first_s=3600.0, longest_s=3600.0)

pytestmark = pytest.mark.timeout(120 + 60 * REPEATS)


@asynccontextmanager
async def engine(port: int, *, answers: bool = True) -> AsyncGenerator[Sink]:
    sink = Sink(port, answers=answers)
    await asyncio.to_thread(sink.connect)
    try:
        yield sink
    finally:
        await asyncio.to_thread(sink.disconnect)


async def commit_charges(gw: Gateway, first: int, count: int) -> None:
    """Commit `count` charges, numbered from `first`."""
    await gw.commit_messages(TOPIC, [charge(number) for number in range(first, first + count)], awaited=True)


async def all_delivered_once(gw: Gateway, sink: Sink, count: int, timeout_s: float = HANGS_S) -> None:
    """Check that all charges have arrived and nothing else, repeats byte-equal, and that the ledger shows it."""
    await gw.all_acknowledged(timeout_s)
    assert set(sink.heard) == {charge(number) for number in range(1, count + 1)}
    assert await gw.ledger.outbox.deliveries() == Deliveries()


async def test_r1_a_broker_that_is_killed_under_flow_loses_nothing(tmp_path: Path, mosquitto: Mosquitto) -> None:
    kills, each = 2 * REPEATS, 100
    async with (
        engine(mosquitto.port) as sink,
        gateway(tmp_path, settings(mosquitto.port), chance=QUICK, resends=SOON) as gw,
    ):
        for number in range(kills):
            await commit_charges(gw, 1 + number * each, each)
            await asyncio.sleep(random.Random(number).uniform(0.05, 0.4))
            await asyncio.to_thread(mosquitto.kill)
            await asyncio.to_thread(mosquitto.start)
            await gw.connected()
        await all_delivered_once(gw, sink, kills * each, HANGS_S * REPEATS)
        assert gw.counters.losses >= kills


async def test_r2_a_backlog_drains_whole_and_what_is_new_is_not_held_up(tmp_path: Path) -> None:
    count = 2_000 * REPEATS
    broker = Mosquitto(tmp_path, ["max_queued_messages 20000"])  # as deployed
    async with gateway(tmp_path, settings(broker.port), resends=RARELY) as gw:
        for first in range(1, count, 500):
            await gw.commit_messages(TOPIC, [charge(number) for number in range(first, first + 500)])
        gw.telemetry.status(status("dev/gw/unit/u1/status"), b"up")
        with broker:
            await backlog_delivered(gw, broker.port, count)


async def backlog_delivered(gw: Gateway, port: int, count: int) -> None:
    """Check that the state is published before the backlog, and that the backlog is complete and in order."""
    async with engine(port, answers=False) as sink:
        await gw.connected()
        await eventually(lambda: gw.counters.statuses >= 1, "the state is told first")
        await eventually(lambda: len(sink.heard) >= count, "all have arrived", HANGS_S * REPEATS)
        assert sink.once() == list(range(1, count + 1))


@pytest.mark.requirement("REQ-DELIVER-3")
@pytest.mark.parametrize("old", [False, True], ids=["MQTT 5", "MQTT 3.1.1"])
async def test_r3_a_charge_that_the_access_list_denies_is_never_taken_for_delivered(tmp_path: Path, old: bool) -> None:
    access = tmp_path / "acl"
    access.write_text(f"topic read #\ntopic write dev/#\ntopic write ehr/in/#\n# {TOPIC} is denied\n")
    with Mosquitto(tmp_path, [f"acl_file {access}"]) as broker:
        async with engine(broker.port) as sink, only_3_1_1(broker.port) as old_port:
            port = old_port if old else broker.port
            async with gateway(tmp_path, settings(port), resends=SOON) as gw:
                await commit_charges(gw, 1, 3)
                await gw.connected()
                await asyncio.sleep(1.2)
                assert sink.heard == []
                assert (await gw.ledger.outbox.deliveries()).pending == 3
                assert old or gw.service.held_topics == {TOPIC: 0x87}
                access.write_text("topic readwrite #\n")
                broker.reload()
                await all_delivered_once(gw, sink, 3)


async def test_r4_what_the_brokers_queue_dropped_comes_again_when_the_engine_is_back(tmp_path: Path) -> None:
    count = 300 * REPEATS
    with Mosquitto(tmp_path, ["max_queued_messages 50"]) as broker:
        async with engine(broker.port) as sink:
            await asyncio.to_thread(sink.disconnect)
            async with gateway(tmp_path, settings(broker.port), resends=SOON) as gw:
                await commit_charges(gw, 1, count)
                await gw.outbox_empty()
                assert (await gw.ledger.outbox.deliveries()).pending == count, "all have a PUBACK, none a receipt"
                await asyncio.sleep(1.2)
                attempts = len(gw.attempts())
                assert attempts <= count + 4, "an engine that is away costs a probe now and then"
                await asyncio.to_thread(sink.connect)
                await all_delivered_once(gw, sink, count, HANGS_S * REPEATS)


async def test_r5_swallowed_pubacks_and_cut_links_give_repeats_and_one_of_each_in_order(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    cuts, each = 6 * REPEATS, 10
    async with (
        proxy(mosquitto.port) as way,
        engine(mosquitto.port) as sink,
        gateway(tmp_path, settings(way.port), chance=QUICK, resends=SOON) as gw,
    ):
        await gw.connected()
        for number in range(cuts):
            way.swallow = True
            await commit_charges(gw, 1 + number * each, each)
            await eventually(lambda n=number: len(set(sink.heard)) >= (n + 1) * each, "they are through")
            way.swallow = False
            connects = gw.counters.connects
            way.cut()
            await eventually(lambda n=connects: gw.counters.connects > n, "it is back")
            await eventually(lambda: gw.service.drained, "the repeats are acknowledged")
        await all_delivered_once(gw, sink, cuts * each)
        assert len(sink.heard) > cuts * each, "no PUBACK was lost"
        assert sink.once() == list(range(1, cuts * each + 1)), "in order, repeats aside"


async def test_r7_a_half_open_link_is_noticed_and_healed(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with (
        proxy(mosquitto.port) as way,
        engine(mosquitto.port) as sink,
        gateway(tmp_path, settings(way.port, keepalive_s=2), resends=SOON) as gw,
    ):
        await gw.connected()
        loop = asyncio.get_running_loop()
        for number in range(REPEATS):
            way.hole = True
            began_s = loop.time()
            await eventually(lambda: not gw.service.connected, "the silence is noticed")
            assert loop.time() - began_s < 1.5 * 2 + 1.0  # and a tick
            await commit_charges(gw, 1 + number, 1)
            way.hole = False
            way.cut()
            await eventually(lambda: gw.service.connected, "it is back")
        await all_delivered_once(gw, sink, REPEATS)


async def test_r8_a_slow_link_loses_nothing_and_needs_no_second_connection(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    count = 30 * REPEATS
    async with proxy(mosquitto.port) as way, engine(mosquitto.port) as sink:
        way.bytes_per_s = 2_000  # 16 kbit/s
        async with gateway(tmp_path, settings(way.port), resends=RARELY) as gw:
            await commit_charges(gw, 1, count)
            await all_delivered_once(gw, sink, count, HANGS_S * REPEATS)
            assert way.connections == 1
            assert sink.once() == list(range(1, count + 1))


async def test_r9_two_boxes_with_one_id_chase_each_other_ever_more_slowly(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """This broker disconnects without "session taken over" (which test_service.py covers)."""
    boxes = [tmp_path / "one", tmp_path / "two"]
    for box in boxes:
        box.mkdir()
    async with (
        gateway(boxes[0], settings(mosquitto.port), chance=1.0) as first,
        gateway(boxes[1], settings(mosquitto.port), chance=1.0) as second,
    ):
        await eventually(lambda: first.counters.losses + second.counters.losses >= 1, "they meet")
        await asyncio.sleep(1.5)
        assert first.counters.losses + second.counters.losses <= 8, "twice as long between any two"
        assert "Disconnected" in first.service.last_error + second.service.last_error


async def test_r10_a_broker_whose_state_is_wiped_is_offered_all_that_has_no_receipt(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    async with engine(mosquitto.port) as sink:
        await asyncio.to_thread(sink.disconnect)
        async with gateway(tmp_path, settings(mosquitto.port), resends=RARELY) as gw:
            for number in range(REPEATS):
                await commit_charges(gw, 1 + 50 * number, 50)
                await gw.outbox_empty()
                await asyncio.to_thread(mosquitto.kill)
                (tmp_path / "mosquitto.db").unlink(missing_ok=True)
                await asyncio.to_thread(mosquitto.start)
                await asyncio.to_thread(sink.connect)
                await all_delivered_once(gw, sink, 50 * (number + 1))
                await asyncio.to_thread(sink.disconnect)


async def test_r11_order_after_dedupe_survives_cuts_at_random(tmp_path: Path) -> None:
    count, chance = 300 * REPEATS, random.Random(11)
    with Mosquitto(tmp_path, ["max_queued_messages 20000"]) as broker:  # as deployed: receipts queue too
        async with (
            proxy(broker.port) as way,
            engine(broker.port) as sink,
            gateway(tmp_path, settings(way.port), chance=QUICK, resends=RARELY) as gw,
        ):
            for first in range(1, count + 1, 10):
                await commit_charges(gw, first, 10)
                await asyncio.sleep(chance.uniform(0, 0.05))
                if chance.random() < 0.2:
                    way.cut()
            await all_delivered_once(gw, sink, count, HANGS_S * REPEATS)
            assert sink.once() == list(range(1, count + 1))


async def test_subscribers_of_both_versions_get_the_same_bytes(tmp_path: Path, any_port: int) -> None:
    with (
        Sink(any_port, name="new", answers=False) as new,
        Sink(any_port, version=paho.MQTTv311, name="old", answers=False) as old,
    ):
        async with gateway(tmp_path, settings(any_port), resends=RARELY) as gw:
            await commit_charges(gw, 1, 20)
            await eventually(lambda: len(new.heard) == len(old.heard) == 20, "both have them")
    assert new.heard == old.heard == [charge(number) for number in range(1, 21)]


async def test_an_engine_that_answers_twice_late_and_out_of_order_does_no_harm(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    chance = random.Random(3)
    async with (
        engine(mosquitto.port, answers=False) as sink,
        gateway(tmp_path, settings(mosquitto.port), resends=SOON) as gw,
    ):
        await commit_charges(gw, 1, 40)
        await eventually(lambda: len(sink.heard) >= 40, "they are there")
        receipts = [f"e{number}" for number in range(1, 41)] * 2
        chance.shuffle(receipts)
        for key in receipts:
            sink.publish(f"ack {key}")
        await all_delivered_once(gw, sink, 40)
