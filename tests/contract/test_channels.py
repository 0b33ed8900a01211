"""The rows of gateway/mqtt/topics.py agree with docs/reference/messages.md and with what a gateway publishes."""

import asyncio
import math
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from drivers.reading import CapReading, Measurement, Reading, RunState
from gateway.app import Gateway
from gateway.messages.notation import Notation
from gateway.mqtt.topics import CHANNELS, Channel
from gateway.polling.supervisor import Supervisor
from simulators.broker.broker import Broker
from simulators.broker.connection import Peer
from simulators.broker.packets import Connect, Prop, Publish, ReasonCode
from simulators.broker.session import ClientSession
from tests.broker.harness import eventually
from tests.contract.message_samples import PAGE
from tests.support.story import POLICIES, Day, a_day

EXPIRIES = {None: "", 120: ", expires after 120 s", 3600: ", expires after 1 h"}


def documented() -> dict[str, str]:
    """Topic -> QoS, retain and expiry, as the page's table has them."""
    section = PAGE.read_text().split("\n## Topics\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {topic: row[1] for row in rows for topic in re.findall(r"`([^`]+)`", row[0])}


def delivery(channel: Channel) -> str:
    return f"{channel.qos}{', retained' if channel.retain else ''}{EXPIRIES[channel.expiry_s]}"


def channel_of(topic: str) -> Channel:
    """The one channel whose address the topic has."""
    level = topic.split("/", 3)[3]
    (found,) = [each for each in CHANNELS if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each.address), level)]
    return found


def test_the_page_has_every_channel_as_its_row_does() -> None:
    rows = {channel.address.replace("{gateway}", "{gw}"): delivery(channel) for channel in CHANNELS}
    assert {topic: how.removesuffix(" until delivered") for topic, how in documented().items()} == rows


class Recording(Broker):
    """Keeps what it is given, and says of everything that somebody is subscribed to it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Publish] = []

    def welcome(self, peer: Peer, hello: Connect) -> tuple[ReasonCode, bool, ClientSession]:
        if hello.will is not None:
            self.taken.append(hello.will)
        return super().welcome(peer, hello)

    def route(self, message: Publish, sender: str) -> bool:
        self.taken.append(message)
        super().route(message, sender)
        return True

    def names(self) -> set[str]:
        """The channels on which something came."""
        return {channel_of(message.topic).name for message in self.taken}


async def lines_at_rest(_: Supervisor) -> None:
    await asyncio.Event().wait()


async def run_until(day: Day, broker: Recording, readings: Iterable[Reading], channels: set[str]) -> None:
    """The gateway on the day's ledger, until the broker has something from each of the channels."""
    config = msgspec.structs.replace(
        day.config,
        mqtt=msgspec.structs.replace(day.config.mqtt, port=broker.port),
        health_listen=("127.0.0.1", 0),
        outbound=msgspec.structs.replace(day.config.outbound, observations=(Notation.HL7, Notation.FHIR)),
    )
    stop = asyncio.Event()
    gateway = Gateway(config, day.clock, day.ledger, day.pipeline)
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.run(stop))
        for reading in readings:
            await gateway._polled(reading)  # pyright: ignore[reportPrivateUsage] as the lines would
        await eventually(lambda: channels <= broker.names(), f"something on each of {channels}")
        stop.set()
    await day.start()


async def test_what_a_running_gateway_publishes_goes_out_as_its_row_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Supervisor, "run", lines_at_rest)
    loop = asyncio.get_running_loop()
    policy = (POLICIES / "story.toml").read_text()
    sent = {channel.name for channel in CHANNELS if not channel.receives}
    lossy = {channel.name for channel in CHANNELS if channel.qos == 0}
    async with a_day(tmp_path, policy) as day, Recording() as broker:
        began_s = loop.time()
        await day.cooled()
        await day.until("09:10")
        cap = CapReading(1, RunState.RUNNING, True, True, {"coolant_supply": Measurement(-4.0, "Cel")})
        reading = Reading("cap-07", day.clock.now(), (cap,), {}, (), "CU-20417")
        await run_until(day, broker, [reading], lossy)
        waited_s = loop.time() - began_s
        await day.until("09:30")
        await day.infused()
        await day.sign()
        await run_until(day, broker, [], sent)
    for message in broker.taken:
        channel = channel_of(message.topic)
        expiry_s = message.properties.get(Prop.MESSAGE_EXPIRY)
        assert (message.qos, message.retain) == (channel.qos, channel.retain), message.topic
        assert (expiry_s is None) is (channel.expiry_s is None), message.topic
        if channel.expiry_s is not None and isinstance(expiry_s, int):  # what is left of it
            assert channel.expiry_s - math.ceil(waited_s) <= expiry_s <= channel.expiry_s, message.topic
        cleared = channel.retain and not message.payload
        assert message.properties.get(Prop.CONTENT_TYPE, "") == ("" if cleared else channel.content_type), message.topic


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_only_what_may_be_lost_expires(channel: Channel) -> None:
    assert (channel.qos == 0) is (channel.expiry_s is not None)
    assert not (channel.retain and channel.expiry_s)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_every_reply_is_received(channel: Channel) -> None:
    assert channel.reply in {"", *(each.name for each in CHANNELS if each.receives)}
