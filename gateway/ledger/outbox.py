"""The relay's side of the ledger: what waits for the broker, and what the broker said."""

import asyncio
from collections.abc import Sequence
from functools import partial

from gateway.ledger import reads, writes
from gateway.ledger.rows import Attempt, Backlog, OutboxRow
from gateway.ledger.worker import Worker


class Outbox:
    """Messages in the order of their commit. One relay reads it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._commits = 0
        self._rows_may_wait = asyncio.Event()
        self._rows_may_wait.set()

    async def pending(self, after: int, limit: int) -> list[OutboxRow]:
        """Up to `limit` rows that no broker took yet and whose id is above `after`, oldest first."""
        commits = self._commits
        rows = await self._worker.run(partial(reads.waiting, after=after, limit=limit))
        if not rows and commits == self._commits:
            self._rows_may_wait.clear()
        return rows

    async def mark(self, attempts: Sequence[Attempt]) -> None:
        """Records the attempts in one transaction; rows with a delivered one no longer wait."""
        if attempts:
            await self._worker.run(partial(writes.append_attempts, attempts=attempts))

    async def backlog(self) -> Backlog:
        """How much waits for the broker."""
        return await self._worker.run(reads.backlog)

    async def wait_for_rows(self) -> None:
        """Returns once rows were committed after the last `pending` that found none."""
        await self._rows_may_wait.wait()

    def committed(self) -> None:
        """Told by the ledger after each commit that added rows."""
        self._commits += 1
        self._rows_may_wait.set()
