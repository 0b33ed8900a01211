"""A session at the broker that an earlier configuration began: what it still brings changes nothing."""

from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest

from gateway.bridge.config import Carried, load_bridge
from gateway.bridge.notices import Happening
from gateway.messages.notation import Mode, Notation
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import NOBODY_LISTENS
from tests.broker.bridge_side import CHARGES, bridge, charge, write_config
from tests.broker.gateway_side import gateway, settings
from tests.broker.harness import Mosquitto, eventually
from tests.broker.mllp_peers import EngineLog, engine
from tests.broker.paho_client import PahoClient
from tests.broker.whole_gateway import whole_gateway
from tests.support.story import POLICIES, a_day

TEST = "capgate-test/v1/north/ehr/in/json"
LIVE = "capgate/v1/north/ehr/in/json"
SAMPLES = Path(__file__).parents[1] / "data" / "messages"
OF_OLD = "capgate/v1/south/ehr/in/json"  # of a site of which the configuration says nothing any more


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The topics of which the log says that they are not configured."""
    return [vars(each)["topic"] for each in caplog.records if "not configured" in each.message]


async def test_what_waits_of_topics_that_are_configured_no_longer_is_counted_and_dropped(
    tmp_path: Path, any_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    sender = PahoClient(any_port, paho.MQTTv5, "engine")
    async with gateway(tmp_path, settings(any_port), inbound=[TEST, OF_OLD]) as gw:
        await gw.connected()
    for number in range(3):
        assert sender.publish(TEST, f"test {number}".encode()) == 0
        assert sender.publish(OF_OLD, f"old {number}".encode()) == 0
    async with gateway(tmp_path, settings(any_port), inbound=[LIVE], left_over=[TEST]) as gw:
        await gw.connected()
        assert sender.publish(LIVE, b"live") == 0
        await eventually(lambda: gw.handled != [], "what is live is handled")
        assert gw.handled == [b"live"]
        assert gw.counters.inbound_unconfigured == 6
        assert lines(caplog) == [TEST, OF_OLD]
        assert [sender.publish(topic, b"more") for topic in (TEST, OF_OLD)] == [NOBODY_LISTENS] * 2
    async with gateway(tmp_path, settings(any_port), inbound=[LIVE, TEST]) as gw:
        await gw.connected()
        sender.publish(LIVE, b"next")
        await eventually(lambda: gw.handled == [b"next"], "what was dropped was acknowledged")
    sender.disconnect()


async def test_a_subscription_that_is_configured_no_longer_ends_before_it_brings_anything(
    tmp_path: Path, any_port: int
) -> None:
    async with gateway(tmp_path, settings(any_port), inbound=[TEST, LIVE]) as gw:
        await gw.connected()
    async with gateway(tmp_path, settings(any_port), inbound=[LIVE], left_over=[TEST]) as gw:
        await gw.connected()
        sender = PahoClient(any_port, paho.MQTTv5, "engine")
        assert sender.publish(TEST, b"test") == NOBODY_LISTENS
        sender.disconnect()
        assert gw.counters.inbound_unconfigured == 0


async def test_a_box_that_goes_live_acts_on_nothing_of_the_test_feed(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = (SAMPLES / "in_association_bound.json").read_bytes()
    sender = PahoClient(mosquitto.port, paho.MQTTv5, "engine")
    async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
        mqtt = msgspec.structs.replace(day.config.mqtt, port=mosquitto.port)  # one client id for both modes
        as_test = msgspec.structs.replace(day.config, mqtt=mqtt, health_listen=("127.0.0.1", 0))
        as_live = msgspec.structs.replace(as_test, mode=Mode.LIVE)
        topics = {
            each.mode: Topics(each.site, each.id, each.mode).inbound(Notation.JSON).topic for each in (as_test, as_live)
        }
        async with whole_gateway(as_test, day, monkeypatch):
            await eventually(lambda: sender.publish(topics[Mode.TEST], b"no event") == 0, "the test gateway listens")
        for number in range(5):
            sender.publish(topics[Mode.TEST], bound.replace(b'"id": "', f'"id": "{number}'.encode()))
        async with whole_gateway(as_live, day, monkeypatch) as live:
            await eventually(lambda: sender.publish(topics[Mode.TEST], bound) == NOBODY_LISTENS, "it is unsubscribed")
            await eventually(lambda: sender.publish(topics[Mode.LIVE], b"no event") == 0, "the live gateway listens")
            await eventually(lambda: live.feed.results.total() == 1, "the live message is read")
            assert live.feed.results == {"rejected": 1}
    sender.disconnect()


async def test_a_bridge_that_carries_less_than_before_carries_nothing_that_waited(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    sender, heard = PahoClient(mosquitto.port, paho.MQTTv5, "gateway"), EngineLog()
    async with engine(heard) as port:
        async with bridge(load_bridge(write_config(tmp_path, mosquitto.port, port))) as before:
            await eventually(lambda: sender.publish(CHARGES, charge(0)) == 0, "the bridge subscribes")
            await eventually(lambda: before.lanes[Carried.CHARGE].carried == 1, "and acknowledges to the broker")
        assert sender.publish(CHARGES, charge(1)) == 0
        shorter = load_bridge(write_config(tmp_path, mosquitto.port, port, more='carry = ["observation"]'))
        async with bridge(shorter) as running:
            await eventually(lambda: running.report().mqtt_connected, "the bridge is connected")
            assert sender.publish(CHARGES, charge(2)) == NOBODY_LISTENS
            await eventually(lambda: running.notices.counts[Happening.NOT_CARRIED] == 1, "what waited is counted")
        assert heard.ids == ["CG9RX2M7KQ400A"]
    sender.disconnect()
