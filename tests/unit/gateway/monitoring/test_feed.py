"""Counting what became of the engine's messages: by sender, type and answer, today and since the start."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from gateway.messages.inbound.answers import Accepted, Ignored, Rejected
from gateway.messages.inbound.heading import Heading, heading_of
from gateway.monitoring.feed import Feed, FeedResult, FeedRow, feed_message
from gateway.session.facts import AgentClass, InfusionEnded

MINUTE_US = 60_000_000
NOON_US = 1_773_144_000_000_000  # 2026-03-10T12:00:00Z, 08:00 in New York
RAS = b"MSH|^~\\&|EPIC|CLINIC|CAPGATE|SUITE|20260310120000||RAS^O17^RAS_O17|C-1|P|2.5.1\rPID|||MRN-1\r"


def ended(minutes_ago: int, charted_minutes_ago: int | None = None) -> InfusionEnded:
    charted_us = None if charted_minutes_ago is None else NOON_US - charted_minutes_ago * MINUTE_US
    at_us = NOON_US - minutes_ago * MINUTE_US
    return InfusionEnded(
        at_us=at_us, known_at_us=NOON_US, order="O", patient="P", admin=AgentClass.CHEMO, charted_us=charted_us
    )


@pytest.mark.parametrize(
    ("payload", "heading"),
    [
        (RAS, Heading("EPIC", "RAS^O17")),
        (b"\x0b" + RAS + b"\x1c\r", Heading("EPIC", "RAS^O17")),
        (b"MSH|", Heading("?", "MSH")),
        (b'{"source": "urn:ehr", "type": "org.example.a.v1"}', Heading("urn:ehr", "org.example.a.v1")),
        (b'{"resourceType": "MedicationAdministration"}', Heading("fhir", "MedicationAdministration")),
        (b'{"source": "' + b"x" * 100 + b'", "type": "a\\u0007b"}', Heading("x" * 64, "a?b")),
        (b"[1, 2]", Heading("?", "?")),
        (b"\xff\xfe", Heading("?", "?")),
        (b"", Heading("?", "?")),
    ],
)
def test_sender_and_type_are_found_whatever_the_rest_is(payload: bytes, heading: Heading) -> None:
    assert heading_of(payload) == heading


def test_answers_of_a_kind_make_a_row_with_the_last_id() -> None:
    feed = Feed(UTC, NOON_US)
    rejected = [Rejected(f"EPIC|C-{number}", "bad-time", "RXA-4") for number in (1, 2)]
    for number, answer in enumerate([*rejected, Ignored("EPIC|C-3", "not-ours", "")]):
        feed.count(feed_message(RAS, answer, NOON_US + number))
    feed.count(feed_message(RAS, Accepted("EPIC|C-4", ()), NOON_US, FeedResult.REPEATED))
    assert [(row.result, row.code, row.today, row.last_id, row.last_us) for row in feed.rows(NOON_US)] == [
        ("ignored", "not-ours", 1, "EPIC|C-3", NOON_US + 2),
        ("rejected", "bad-time", 2, "EPIC|C-2", NOON_US + 1),
        ("repeated", "", 1, "EPIC|C-4", NOON_US),
    ]
    assert feed.results == {FeedResult.REJECTED: 2, FeedResult.IGNORED: 1, FeedResult.REPEATED: 1}


def test_today_begins_at_midnight_of_the_site() -> None:
    feed = Feed(ZoneInfo("America/New_York"), NOON_US)
    answer = Ignored("EPIC|C-1", "not-ours", "")
    before_us, after_us = NOON_US + 959 * MINUTE_US, NOON_US + 961 * MINUTE_US  # 23:59 and 00:01
    feed.count(feed_message(RAS, answer, before_us))
    assert (only(feed.rows(before_us)).today, only(feed.rows(after_us)).today) == (1, 0)
    feed.count(feed_message(RAS, answer, after_us))
    assert (only(feed.rows(after_us)).today, only(feed.rows(after_us)).since_start) == (1, 2)


@pytest.mark.parametrize(
    ("end", "late"),
    [(ended(14), 0), (ended(15), 1), (ended(60, charted_minutes_ago=2), 0), (ended(60, charted_minutes_ago=15), 1)],
)
def test_what_was_charted_a_quarter_of_an_hour_ago_is_late(end: InfusionEnded, late: int) -> None:
    feed = Feed(UTC, NOON_US)
    feed.count(feed_message(RAS, Accepted("EPIC|C-1", (end,)), NOON_US))
    assert only(feed.rows(NOON_US)).late_today == late


def test_the_shortest_delay_of_a_sender_is_kept() -> None:
    feed = Feed(UTC, NOON_US)
    for charted_minutes_ago in (3, -1, 5):
        fact = ended(10, charted_minutes_ago)
        feed.count(feed_message(RAS, Accepted("EPIC|C-1", (fact,)), NOON_US))
    feed.count(feed_message(RAS, Accepted("EPIC|C-2", (ended(10),)), NOON_US))
    assert feed.delays_s == {"EPIC": -60.0}


def test_a_rejection_counts_as_late_news_for_an_hour() -> None:
    feed = Feed(UTC, NOON_US)
    feed.count(feed_message(RAS, Rejected("EPIC|C-1", "bad-time", ""), NOON_US))
    feed.count(feed_message(RAS, Ignored("EPIC|C-2", "not-ours", ""), NOON_US))
    assert [row.last_id for row in feed.rejected_lately(NOON_US + 59 * MINUTE_US)] == ["EPIC|C-1"]
    assert feed.rejected_lately(NOON_US + 60 * MINUTE_US) == ()


def test_a_hostile_feed_makes_no_more_rows_than_there_may_be() -> None:
    feed = Feed(UTC, NOON_US)
    for number in range(2_000):
        payload = RAS.replace(b"EPIC", b"S%d" % number)
        feed.count(feed_message(payload, Accepted(f"S|{number}", (ended(1, 1),)), NOON_US))
    rows = feed.rows(NOON_US)
    assert len(rows) <= 501
    assert sum(row.since_start for row in rows) == 2_000
    assert len(feed.delays_s) <= 64


def only(rows: tuple[FeedRow, ...]) -> FeedRow:
    (row,) = rows
    return row
