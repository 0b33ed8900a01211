"""The rows of gateway/mqtt/topics.py agree with the table in docs/reference/messages.md and with the publishers."""

import re
import sqlite3
from pathlib import Path

import pytest

from gateway.messages.cloudevents import Origin
from gateway.messages.notation import Mode
from gateway.mqtt.gateway_status import announcements
from gateway.mqtt.service import ConnectionInfo
from gateway.mqtt.topics import CHANNELS, STATUS, Channel
from gateway.runtime.clock import SystemClock
from tests.contract.message_samples import PAGE
from tests.unit.gateway.ledger.ledger_story import TOPICS, write_story

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
    level = topic.removeprefix(f"{TOPICS.root}/")
    (found,) = [each for each in CHANNELS if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each.address), level)]
    return found


def test_the_page_has_every_channel_as_its_row_does() -> None:
    rows = {channel.address.replace("{gateway}", "{gw}"): delivery(channel) for channel in CHANNELS}
    assert {topic: how.removesuffix(" until delivered") for topic, how in documented().items()} == rows


def test_birth_will_and_farewell_go_out_as_their_row_says() -> None:
    made = announcements(Origin("s", "g"), "t", Mode.TEST, SystemClock())
    for message in (made.birth(ConnectionInfo(1, "5.0", False)), made.will(1), made.farewell(1)):
        assert (message.qos, message.retain, message.expiry_s) == (STATUS.qos, STATUS.retain, STATUS.expiry_s)
        assert message.content_type == STATUS.content_type


def test_what_a_ledger_sends_goes_out_as_its_row_says(tmp_path: Path) -> None:
    write_story(tmp_path / "ledger.db")
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        sent = connection.execute("SELECT topic, retain, content_type FROM outbox").fetchall()
    connection.close()
    seen = {channel_of(topic).name for topic, _, _ in sent}
    assert seen == {"capEvent", "increment", "session", "chargeJson", "checkpoint"}
    for topic, retain, content_type in sent:
        channel = channel_of(topic)
        assert bool(retain) is channel.retain, topic
        assert content_type in (channel.content_type, ""), topic  # "" clears what the broker keeps
        assert channel.qos == 1, topic  # what the ledger keeps must not be lost


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_only_what_may_be_lost_expires(channel: Channel) -> None:
    assert (channel.qos == 0) is (channel.expiry_s is not None)
    assert not (channel.retain and channel.expiry_s)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda channel: channel.name)
def test_every_reply_is_received(channel: Channel) -> None:
    assert channel.reply in {"", *(each.name for each in CHANNELS if each.receives)}
