"""Instants as text, out and in."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messages.instants import Instant, InstantError, read_hl7_instant, read_instant, rfc3339

NEW_YORK = ZoneInfo("America/New_York")
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US

moments = st.datetimes(datetime(2000, 1, 2), datetime(2099, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


def us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(moments)
def test_text_has_milliseconds_and_z_and_is_what_datetime_says(moment: datetime) -> None:
    expected = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rfc3339(us(moment.isoformat())) == expected


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_what_is_written_with_any_offset_is_read_back(moment: datetime, offset_min: int) -> None:
    sign, rest = ("-" if offset_min < 0 else "+"), abs(offset_min)
    local = (moment + timedelta(minutes=offset_min)).replace(tzinfo=None).isoformat()
    text = f"{local}{sign}{rest // 60:02d}:{rest % 60:02d}"
    if local.startswith("2"):
        assert read_instant(text, 0) == Instant(us(moment.isoformat()))


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-10T15:00:00Z",
        "2026-03-10t15:00:00z",
        "2026-03-10 11:00-04:00",
        "2026-03-10T11:00:00.000-0400",
        "2026-03-10T11:00:00.0000000001-04",
        "2026-03-10 11:00:00 -0400",
        "2026-03-10T15:00:00+00",
    ],
)
def test_the_ways_charts_write_one_instant_are_one(text: str) -> None:
    assert read_instant(text, 0) == Instant(us("2026-03-10T15:00:00+00:00"))
    assert read_hl7_instant(text, 0) == Instant(us("2026-03-10T15:00:00+00:00"))


@pytest.mark.parametrize(
    "text",
    [
        "20260310150000Z",
        "202603101500+00",
        "20260310110000-0400",
        "20260310110000-04",
        "20260310110000.0000-04:00",
        "20260310110000.0000000001-0400",
        "20260310203000+0530",
    ],
)
def test_the_ways_hl7_writes_one_instant_are_one(text: str) -> None:
    assert read_hl7_instant(text, 0) == Instant(us("2026-03-10T15:00:00+00:00"))


@pytest.mark.parametrize("text", ["20260310", "2026031015", "2026031015-0400", "20260310-04"])
def test_an_hl7_instant_without_minutes_is_a_date_alone(text: str) -> None:
    assert read_hl7_instant(text, 0, NEW_YORK) == Instant(us("2026-03-10T00:00:00-04:00"), no_time=True)


def test_a_date_alone_is_no_instant() -> None:
    assert read_instant("2026-03-10", 0, NEW_YORK) == Instant(us("2026-03-10T00:00:00-04:00"), no_time=True)


def test_a_local_time_needs_the_sites_zone() -> None:
    with pytest.raises(InstantError, match="offset is missing"):
        read_instant("2026-03-10T11:00:00", 0)
    assert read_instant("2026-03-10T11:00:00", 0, NEW_YORK) == Instant(us("2026-03-10T15:00:00+00:00"))


def test_in_the_repeated_hour_the_later_reading_leaves_fewer_units() -> None:
    earlier, later = us("2026-11-01T01:20:00-04:00"), us("2026-11-01T01:20:00-05:00")
    read = read_instant("2026-11-01T01:20:00", later + 120 * SECOND_US, NEW_YORK)
    assert read == Instant(later, ambiguous=True, other_us=earlier)


def test_in_the_repeated_hour_a_receipt_before_the_later_reading_settles_it() -> None:
    earlier, later = us("2026-11-01T01:20:00-04:00"), us("2026-11-01T01:20:00-05:00")
    read = read_instant("2026-11-01T01:20:00", earlier + 120 * SECOND_US, NEW_YORK)
    assert read == Instant(earlier, ambiguous=True, other_us=later)


def test_a_skipped_local_time_is_refused() -> None:
    with pytest.raises(InstantError, match="skipped"):
        read_instant("2026-03-08T02:30:00", 0, NEW_YORK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-02-30T10:00:00Z",
        "2026-03-10T24:00:00Z",
        "2026-03-10T10:00:00+25:00",
        "2026-03-10T10:00:00-4",
        "1970-01-01T00:00:00Z",
        "20260310100000",
        "2026-03-10T10Z",
        "\u0662\u0660\u0662\u0666-03-10",
    ],
)
def test_what_is_no_instant_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InstantError) as raised:
        read_instant(text, 0)
    assert "accepted" in str(raised.value)
    assert not text or text not in str(raised.value)


@given(st.text(max_size=40))
def test_no_text_raises_anything_but_an_instant_error(text: str) -> None:
    for reader in (read_instant, read_hl7_instant):
        with contextlib.suppress(InstantError):
            reader(text, 0, NEW_YORK)
