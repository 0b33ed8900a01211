"""Instants in local time, with the offset that tells the hours of a changed clock apart."""

from zoneinfo import ZoneInfo

import pytest

from gateway.session.local_time import clock_text, exact_text, instant_text, local

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (1_773_144_000_000_000, "2026-03-10T08:00:00-04:00"),
        (1_773_144_000_999_999, "2026-03-10T08:00:00-04:00"),
        (1_793_511_000_000_000, "2026-11-01T01:30:00-04:00"),
        (1_793_514_600_000_000, "2026-11-01T01:30:00-05:00"),
        (-1, "1969-12-31T18:59:59-05:00"),
    ],
)
def test_an_instant_is_said_with_the_offset_of_its_day(at_us: int, text: str) -> None:
    assert instant_text(at_us, NEW_YORK) == text
    assert clock_text(at_us, NEW_YORK) == text[11:19]


def test_nothing_is_lost_where_it_is_said_exactly() -> None:
    assert exact_text(1_773_144_000_000_000, NEW_YORK) == "2026-03-10T08:00:00-04:00"
    assert exact_text(1_773_144_000_000_001, NEW_YORK) == "2026-03-10T08:00:00.000001-04:00"
    assert local(1_773_144_000_000_001, NEW_YORK).microsecond == 1
