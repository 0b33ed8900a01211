"""Answers from the ledger for screens at which nobody is signed in: made once, given to all that ask the same.

Whatever such screens ask for without end, one answer at a time is made for all of them, and each is followed by a pause
that is longer than it took. So whoever is signed in waits for one of theirs at most, and the polling has the processor.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

from gateway.web.ledger_thread import TIMEOUT_S, LedgerThread

T = TypeVar("T")

KEPT_S = 10.0
MOST_KEPT = 4
MOST_WAITING = 16
PAUSE = 3.0  # times what the answer before took


class SharedReads(Generic[T]):
    """Makes the answers in the ledger's thread. `now_s` is a steady clock."""

    def __init__(self, thread: LedgerThread, now_s: Callable[[], float]) -> None:
        self._thread = thread
        self._now_s = now_s
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._next_s = 0.0
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    async def read(self, key: Hashable, make: Callable[[Path], T]) -> T | None:
        """What `make` makes of the ledger, or made of it for that key just now; None if too many ask or it fails."""
        if (kept := self._fresh(key)) is not None:
            return kept
        if self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            async with asyncio.timeout(TIMEOUT_S), self._one_at_a_time:
                return self._fresh(key) or await self._made(key, make)
        except TimeoutError:
            return None
        finally:
            self._waiting -= 1

    async def _made(self, key: Hashable, make: Callable[[Path], T]) -> T | None:
        await asyncio.sleep(self._next_s - self._now_s())
        began_s = self._now_s()
        found = await self._thread.read(make)
        now_s = self._now_s()
        self._next_s = now_s + PAUSE * (now_s - began_s)
        if found is not None:
            self._kept[key] = now_s, found
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _fresh(self, key: Hashable) -> T | None:
        made_s, found = self._kept.get(key, (0.0, None))
        return found if self._now_s() - made_s <= KEPT_S else None
