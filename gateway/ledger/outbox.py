"""The relay's side of the transactional outbox: messages that wait for the broker, and the broker's answers.

The relay reads and writes outside of an open transaction, so that a message is sent only after its commit.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.ledger import deliveries, reads, writes
from gateway.ledger.batch import Attempt, Backlog, OutboxRow
from gateway.ledger.deliveries import Deliveries, Followed, Proof, ReceiptContent, RejectedRow, ResendRules, Unsettled
from gateway.ledger.worker import Worker


class Outbox:
    """Messages in the order of their commit. One relay reads it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._commits = 0
        self._rows_may_wait = asyncio.Event()
        self._rows_may_wait.set()

    async def pending(self, after: int, limit: int) -> list[OutboxRow]:
        """Up to `limit` rows with an id above `after` that the broker has not accepted, oldest first."""
        commits = self._commits
        rows = await self._worker.run_apart(partial(reads.waiting, after=after, limit=limit))
        if not rows and commits == self._commits:
            self._rows_may_wait.clear()
        return rows

    async def still_to_send(self, outbox_id: int) -> OutboxRow | None:
        """The row, if it waits for the broker or may be sent again."""
        return await self._worker.run_apart(partial(deliveries.still_to_send, outbox_id=outbox_id))

    async def mark(self, attempts: Sequence[Attempt]) -> None:
        """Records the attempts in one transaction; rows with a delivered one no longer wait."""
        if attempts:
            await self._worker.run_apart(partial(writes.append_attempts, attempts=attempts))

    async def backlog(self) -> Backlog:
        """How much waits for the broker."""
        return await self._worker.run(reads.backlog)

    async def due_again(self, now_us: int, rules: ResendRules, forgotten_us: int, limit: int) -> list[OutboxRow]:
        """Messages due to be sent again, without a receipt or by a person's order: `deliveries.due_again`."""
        job = partial(deliveries.due_again, now_us=now_us, rules=rules, forgotten_us=forgotten_us, limit=limit)
        return await self._worker.run_apart(job)

    async def deliveries(self) -> Deliveries:
        """How many messages the engine has not acknowledged."""
        return await self._worker.run(deliveries.deliveries)

    async def unsettled(self, state: Proof, limit: int) -> list[Unsettled]:
        """Up to `limit` messages of a state that the engine has not accepted, oldest first."""
        return await self._worker.run(partial(deliveries.unsettled, state=state, limit=limit))

    async def rejected(self, after: int, code: str | None, limit: int) -> list[RejectedRow]:
        """Up to `limit` messages after row `after` that the engine rejected, of `code` or of any."""
        return await self._worker.run(partial(deliveries.rejected, after=after, code=code, limit=limit))

    async def followed(self, key: str) -> Followed | None:
        """The message of that key, if it is followed to the engine."""
        return await self._worker.run(partial(deliveries.followed, key=key))

    async def followed_up_to(self, last: Followed) -> list[str]:
        """Keys of the pending messages on the same topic before `last`."""
        return await self._worker.run(partial(deliveries.followed_up_to, last=last))

    async def knows_receipt(self, content: ReceiptContent) -> bool:
        """Whether the receipt is a repeat: recorded before, and its message was not sent again since."""
        return await self._worker.run(partial(deliveries.knows_receipt, content=content))

    async def proofs_of(self, session: str) -> dict[str, Proof]:
        """The delivery state of a session's followed messages, by key."""
        return await self._worker.run(partial(deliveries.proofs_of, session=session))

    async def wait_for_rows(self) -> None:
        """Returns once rows were committed after the last `pending` that found none."""
        await self._rows_may_wait.wait()

    def committed(self) -> None:
        """Called after each commit that added rows."""
        self._commits += 1
        self._rows_may_wait.set()
