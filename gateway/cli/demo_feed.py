"""The demo's simulated interface engine: publishes an EHR's messages over MQTT at the scenario's instants."""

import asyncio
from collections.abc import Callable

import msgspec

from gateway.messages.instants import rfc3339
from gateway.mqtt.client import connect
from gateway.mqtt.types import MqttSettings, OutgoingMessage
from gateway.runtime.clock import US_PER_S
from simulators.scenario.scenario import FeedItem, FeedKind

CHARTED_AFTER_S = 60.0  # delay between a start or an end and its charting


async def feed(
    settings: MqttSettings,
    topic: str,
    items: tuple[FeedItem, ...],
    start_us: int,
    now_s: Callable[[], float],
    speed: float,
    listens: Callable[[], bool],
) -> None:
    """Publish every item at the time of its charting, once the gateway is online (`listens`). Raises MqttDown.

    `now_s` returns the seconds since the scenario's start.
    """
    while not listens():  # noqa: ASYNC110 - another task receives the birth message
        await asyncio.sleep(0.02)
    will = OutgoingMessage(f"{topic}/engine-gone", b"", qos=0)
    async with connect(settings, will) as connection:
        for number, item in enumerate(items, start=1):
            charted_s = item.at_s + CHARTED_AFTER_S
            while (wait_s := charted_s - now_s()) > 0:  # noqa: ASYNC110 - the clock may pause meanwhile
                await asyncio.sleep(wait_s / speed)
            await connection.publish(
                OutgoingMessage(topic, _event(number, item, start_us), content_type="application/json")
            )
        await connection.disconnect()


def _event(number: int, item: FeedItem, start_us: int) -> bytes:
    at_us = start_us + round(item.at_s * US_PER_S)
    data: dict[str, object] = {"unit": item.unit, "cap": item.cap, "visit": item.visit}
    match item.kind:
        case FeedKind.BOUND | FeedKind.RELEASED:
            thing = f"association.{item.kind}"
            data |= {"validated": True, "asserted_by": "scan"}
        case FeedKind.STARTED:
            thing = "infusion.started"
        case FeedKind.ENDED:
            thing = "infusion.completed"
            data |= {"final": item.final}
    if item.order is not None:
        data |= {"order": item.order, "agent_class": item.agent, "source": "mar"}
    event = {
        "specversion": "1.0",
        "type": f"org.example.ehr.{thing}.v1",
        "source": "urn:example:demo-engine",
        "id": f"demo-{start_us}-{number:03d}",
        "time": rfc3339(at_us),
        "recordedtime": rfc3339(at_us + round(CHARTED_AFTER_S * US_PER_S)),
        "data": data,
    }
    return msgspec.json.encode(event)
