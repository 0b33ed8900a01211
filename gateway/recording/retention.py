"""Purges what is settled and old, by the days of the configuration: once a day, or when a person asks.

Theory of operation. A sweep goes through the ledger page by page. Each page is a step of the pipeline between others,
with an entry that says what was purged; polling waits for none, and a second sweep may go on beside it. At the end the
write-ahead log is emptied, for it has older states of what was purged. What is purged is gone, and a clock that was set
years ahead makes all of it old: where the last sweep is long ago a person is asked first.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.config.load import GatewayConfig
from gateway.ledger.access import Actor
from gateway.ledger.aside import copies_beside
from gateway.ledger.bodies import PurgeNote
from gateway.ledger.retention import Cursor, Cutoffs, Due, Kept, Purge
from gateway.ledger.store import LEDGER_FILE, Ledger
from gateway.recording.last_sweep import LastSweep
from gateway.recording.pipeline import Pipeline
from gateway.runtime.clock import Clock
from gateway.session.facts import WorkKind
from gateway.session.worklist import WORK, open_work

_log = logging.getLogger("capgate.retention")

FIRST_S = 600.0  # after a start, which has better to do
PERIOD_S = 86_400.0
REST_S = 1.0  # between two pages of a sweep that nobody waits for
LOG_TRIES, LOG_REST_S = 20, 0.25  # of emptying the log while somebody reads
MOST_S = 10.0  # of a sweep that somebody waits for; the rest is left to the next
_NOBODY = Actor("")


class ClockAhead(Exception):
    """The last sweep is so many days ago that the clock may have been set ahead: a person must look at it first."""

    def __init__(self, days: int) -> None:
        super().__init__(f"the last sweep was {days} days ago by this clock")


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep purged, or would, and for which sessions it kept what was due. `complete`: nothing due is left."""

    identifiers: int  # patients
    messages: int
    texts: int
    copies: tuple[str, ...]
    kept: tuple[Kept, ...]
    complete: bool


class Retention:
    """The sweeps of one gateway."""

    def __init__(self, config: GatewayConfig, clock: Clock, ledger: Ledger, pipeline: Pipeline) -> None:
        self.plan = config.retention
        self.purged: Mapping[str, int] = {}  # by class, since the start
        self.kept: Mapping[str, int] = {}  # sessions in the last sweep, by why
        self.swept_us: int | None = None  # when the last sweep ended, UTC; None: none has
        self.waits = ""  # why nothing is purged until a person has looked
        self._last = LastSweep(config.state_dir)
        self._state_dir = config.state_dir
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline

    async def run(self) -> None:
        """Sweep each day until cancelled, where anything is purged. Raises LedgerError."""
        await asyncio.sleep(FIRST_S / self._clock.speed)
        while self.plan.purges:
            try:
                await self.sweep(PurgeNote(), _NOBODY)
            except ClockAhead as ahead:
                _log.error("nothing is purged: %s", ahead)
            await asyncio.sleep(PERIOD_S / self._clock.speed)
        await asyncio.Event().wait()

    async def would_purge(self) -> Swept:
        """What a sweep would purge now."""
        return await self._sweep(self._cutoffs(), None, waited_for=True)

    async def sweep(
        self, note: PurgeNote, by: Actor, *, waited_for: bool = False, clock_checked: bool = False
    ) -> Swept:
        """Purge what is due; `note` says who wants it, if a person does.

        Raises LedgerError; ClockAhead, unless a person says that the clock is right.
        """
        now_us = self._clock.now().utc_us
        days = await asyncio.to_thread(self._last.days_since, now_us)
        if days is not None and not clock_checked:
            ahead = ClockAhead(days)
            self.waits = str(ahead)
            raise ahead
        self.waits = ""
        await asyncio.to_thread(self._last.note, now_us)
        cutoffs = self._cutoffs()
        older_than = msgspec.structs.astuple(cutoffs)
        note = msgspec.structs.replace(note, older_than_us=older_than, login=by.login, role=by.role)
        swept = await self._sweep(cutoffs, note, waited_for=waited_for)
        await self._empty_log()
        counts = {"identifiers": swept.identifiers, "messages": swept.messages, "texts": swept.texts}
        counts["copies"] = len(swept.copies)
        self.purged = {name: self.purged.get(name, 0) + count for name, count in counts.items()}
        self.kept = Counter(each.why for each in swept.kept)
        self.swept_us = self._clock.now().utc_us
        extra = {**counts, "kept": len(swept.kept), "complete": swept.complete}
        _log.info("retention swept", extra=extra)
        return swept

    async def _empty_log(self) -> None:
        """While somebody reads the ledger, the log keeps what was purged; the next sweep tries again."""
        for _ in range(LOG_TRIES):
            if await self._ledger.empty_log():
                return
            await asyncio.sleep(LOG_REST_S)
        _log.warning("somebody reads the ledger: its log keeps what was purged until the next sweep")

    def _cutoffs(self) -> Cutoffs:
        return self.plan.cutoffs(self._clock.now().utc_us)

    async def _sweep(self, cutoffs: Cutoffs, note: PurgeNote | None, *, waited_for: bool) -> Swept:
        """`note` is None if nothing is to be purged."""
        copies = await asyncio.to_thread(self._old_copies, cutoffs.copies_us)
        if note is not None and copies:
            await self._pipeline.purge(
                Purge(), msgspec.structs.replace(note, copies=tuple(copy.name for copy in copies))
            )
            await asyncio.to_thread(lambda: [copy.unlink(missing_ok=True) for copy in copies])
        pages: list[Due] = []
        cursor: Cursor | None = Cursor()
        until_s = asyncio.get_running_loop().time() + MOST_S
        while cursor is not None and not (waited_for and asyncio.get_running_loop().time() > until_s):
            if note is None:
                page = await self._ledger.due(cutoffs, cursor)
            else:
                page = await self._pipeline.purge_due(cutoffs, cursor, note)
            pages.append(page)
            cursor = page.cursor
            await asyncio.sleep(0 if waited_for else REST_S / self._clock.speed)
        return Swept(
            identifiers=sum(len(page.purge.subjects) for page in pages),
            messages=sum(len(page.purge.messages) for page in pages),
            texts=sum(len(page.purge.texts) for page in pages),
            copies=tuple(copy.name for copy in copies),
            kept=tuple(kept for page in pages for kept in page.kept),
            complete=cursor is None,
        )

    def _old_copies(self, cutoff_us: int | None) -> list[Path]:
        """The files beside the ledger that are due, with their logs; none while some may be asked for. Blocks."""
        if cutoff_us is None or open_work(self._pipeline.state.facts.of(WORK), WorkKind.ENTRIES_LOST):
            return []
        found = copies_beside(self._state_dir / LEDGER_FILE)
        return [copy for copy in found if copy.stat().st_mtime_ns // 1000 < cutoff_us]
