"""The log of the units: temperatures, one sample of each in a period, and read errors, written once a minute.

Taking a reading on the event loop costs a comparison; the file is written in a thread. Its failures are logged once and
lose samples, but never delay a poll: the buffer is bounded and drops the oldest.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from datetime import timedelta, tzinfo
from itertools import chain
from pathlib import Path

from drivers.reading import CapReading, Measurement, Reading
from gateway.config.lines import UnitSpec
from gateway.config.tables import HistoryTable
from gateway.ledger.temperatures import (
    WHOLE_UNIT,
    Calibration,
    HistoryDamaged,
    HistoryUnavailable,
    PollCount,
    Sample,
    TemperatureFile,
)
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.logs import Outage
from gateway.runtime.set_aside import set_aside
from gateway.session.local_time import local
from gateway.telemetry.poll_counts import PollCounts

_log = logging.getLogger("capgate.history")

WRITE_PERIOD_S = 60.0
MOST_WAITING = 100_000
COUNTED_DAYS = 92  # a few thousand rows for a hundred units
DAY_US = 86_400 * US_PER_S


class History:
    """Buffers samples of all units and writes them to `path`. `take` readings while it is `run`."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        units: Sequence[UnitSpec],
        kept: HistoryTable,
        polls: PollCounts,
        zone: tzinfo,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._path = path
        self._clock = clock
        self._units = units
        self._period_us = kept.period_s * US_PER_S
        self._keep_us = kept.keep_days * DAY_US
        self._polls = polls
        self._zone = zone
        self._has_room = has_room
        self._due_us: dict[str, int] = {}
        self._waiting: deque[Sample] = deque(maxlen=MOST_WAITING)
        self.trouble = ""  # why nothing is written
        self._outage = Outage(_log, clock, "the history of temperatures", {"file": path.name})

    def take(self, reading: Reading) -> None:
        """Buffer the reading's samples, if the unit's next sample is due."""
        at_us = reading.observed_at.utc_us
        if at_us < self._due_us.get(reading.unit, 0):
            return
        self._due_us[reading.unit] = at_us + self._period_us
        whole = _samples(reading.unit, at_us, WHOLE_UNIT, "", reading.measurements)
        self._waiting.extend(chain(whole, *(_of_cap(reading.unit, at_us, cap) for cap in reading.caps)))

    async def run(self) -> None:
        """Write each minute until cancelled, and once more then."""
        try:
            while True:  # ends with the task
                await asyncio.sleep(WRITE_PERIOD_S / self._clock.speed)
                await self._write()
        finally:
            await self._write()

    async def _write(self) -> None:
        """Write the buffer and what was counted; what could not be written is kept for the next time."""
        samples, self._waiting = self._waiting, deque[Sample](maxlen=MOST_WAITING)
        counts = self._polls.take(local(self._clock.now().utc_us, self._zone).date().isoformat())
        try:
            try:
                await asyncio.to_thread(self._store, samples, counts)
            except HistoryDamaged as damaged:
                await asyncio.to_thread(set_aside, self._path, str(damaged), ("-wal", "-shm"))
                await asyncio.to_thread(self._store, samples, counts)
        except (HistoryUnavailable, OSError) as error:
            self.trouble = str(error)
            self._outage.lost(self.trouble)
            self._waiting = deque(chain(samples, self._waiting), maxlen=MOST_WAITING)
            self._polls.give_back(counts)
        else:
            self.trouble = ""
            self._outage.back()

    def _store(self, samples: Collection[Sample], counts: Collection[PollCount]) -> None:
        """Runs in a thread. The file is opened each time, so that it may be moved while the gateway runs."""
        if not self._has_room():
            raise HistoryUnavailable("the disk is nearly full, and what is left is the ledger's")
        now_us = self._clock.now().utc_us
        with closing(TemperatureFile(self._path)) as file:
            file.calibrate(list(_in_use(self._units, now_us)), now_us)
            file.append(samples)
            oldest = local(now_us, self._zone).date() - timedelta(days=COUNTED_DAYS)
            file.forget(now_us - self._keep_us, oldest.isoformat())
            file.count(counts)  # at last: what fails before it is done again, and a count would be added twice


def _of_cap(unit: str, at_us: int, cap: CapReading) -> Iterator[Sample]:
    return _samples(unit, at_us, cap.cap, cap.run_state, cap.temperatures)


def _samples(unit: str, at_us: int, cap: int, run_state: str, measured: dict[str, Measurement]) -> Iterator[Sample]:
    for point, each in measured.items():
        yield Sample(unit, at_us, cap, point, each.value, each.unit, each.quality, each.reason or "", run_state)


def _in_use(units: Sequence[UnitSpec], now_us: int) -> Iterator[Calibration]:
    for unit in units:
        for offset in unit.offsets:
            yield Calibration(unit.id, offset.point, now_us, offset.offset_c, offset.calibrated_on.isoformat())
