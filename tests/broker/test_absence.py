"""A whole gateway whose broker lost its session, or that was away for long: the engine is asked to send again."""

import json
from pathlib import Path

import msgspec
import paho.mqtt.client as paho
import pytest

from gateway.config.load import GatewayConfig
from gateway.messages.instants import rfc3339
from gateway.mqtt.topics import Topics
from gateway.recording.absence import LONG_US, Cause
from gateway.session.facts import WorkDone, WorkKind
from tests.broker.harness import Mosquitto, eventually
from tests.broker.paho_client import PahoClient
from tests.broker.whole_gateway import whole_gateway
from tests.support.story import POLICIES, a_day


class Alarm:
    """The state of the alarm as a client of the broker sees it."""

    def __init__(self, port: int, config: GatewayConfig) -> None:
        self.states: list[tuple[str, str | None]] = []
        self.client = PahoClient(port, paho.MQTTv5, "watcher")
        self.client.client.on_message = self._take
        self.client.subscribe(Topics(config.site, config.id, config.mode).alarm("messages-missed").topic)

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        data = json.loads(message.payload)["data"]
        self.states.append((data["state"], data.get("resend_since")))


@pytest.mark.parametrize("cause", Cause)
async def test_the_engine_is_asked_to_send_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Cause) -> None:
    (tmp_path / "broker").mkdir()
    with Mosquitto(tmp_path / "broker", ["autosave_interval 1"]) as broker:
        async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
            mqtt = msgspec.structs.replace(day.config.mqtt, port=broker.port)
            config = msgspec.structs.replace(day.config, mqtt=mqtt, health_listen=("127.0.0.1", 0))
            alarm = Alarm(broker.port, config)
            async with whole_gateway(config, day, monkeypatch):
                await eventually(lambda: alarm.states == [("cleared", None)], "all is well")
                await eventually((config.state_dir / "last-contact.json").exists, "the contact is kept")
            last_us = day.clock.us
            alarm.client.disconnect()
            if cause is Cause.SESSION_LOST:
                broker.kill()
                for file in (tmp_path / "broker").glob("mosquitto.db*"):
                    file.unlink()
                broker.start()
            else:
                day.clock.us += LONG_US
            alarm = Alarm(broker.port, config)
            async with whole_gateway(config, day, monkeypatch) as again:
                since = rfc3339(last_us - 2 * config.mqtt.keepalive_s * 1_000_000)
                await eventually(lambda: ("raised", since) in alarm.states, "it is raised")
                (item,) = again.state.work
                assert (item.raised.what, item.raised.order) == (WorkKind.MESSAGES_MISSED, cause)
                done = WorkDone(
                    at_us=day.clock.us, known_at_us=day.clock.us, item=item.id, person="rn-1", reason="sent"
                )
                await again.record([done])
                await eventually(lambda: alarm.states[-1] == ("cleared", None), "closed, it clears")
            alarm.client.disconnect()
