"""Decides which row is published next, and what the broker's answer means. Pure: time and chance are parameters.

Theory of operation. Rows are sent in the order of their ids, at most `window` of them unacknowledged. A refusal holds
back its topic or, if the broker refuses the content, that row alone; other rows go on. A topic without a subscriber is
held back likewise, for the subscriber may still be reconnecting after a crash of the broker. Rows that must arrive
wait for it without limit; on other topics rows count as delivered after LET_GO_S, for a site subscribes to what it
needs.

A hold keeps the id of its oldest row and no payloads: when it is due that row is read and sent again (a probe); once
the broker accepts it, reading restarts at the oldest held row. So a topic that is denied for weeks costs one attempt
in each back-off and no memory, and its rows are sent in order when it is allowed.

Rows that the interface engine did not acknowledge are sent again after new ones (`repeat`); the order was kept the
first time.

After a reconnect a new Delivery starts at the oldest unacknowledged row, so rows in flight are sent again.
"""

from collections import deque
from collections.abc import Container, Sequence
from enum import StrEnum

import msgspec

from gateway.ledger.batch import OutboxRow
from gateway.mqtt.types import NOBODY_LISTENS, REFUSED_FROM

WINDOW = 20
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
LET_GO_S = 120.0  # how long rows that need not arrive wait for a subscriber
OF_THE_TOPIC = frozenset({NOBODY_LISTENS, 0x87, 0x90, 0x97})  # the others: not authorised, bad topic name, over quota


class NextStep(StrEnum):
    """The meaning of the broker's answer for its row. A lost connection is no answer: the row stays as it was."""

    TAKEN = "taken"  # done
    NO_SUBSCRIBER = "no_subscriber"  # accepted without a subscriber: to be sent again
    REFUSED = "refused"  # to be sent again


def backoff_s(failures: int, chance: float, first_s: float, longest_s: float) -> float:
    """Full jitter: a delay between 0 and `first_s` doubled with every failure past the first, at most `longest_s`.

    `chance` is in [0, 1), `failures` 1 or more.
    """
    return chance * min(longest_s, first_s * 2.0 ** min(failures - 1, 60))


class _Hold(msgspec.Struct):
    reason: int
    first_id: int  # the oldest row held back
    failures: int
    due_s: float


