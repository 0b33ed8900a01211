"""Counters of each unit's polls: plain numbers, so that polling pays only an addition."""

from bisect import bisect_left
from collections import Counter

from drivers.reading import FaultKind

REPLY_BUCKETS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class UnitCounters:
    """The results of one unit's polls since the gateway started."""

    def __init__(self) -> None:
        self.up = False
        self.reads_ok = 0
        self.read_us: int | None = None  # when the last reading was taken, UTC
        self.faults: Counter[str] = Counter()  # by FaultKind
        self.reply_s_sum = 0.0
        self.replies = [0] * (len(REPLY_BUCKETS_S) + 1)  # by bucket, not cumulative; the last is above all bounds

    def ok(self, reply_s: float, at_us: int) -> None:
        """Count a poll with a reading of `at_us`, UTC, after `reply_s`."""
        self.up = True
        self.read_us = at_us
        self.reads_ok += 1
        self.reply_s_sum += reply_s
        self.replies[bisect_left(REPLY_BUCKETS_S, reply_s)] += 1

    def fault(self, kind: FaultKind) -> None:
        """Count a poll without a reading."""
        self.up = False
        self.faults[kind] += 1
