"""Runs steps on the ledger one after the other; those that queued during a commit share the next one.

Theory of operation. This is a group commit. While one group is being committed, further readings, messages and acts
queue; the next group takes all of them, in the order of their arrival. Each is a step of its own on the state after the
one before it, with entries and an instant of its own, and one commit of the ledger makes all of them durable. No caller
gets the result of its step before that. A step that raises adds nothing; the others go on without it.

The first caller of a group runs it for all. The queue needs no bound: each caller waits for its own step.
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
        """The result of `step`, once all that it appended is committed. Raises what `step` raises, and LedgerError.

        A caller that is cancelled before its step has begun withdraws it; a step that has begun runs to its end.
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
        except Exception as error:  # noqa: BLE001 - each caller must learn that the commit failed
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
    """One queued step and its result."""

    def __init__(self, step: Callable[[], Awaitable[T]]) -> None:
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._step = step
        self._made: tuple[T] | None = None
        self._error: Exception | None = None

    async def take(self) -> None:
        """Run the step, unless its caller was cancelled."""
        if self.result.cancelled():
            return
        try:
            self._made = (await self._step(),)
        except Exception as error:  # noqa: BLE001 - it is raised in the caller after the commit
            self._error = error

    def finish(self) -> None:
        """Give the caller the step's result or exception."""
        if self._error is not None:
            self.fail(self._error)
        elif self._made is not None and not self.result.done():
            self.result.set_result(self._made[0])

    def fail(self, error: Exception) -> None:
        """Raise `error` in the caller."""
        if not self.result.done():
            self.result.set_exception(error)
