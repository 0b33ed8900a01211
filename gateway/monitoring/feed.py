"""What became of the interface engine's messages: counted by sender, type and answer, with the last one's id.

No content is kept. Counts begin with the gateway's start; those of today begin at midnight in the site's time zone.
"""

from collections import Counter
from datetime import date, tzinfo
from enum import StrEnum

import msgspec

from gateway.messages.inbound.answers import Accepted, Answer, Rejected, answer_name
from gateway.messages.inbound.heading import Heading, heading_of
from gateway.runtime.clock import US_PER_S
from gateway.session.local_time import local
from gateway.session.statements import InfusionFact

LATE_S = 900.0  # what was charted so long before it arrived is late
LATELY_US = 3600 * US_PER_S  # a rejection is an alarm for so long
_MAX_ROWS = 500
_MAX_SENDERS = 64
_OTHERS = Heading("(others)", "(others)")  # beyond so many rows


class FeedResult(StrEnum):
    """What became of a message."""

    ACCEPTED = "accepted"
    STAGED = "staged"  # accepted; it waits until its visit has a cap here
    REPEATED = "repeated"
    IGNORED = "ignored"
    REJECTED = "rejected"


class FeedRow(msgspec.Struct, frozen=True, kw_only=True):
    """The messages of one sender and type that were answered alike."""

    sender: str
    type: str
    result: FeedResult
    code: str  # of an answer that has one
    since_start: int
    today: int
    late_today: int  # with something that was charted `LATE_S` before it arrived
    last_id: str  # sender and control id
    last_us: int


class FeedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message and what became of it; nothing of its content."""

    heading: Heading
    result: FeedResult
    code: str = ""
    id: str  # sender and control id; "" where it has none
    at_us: int  # when it arrived
    delays_s: tuple[float, ...] = ()  # from each charting whose instant is stated to the arrival
    late: bool = False  # something happened, or was charted if that is stated, `LATE_S` before
    unknown: tuple[str, ...] = ()  # the fields with words that the site gives no meaning


def feed_message(payload: bytes, answer: Answer, at_us: int, result: FeedResult | None = None) -> FeedMessage:
    """What is counted of a message that arrived at `at_us` and was answered so; `result`: if not as it was answered."""
    charted = [fact for fact in answer.facts if isinstance(fact, InfusionFact)] if isinstance(answer, Accepted) else []
    return FeedMessage(
        heading=heading_of(payload),
        result=result or FeedResult(answer_name(answer)),
        code="" if isinstance(answer, Accepted) else answer.code,
        id=answer.message_id,
        at_us=at_us,
        delays_s=tuple((at_us - fact.charted_us) / US_PER_S for fact in charted if fact.charted_us is not None),
        late=any(at_us - (fact.charted_us or fact.at_us) >= LATE_S * US_PER_S for fact in charted),
        unknown=() if isinstance(answer, Rejected) else answer.unknown,
    )


class _Tally:
    def __init__(self) -> None:
        self.since_start = self.today = self.late = 0
        self.day: date | None = None
        self.last_id = ""
        self.last_us = 0

    def add(self, message: FeedMessage, day: date) -> None:
        if self.day != day:
            self.day, self.today, self.late = day, 0, 0
        self.since_start += 1
        self.today += 1
        self.late += message.late
        self.last_id, self.last_us = message.id, message.at_us


class Feed:
    """The counts since `since_us`. `zone` is the site's time zone."""

    def __init__(self, zone: tzinfo, since_us: int) -> None:
        self.since_us = since_us
        self.results: Counter[FeedResult] = Counter()  # since the start, like the next two
        self.unknown_words: Counter[str] = Counter()  # by the field that had them
        self.delays_s: dict[str, float] = {}  # sender -> shortest time from a charting to its arrival
        self._zone = zone
        self._tallies: dict[tuple[Heading, FeedResult, str], _Tally] = {}

    def count(self, message: FeedMessage) -> None:
        """Count a message."""
        self.results[message.result] += 1
        self.unknown_words.update(message.unknown)
        sender = message.heading.sender
        if message.delays_s and (sender in self.delays_s or len(self.delays_s) < _MAX_SENDERS):
            self.delays_s[sender] = min(*message.delays_s, self.delays_s.get(sender, message.delays_s[0]))
        key = (message.heading, message.result, message.code)
        if key not in self._tallies and len(self._tallies) >= _MAX_ROWS:
            key = (_OTHERS, message.result, "")
        self._tallies.setdefault(key, _Tally()).add(message, self._day(message.at_us))

    def rows(self, now_us: int) -> tuple[FeedRow, ...]:
        """Every row, by sender, type and answer."""
        today = self._day(now_us)
        found = [
            FeedRow(
                sender=heading.sender,
                type=heading.type,
                result=result,
                code=code,
                since_start=tally.since_start,
                today=tally.today if tally.day == today else 0,
                late_today=tally.late if tally.day == today else 0,
                last_id=tally.last_id,
                last_us=tally.last_us,
            )
            for (heading, result, code), tally in self._tallies.items()
        ]
        return tuple(sorted(found, key=lambda row: (row.sender, row.type, row.result, row.code)))

    def rejected_lately(self, now_us: int) -> tuple[FeedRow, ...]:
        """The rows of rejected messages, the last of which came within `LATELY_US`."""
        return tuple(
            row for row in self.rows(now_us) if row.result is FeedResult.REJECTED and now_us - row.last_us < LATELY_US
        )

    def _day(self, now_us: int) -> date:
        return local(now_us, self._zone).date()