class Delivery:
    """The rows of one connection: `offer` rows that were read, send those from `next`, `settle` answered ones.

    Accepted rows may still be offered until they are `marked` in the outbox; they are not sent again.
    """

    def __init__(self, must_arrive: Container[str], window: int = WINDOW) -> None:
        self._must_arrive = must_arrive  # topics
        self.cursor = 0  # rows up to here were read; a release moves it back
        self._window = window
        self._ready: deque[OutboxRow] = deque()
        self._probes: deque[OutboxRow] = deque()
        self._repeats: dict[int, OutboxRow] = {}  # by id
        self._in_flight: set[int] = set()
        self._probed: set[int] = set()  # from `due` to `settle`
        self._taken: set[int] = set()  # from `settle` to `marked`
        self._no_subscriber_since_s: dict[str, float] = {}  # by topic
        self._holds: dict[str | int, _Hold] = {}  # by topic, or by row where the content is refused

    @property
    def has_room(self) -> bool:
        """Whether fewer rows are ready than the window has room for."""
        return len(self._ready) < self._window

    @property
    def busy(self) -> bool:
        """Whether a row is in flight or could be sent now; held rows could not."""
        return bool(self._in_flight or self._probed or self._probes or self._ready or self._repeats)

    @property
    def held_topics(self) -> dict[str, int]:
        """The topics that are held back, with the broker's reason code; for want of a subscriber if they need one."""
        return {
            key: hold.reason
            for key, hold in self._holds.items()
            if isinstance(key, str) and (hold.reason != NOBODY_LISTENS or key in self._must_arrive)
        }

    def offer(self, rows: Sequence[OutboxRow]) -> None:
        """Add rows read past the cursor, oldest first."""
        for row in rows:
            self.cursor = row.outbox_id
            if not self._under_way(row.outbox_id) and not self._held(row):
                self._ready.append(row)

    def repeat(self, rows: Sequence[OutboxRow]) -> None:
        """Add rows that were accepted before and are to be sent again, except those in flight or held back."""
        for row in rows:
            if not self._under_way(row.outbox_id) and not self._stopped(row):
                self._repeats[row.outbox_id] = row

    def next(self) -> OutboxRow | None:
        """The row to send now, which is in flight from then on; None if there is none or the window is full."""
        if len(self._in_flight) >= self._window:
            return None
        row = self._probes.popleft() if self._probes else None
        while row is None and self._ready:
            row = self._ready.popleft()
            row = None if self._held(row) else row
        while row is None and self._repeats:
            row = self._repeats.pop(next(iter(self._repeats)))
            row = None if self._stopped(row) or self._under_way(row.outbox_id) else row
        if row is not None:
            self._in_flight.add(row.outbox_id)
        return row

    def settle(self, row: OutboxRow, reason: int, now_s: float, chance: float) -> NextStep:
        """Process the broker's answer: release the row's holds, or hold it back until a later attempt."""
        self._in_flight.discard(row.outbox_id)
        self._probed.discard(row.outbox_id)
        verdict = self._judge(row, reason, now_s)
        if verdict is not NextStep.TAKEN and reason in OF_THE_TOPIC:
            self._holds.pop(row.outbox_id, None)
            self._hold(row.topic, row.outbox_id, reason, now_s, chance)
            return verdict
        self._release(row.topic)
        if verdict is NextStep.TAKEN:
            self._holds.pop(row.outbox_id, None)
            self._taken.add(row.outbox_id)
        else:
            self._hold(row.outbox_id, row.outbox_id, reason, now_s, chance)
        return verdict

    def marked(self, outbox_id: int) -> None:
        """The row is marked as delivered in the outbox, which will not return it again."""
        self._taken.discard(outbox_id)

    def due(self, now_s: float) -> int | None:
        """The id of a held row that is due for another attempt; to be read and passed to `probe`."""
        for hold in self._holds.values():
            if hold.due_s <= now_s and not self._under_way(hold.first_id):
                self._probed.add(hold.first_id)
                return hold.first_id
        return None

    def probe(self, outbox_id: int, row: OutboxRow | None) -> None:
        """Send the row again; None if it need not be sent any more, which ends its hold."""
        if row is not None:
            self._probes.append(row)
            return
        self._probed.discard(outbox_id)
        for key in [key for key, hold in self._holds.items() if hold.first_id == outbox_id]:
            self._release(key)

    def wake_s(self) -> float | None:
        """When the next hold is due, None without one."""
        return min((hold.due_s for hold in self._holds.values() if not self._under_way(hold.first_id)), default=None)

    def _judge(self, row: OutboxRow, reason: int, now_s: float) -> NextStep:
        """UNPROVEN (3.1.1) counts as taken, and so does a retained message, which the broker keeps."""
        if reason >= REFUSED_FROM:
            return NextStep.REFUSED
        if reason != NOBODY_LISTENS or row.retain:
            self._no_subscriber_since_s.pop(row.topic, None)
            return NextStep.TAKEN
        since_s = self._no_subscriber_since_s.setdefault(row.topic, now_s)
        waits = row.topic in self._must_arrive or now_s - since_s < LET_GO_S
        return NextStep.NO_SUBSCRIBER if waits else NextStep.TAKEN

    def _under_way(self, outbox_id: int) -> bool:
        return outbox_id in self._in_flight or outbox_id in self._probed or outbox_id in self._taken

    def _held(self, row: OutboxRow) -> bool:
        if row.outbox_id in self._holds:
            return True
        hold = self._holds.get(row.topic)
        if hold is not None:
            hold.first_id = min(hold.first_id, row.outbox_id)
        return hold is not None

    def _stopped(self, row: OutboxRow) -> bool:
        """Whether a hold concerns the row, which is then sent again by the hold's back-off."""
        return row.outbox_id in self._holds or row.topic in self._holds

    def _hold(self, key: str | int, outbox_id: int, reason: int, now_s: float, chance: float) -> None:
        hold = self._holds.setdefault(key, _Hold(reason, outbox_id, 0, now_s))
        hold.reason = reason
        hold.first_id = min(hold.first_id, outbox_id)
        if now_s >= hold.due_s:  # before that, answers to rows in flight with the first one do not count again
            hold.failures += 1
            hold.due_s = now_s + backoff_s(hold.failures, chance, FIRST_RETRY_S, LONGEST_RETRY_S)

    def _release(self, key: str | int) -> None:
        """End a hold: move the cursor back to its oldest row, and drop ready rows from there on."""
        hold = self._holds.pop(key, None)
        if hold is not None:
            while self._ready and self._ready[-1].outbox_id >= hold.first_id:
                self._ready.pop()
            self.cursor = min(self.cursor, hold.first_id - 1)
