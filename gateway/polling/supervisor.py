"""Makes the lines of the configuration and keeps each of them polling; a failure affects only its own line."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from drivers.habits import Connection
from drivers.line import Line
from drivers.transport.base import Tap, tapped
from drivers.transport.open import connector
from drivers.unit.driver import Driver
from gateway.config.lines import LineSpec
from gateway.ledger.errors import LedgerError
from gateway.monitoring.counters import UnitCounters
from gateway.monitoring.metrics import line_events
from gateway.polling.poller import Deliver, Polled, PollProgress, poll_line
from gateway.polling.schedule import SLOTS, LineSchedule
from gateway.runtime.clock import Clock
from gateway.runtime.logs import Outage

_log = logging.getLogger("capgate.lines")

RESTART_FIRST_S = 1.0
RESTART_MAX_S = 30.0
STALLED_S = 60.0  # longer than the back-off of a line whose units are all dead


class Supervisor:
    """All lines of a gateway; `taps` hears what goes over each. `run` it once; the counters may be read at any time."""

    def __init__(self, specs: Sequence[LineSpec], clock: Clock, deliver: Deliver, taps: Mapping[str, Tap]) -> None:
        self._progress = PollProgress()
        self.unit_counters = {unit.id: UnitCounters() for spec in specs for unit in spec.units}
        self._specs = specs
        self._clock = clock
        self._deliver = deliver
        self._lines = {spec.id: _line(spec, taps[spec.id]) for spec in specs}
        self._schedules: list[LineSchedule] = []
        self._began_s: float | None = None  # loop time

    def prefer(self, units: frozenset[str]) -> None:
        """Poll these units first if a line falls behind: they have a cap in a session."""
        for schedule in self._schedules:
            schedule.prefer(units)

    def line_counters(self) -> Mapping[str, Mapping[str, int]]:
        """Line -> event -> count, for the metrics."""
        return {name: line_events(line.counters) for name, line in self._lines.items()}

    @property
    def last_poll_s(self) -> float | None:
        """When the last poll of any line ended, in the event loop's seconds; None: none has yet."""
        return self._progress.last_poll_s

    def progresses(self) -> bool:
        """Whether a poll ended within STALLED_S, or polling has not gone on for longer than that."""
        last_s, now_s = self._progress.last_poll_s or self._began_s, asyncio.get_running_loop().time()
        return last_s is None or now_s - last_s < STALLED_S

    async def run(self) -> None:
        """Poll every line until cancelled. Raises LedgerError, as polling without recording must stop."""
        now_s = self._began_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.TaskGroup() as group:
                for index, spec in enumerate(self._specs):
                    periods_s = {unit.id: unit.poll_period_s / self._clock.speed for unit in spec.units}
                    schedule = LineSchedule(periods_s, phase=index % SLOTS, now_s=now_s)
                    self._schedules.append(schedule)
                    group.create_task(self._keep_polling(spec, schedule), name=f"line {spec.id}")
        finally:
            for line in self._lines.values():
                line.close()

    async def _keep_polling(self, spec: LineSpec, schedule: LineSchedule) -> None:
        line = self._lines[spec.id]
        units = {
            unit.id: Polled(
                Driver(
                    unit.id,
                    unit.profile,
                    line,
                    unit.unit_id,
                    self._clock.now,
                    {offset.point: offset.offset_c for offset in unit.offsets},
                    consents=unit.consent_to_reads,
                ),
                self.unit_counters[unit.id],
                Outage(_log, self._clock, f"unit {unit.id}", {"unit": unit.id, "line": spec.id}),
            )
            for unit in spec.units
        }
        rest = line.rest if spec.habits.connection is Connection.EACH_POLL else None
        wait_s = RESTART_FIRST_S
        while True:  # ends with the task
            try:
                await poll_line(schedule, units, self._deliver, self._progress, rest)
            except LedgerError:
                raise
            except Exception:  # noqa: BLE001 - a defect on one line must not stop the others; it is logged
                _log.exception("line stopped by a defect; it starts again", extra={"line": spec.id, "wait_s": wait_s})
                line.close()
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RESTART_MAX_S)


def _line(spec: LineSpec, tap: Tap) -> Line:
    opener = tapped(connector(spec.url, spec.serial), tap)
    return Line(spec.id, opener, spec.habits.dialect(spec.dialect), spec.timing, spec.baud)
