"""Inputs of the sessions, one after the other; those that waited for the disk meanwhile share the next commit.

Theory of operation. This is a group commit. While one group is on its way to the disk further readings, messages and
acts wait; the next group takes all of them, in the order in which they came. Each is a step of its own on what the one
before it left, with entries and an instant of its own, and one commit of the ledger makes all of them durable. Nobody
learns the result of a step before that. A step that fails takes nothing with it: the others go on without it.

Whoever comes first works for all who wait. Nothing here is bounded by number: each caller waits for its own input.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from gateway.ledger.store import Ledger
from gateway.ledger.worker import settle

T = TypeVar("T")


class GroupCommit:
    """The order of all steps on one ledger. `committed` is called after each commit, before any caller goes on."""

    def __init__(self, ledger: Ledger, committed: Callable[[], None]) -> None:
        self._ledger = ledger
        self._committed = committed
        self._lock = asyncio.Lock()
        self._waiting: list[_Waiting] = []

    @property
    def idle(self) -> bool:
        """Whether no step is under way or waits."""
        return not self._waiting and not self._lock.locked()

    async def run(self, step: Callable[[], Awaitable[T]]) -> T:
        """What `step` gives, once all that it appended is on the disk. Raises what `step` raises, and LedgerError.

        A caller that is cancelled before its step has begun withdraws it; a step that has begun ends all the same.
        """
        own = _Input(step)
        self._waiting.append(own)
        try:
            async with self._lock:
                if not own.result.done():
                    await settle(asyncio.ensure_future(self._commit_all()))
        except asyncio.CancelledError:
            own.result.cancel()
            raise
        return own.result.result()

    async def _commit_all(self) -> None:
        group, self._waiting = self._waiting, []
        try:
            async with self._ledger.group():
                for each in group:
                    await each.take()
        except Exception as error:  # noqa: BLE001 - whatever became of the commit, each caller must know
            for each in group:
                each.fail(error)
            return
        self._committed()
        for each in group:
            each.finish()


class _Waiting(Protocol):
    async def take(self) -> None: ...

    def finish(self) -> None: ...

    def fail(self, error: Exception) -> None: ...


class _Input(Generic[T]):
    """One step that waits, and what becomes of it."""

    def __init__(self, step: Callable[[], Awaitable[T]]) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._step = step
        self._made: tuple[T] | None = None
        self._error: Exception | None = None

    async def take(self) -> None:
        """Make the step, unless its caller has gone."""
        if self.result.cancelled():
            return
        try:
            self._made = (await self._step(),)
        except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it with the commit
            self._error = error

    def finish(self) -> None:
        """Give the caller what the step made or raised."""
        if self._error is not None:
            self.fail(self._error)
        elif self._made is not None and not self.result.done():
            self.result.set_result(self._made[0])

    def fail(self, error: Exception) -> None:
        """Give the caller the reason why nothing came of the step."""
        if not self.result.done():
            self.result.set_exception(error)
