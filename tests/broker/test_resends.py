"""Messages without a receipt are sent again, byte-equal, and block no others."""

from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from gateway.ledger.deliveries import Deliveries, ResendRules
from tests.broker.engine_messages import payload, received
from tests.broker.gateway_side import gateway, settings
from tests.broker.harness import Mosquitto, eventually
from tests.broker.paho_client import PahoClient

CHARGE = "ehr/gw/charge/json"
SOON = ResendRules(first_s=0.3, longest_s=2.0)


@pytest.fixture
def engine(mosquitto: Mosquitto) -> Iterator[PahoClient]:
    caller = PahoClient(mosquitto.port, paho.MQTTv5, "engine")
    caller.subscribe("ehr/gw/#")
    yield caller
    caller.disconnect()


async def test_a_message_without_receipt_comes_again_until_it_is_acknowledged(
    tmp_path: Path, mosquitto: Mosquitto, engine: PahoClient
) -> None:
    async with gateway(tmp_path, settings(mosquitto.port), resends=SOON) as gw:
        await gw.commit_messages(CHARGE, [payload(1)], awaited=True)
        assert await received(engine, 3) == [(CHARGE, payload(1))] * 3, "repeats are equal to the byte"
        await gw.acknowledge(["e1"])
        await gw.outbox_empty()
        assert await gw.ledger.outbox.deliveries() == Deliveries()
        while not engine.is_silent():
            assert len(gw.attempts()) < 10, "it comes again although it is acknowledged"


async def test_without_receipts_nothing_comes_again(tmp_path: Path, mosquitto: Mosquitto, engine: PahoClient) -> None:
    async with gateway(tmp_path, settings(mosquitto.port), resends=SOON) as gw:
        await gw.commit_messages(CHARGE, [payload(1)])
        assert await received(engine, 1) == [(CHARGE, payload(1))]
        await gw.outbox_empty()
        assert engine.is_silent()


async def test_a_rejected_message_holds_up_nothing_and_comes_again_by_order(
    tmp_path: Path, mosquitto: Mosquitto, engine: PahoClient
) -> None:
    async with gateway(tmp_path, settings(mosquitto.port), resends=ResendRules(first_s=30.0)) as gw:
        await gw.commit_messages(CHARGE, [payload(1)], awaited=True)
        assert await received(engine, 1) == [(CHARGE, payload(1))]
        await gw.acknowledge(["e1"], accepted=False)
        await gw.commit_messages(CHARGE, [payload(2)], awaited=True)
        assert await received(engine, 1) == [(CHARGE, payload(2))]
        await gw.outbox_empty()
        await gw.commit_resend("e1")
        assert await received(engine, 1) == [(CHARGE, payload(1))]


async def test_what_was_lost_on_the_way_comes_again_once_the_engine_answers_what_came_later(
    tmp_path: Path, mosquitto: Mosquitto, engine: PahoClient
) -> None:
    async with gateway(tmp_path, settings(mosquitto.port), resends=ResendRules(first_s=2.0)) as gw:
        await gw.commit_messages(CHARGE, [payload(number) for number in (1, 2, 3)], awaited=True)
        assert await received(engine, 3) == [(CHARGE, payload(number)) for number in (1, 2, 3)]
        await gw.outbox_empty()
        await gw.acknowledge(["e3"])
        assert await received(engine, 2) == [(CHARGE, payload(1)), (CHARGE, payload(2))]
        await gw.acknowledge(["e1", "e2"])
        await eventually(lambda: len(gw.attempts()) == 5, "each attempt is recorded")
