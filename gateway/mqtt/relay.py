"""Publishes the outbox: every row at least once, in order, its repeats byte-equal (transactional outbox).

A PUBACK proves that the broker has a message, not that any subscriber has: a broker that crashes a moment later loses
the messages that it has not passed on, and the connection too. So a row is marked in the outbox only when the
connection has lasted SETTLE_S after its PUBACK; if it ends before, the next connection repeats the row. That also
groups marks into few commits.

A marked row that the interface engine does not acknowledge in time is sent again: the ledger decides which
(deliveries.py). Such a repeat is marked at once, as it still awaits its receipt and its next repeat depends on it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Container, Sequence
from typing import Protocol

from gateway.ledger.batch import Attempt, OutboxRow
from gateway.ledger.deliveries import ResendRules
from gateway.mqtt.client import Connection
from gateway.mqtt.retry import WINDOW, Delivery, NextStep
from gateway.mqtt.types import MqttCounters, OutgoingMessage
from gateway.runtime.clock import Clock

ROWS_A_READ = 100
SETTLE_S = 1.0
RESEND_CHECK_S = 5.0  # longest time between two queries for rows to be sent again
NEXT_PAGE_S = 0.2  # the same, when the last query returned a full page
MARK_S = 1.5  # rows are marked when the oldest PUBACK is so old, then all older than SETTLE_S


class WaitingRows(Protocol):
    """The outbox as the relay uses it."""

    async def pending(self, after: int, limit: int) -> list[OutboxRow]:
        """Undelivered rows with `outbox_id > after`, oldest first."""
        ...

    async def still_to_send(self, outbox_id: int) -> OutboxRow | None:
        """The row, if it is undelivered or may be sent again."""
        ...

    async def mark(self, attempts: Sequence[Attempt]) -> None:
        """Append the attempts in one transaction; rows marked delivered are no longer pending."""
        ...

    async def due_again(self, now_us: int, rules: ResendRules, forgotten_us: int, limit: int) -> list[OutboxRow]:
        """Rows to be sent again; the broker has lost everything sent before `forgotten_us`, UTC."""
        ...

    async def wait_for_rows(self) -> None:
        """Return once rows were added after the last `pending` that found none, perhaps at once."""
        ...


class NoRows:
    """The outbox of a gateway that cannot use its ledger: nothing waits there."""

    async def pending(self, after: int, limit: int) -> list[OutboxRow]:
        """None."""
        return []

    async def still_to_send(self, outbox_id: int) -> OutboxRow | None:
        """None."""
        return None

    async def mark(self, attempts: Sequence[Attempt]) -> None:
        """Nothing was sent."""

    async def due_again(self, now_us: int, rules: ResendRules, forgotten_us: int, limit: int) -> list[OutboxRow]:
        """None."""
        return []

    async def wait_for_rows(self) -> None:
        """Never returns."""
        await asyncio.get_running_loop().create_future()


class Relay:
    """Publishes the outbox on one connection. A new one needs a new Relay, which sends all unmarked rows again."""

    def __init__(
        self,
        connection: Connection,
        outbox: WaitingRows,
        clock: Clock,
        chance: Callable[[], float],
        counters: MqttCounters,
        resends: ResendRules,
        must_arrive: Container[str],
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._clock = clock
        self._chance = chance
        self._counters = counters
        self._resends = resends
        self._resend_check_at_s = 0.0  # loop time of the next query for rows to be sent again
        self._forgotten_us = 0 if connection.session_present else clock.now().utc_us
        self._delivery = Delivery(must_arrive, min(WINDOW, connection.window))
        self._answered: list[tuple[OutboxRow, asyncio.Future[int]]] = []
        self._again: set[int] = set()  # rows that are sent again
        self._repeated: list[Attempt] = []  # to be marked at once
        self._unmarked: deque[tuple[float, Attempt]] = deque()  # with the loop time of the PUBACK, oldest first
        self._wake = asyncio.Event()
        self._exhausted = asyncio.Event()  # `pending` found nothing past the cursor
        self._more = True  # `pending` may find rows

    @property
    def held_topics(self) -> dict[str, int]:
        """Topics whose rows are held back, with the broker's reason code: as `Delivery` has them."""
        return self._delivery.held_topics

    @property
    def drained(self) -> bool:
        """Whether the broker has every row that it accepts now."""
        return not (self._more or self._answered or self._delivery.busy)

    async def run(self) -> None:
        """Relay until the connection ends. Raises Disconnected, and whatever the outbox raises."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                while True:
                    self._wake.clear()
                    self._take_answers()
                    self._send()
                    await self._mark_repeated()
                    await self._mark_settled()
                    await self._probe()
                    await self._repeat()
                    self._send()
                    if self._more and self._delivery.has_room:
                        await self._read()
                    elif not self._answered:
                        await self._idle()
        finally:
            await self._mark_last()

    async def _watch(self) -> None:
        """Wake the relay for new rows; only after `pending` found none, as the wait would end at once before."""
        while True:
            await self._exhausted.wait()
            await self._outbox.wait_for_rows()
            self._exhausted.clear()
            self._more = True
            self._resend_check_at_s = 0.0
            self._wake.set()

    def _take_answers(self) -> None:
        answered, self._answered = self._answered, []
        for row, future in answered:
            attempt = self._judge(row, future.result())
            if row.outbox_id in self._again:
                self._repeated.append(attempt)
            else:
                self._unmarked.append((asyncio.get_running_loop().time(), attempt))

    async def _mark_repeated(self) -> None:
        repeated, self._repeated = self._repeated, []
        await self._outbox.mark(repeated)
        for attempt in repeated:
            self._again.discard(attempt.outbox_id)
            self._delivery.marked(attempt.outbox_id)

    async def _mark_settled(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if not self._unmarked or now_s < self._unmarked[0][0] + MARK_S:
            return
        settled: list[Attempt] = []
        while self._unmarked and self._unmarked[0][0] + SETTLE_S <= now_s:
            settled.append(self._unmarked.popleft()[1])
        await self._outbox.mark(settled)
        for attempt in settled:
            self._delivery.marked(attempt.outbox_id)

    async def _mark_last(self) -> None:
        """At the end mark refused rows, and accepted ones only if the connection was not lost."""
        known = [attempt for _, attempt in self._unmarked if not (attempt.delivered and self._connection.ended)]
        if known:
            await self._outbox.mark(known)

    def _judge(self, row: OutboxRow, reason: int) -> Attempt:
        cursor = self._delivery.cursor
        verdict = self._delivery.settle(row, reason, asyncio.get_running_loop().time(), self._chance())
        self._more |= self._delivery.cursor < cursor
        self._counters.published += verdict is NextStep.TAKEN
        self._counters.no_subscriber += verdict is NextStep.NO_SUBSCRIBER
        self._counters.refused += verdict is NextStep.REFUSED
        return Attempt(row.outbox_id, self._clock.now().utc_us, reason, verdict is NextStep.TAKEN)

    async def _probe(self) -> None:
        while (outbox_id := self._delivery.due(asyncio.get_running_loop().time())) is not None:
            self._delivery.probe(outbox_id, await self._outbox.still_to_send(outbox_id))
            self._more = True

    async def _repeat(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s < self._resend_check_at_s:
            return
        now_us = self._clock.now().utc_us
        rows = await self._outbox.due_again(now_us, self._resends, self._forgotten_us, ROWS_A_READ)
        pause_s = NEXT_PAGE_S if len(rows) == ROWS_A_READ else min(RESEND_CHECK_S, self._resends.first_s / 4)
        self._resend_check_at_s = now_s + pause_s
        self._again.update(row.outbox_id for row in rows)
        self._delivery.repeat(rows)

    def _send(self) -> None:
        while (row := self._delivery.next()) is not None:
            message = OutgoingMessage(row.topic, row.payload, retain=row.retain, content_type=row.content_type)
            future = self._connection.send(message)
            future.add_done_callback(lambda done, row=row: self._note(row, done))

    def _note(self, row: OutboxRow, done: asyncio.Future[int]) -> None:
        if not done.cancelled():
            self._answered.append((row, done))
            self._wake.set()

    async def _read(self) -> None:
        rows = await self._outbox.pending(self._delivery.cursor, ROWS_A_READ)
        self._delivery.offer(rows)
        self._send()
        if not rows:
            self._more = False
            self._exhausted.set()

    async def _idle(self) -> None:
        """Wait until an answer or a row arrives, or something is due."""
        due_s = [
            self._resend_check_at_s,
            self._delivery.wake_s(),
            self._unmarked[0][0] + MARK_S if self._unmarked else None,
        ]
        try:
            async with asyncio.timeout_at(min((at_s for at_s in due_s if at_s is not None), default=None)):
                await self._wake.wait()
        except TimeoutError:
            return
