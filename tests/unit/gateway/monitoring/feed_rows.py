"""A row of the engine's feed."""

from gateway.monitoring.feed import FeedResult, FeedRow

FEED_ROW = FeedRow(
    sender="MAR",
    type="RAS^O17",
    result=FeedResult.IGNORED,
    code="not-ours",
    since_start=7,
    today=2,
    late_today=0,
    last_id="MAR|7",
    last_us=1,
)
