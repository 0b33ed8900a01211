"""Answers of the control socket as text: in the gateway's local time, UTC only where no zone is named."""

import pytest

from gateway.cli.control_report import answer_text
from gateway.control.answers import (
    ActAnswer,
    FeedAnswer,
    FeedView,
    IncrementChangeView,
    IncrementView,
    InfusionEndView,
    IntervalView,
    SessionAnswer,
    SessionChangeView,
    SessionView,
    WorklistAnswer,
    WorkView,
)
from gateway.monitoring.feed import FeedResult
from gateway.session.assessment import Phase
from gateway.session.facts import EndSource, WorkKind
from gateway.session.increments import Op
from gateway.session.outcome import SessionState

ZONE = "America/New_York"
SESSION = SessionView(
    token="9RX2M7KQ4",
    unit="cap-07",
    cap=1,
    caps=("cap-07:1",),
    state=SessionState.OPEN,
    bound=True,
    finalised=False,
    phase=Phase.POST_INFUSION,
    started_at="2026-03-10T12:00:00.000Z",
    stopped_at=None,
    net_s=960.0,
    increments=(IncrementView(increment="9RX2M7KQ401A", attained_at="2026-03-10T14:46:00.512Z"),),
    held=(),
    flags=(),
    missing=(),
    charges=(),
    corrections=(),
    infusion_end=InfusionEndView(at="2026-03-10T14:30:00.000Z", order="O-1", source=EndSource.MAR),
    intervals=(IntervalView(from_="2026-03-10T14:30:00.000Z", to="2026-03-10T14:46:00.512Z", cap="cap-07:1"),),
    facts=(
        {
            "fact": "infusion_end_corrected",
            "at_us": 1_773_153_000_000_000,
            "known_at_us": 1_773_153_600_000_000,
            "order": "O-1",
            "new_end_us": 1_773_153_060_000_000,
            "at": "2026-03-10T14:30:00.000Z",
        },
    ),
)


def test_a_session_is_shown_in_local_time() -> None:
    text = answer_text(SessionAnswer(time_zone=ZONE, session=SESSION))
    assert "  cooling: 2026-03-10T08:00:00-04:00 to now" in text
    assert "  infusion end: 2026-03-10T10:30:00-04:00, order O-1, by mar" in text
    assert "    2026-03-10T10:30:00-04:00 to 2026-03-10T10:46:00-04:00 on cap-07:1" in text
    assert "  9RX2M7KQ401A attained at 2026-03-10T10:46:00-04:00" in text
    fact = "  2026-03-10T10:30:00-04:00 infusion_end_corrected: order O-1, new_end 2026-03-10T10:31:00-04:00"
    assert fact in text


@pytest.mark.parametrize(
    ("zone", "instant"), [(ZONE, "2026-11-01T01:30:00-05:00"), ("UTC", "2026-11-01T06:30:00+00:00")]
)
def test_changes_work_and_feed_are_shown_in_local_time(zone: str, instant: str) -> None:
    at = "2026-11-01T06:30:00.000Z"
    change = IncrementChangeView(op=Op.AMEND, increment="9RX2M7KQ401B", attained_at=at, was=at)
    changed = SessionChangeView(
        session="9RX2M7KQ4",
        happened=(),
        state=SessionState.OPEN,
        phase=Phase.ENDED,
        increments=(change,),
        held=(),
        charges=(),
        corrections=(),
    )
    work = WorkView(item="3f9a01", what=WorkKind.CHAIR_TAKEN, since=at, cap=None, order=None, message="m", sessions=())
    row = FeedView(
        sender="EPIC",
        type="RAS",
        result=FeedResult.ACCEPTED,
        code="",
        today=1,
        late_today=0,
        since_start=1,
        last_id="7",
        last_at=at,
    )
    answers = (
        ActAnswer(time_zone=zone, recorded=("note_added",), changed=(changed,)),
        WorklistAnswer(time_zone=zone, work=(work,)),
        FeedAnswer(time_zone=zone, since=at, feed=(row,)),
    )
    for answer, often in zip(answers, (2, 1, 2), strict=True):
        assert answer_text(answer).count(instant) == often
