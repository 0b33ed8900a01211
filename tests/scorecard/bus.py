"""One RS-485 line of reference units in memory, with the real poller, drivers and line, for the rows about lines."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.dialects.base import ModbusQuery, Request
from drivers.dialects.registry import dialect
from drivers.line import Line
from drivers.profile.load import load_profile
from drivers.reading import ReadFault, Reading, Stamp
from drivers.transport.memory import FarEnd, null_modem
from drivers.unit.driver import Driver, line_timing
from gateway.monitoring.counters import UnitCounters
from gateway.polling.poller import Polled, PollProgress, poll_line
from gateway.polling.schedule import LineSchedule
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import Outage

PROFILE = Path(__file__).parents[2] / "config" / "profiles" / "reference-cap-unit.toml"
BAUD = 19200
CHARACTER_S = 11 / BAUD
ANSWERS_AFTER_S = 0.02
PERIOD_S = 5.0
OVERRIDES = {"dialect": "modbus-rtu"}

_log = logging.getLogger("capgate.lines")


def now_s() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


def stamp() -> Stamp:
    """The loop's time as a reading has it."""
    return Stamp(round(now_s() * 1e6), round(now_s() * 1e6))


class Bus:
    """The far end: units that answer, those in `dead` that do not, and what the polls came to."""

    def __init__(self, far_end: FarEnd) -> None:
        self.far_end = far_end
        self.dead: set[str] = set()
        self.asked: list[tuple[str, float]] = []
        self.answers: list[tuple[float, Reading | ReadFault]] = []
        self._spoken = dialect(load_profile(PROFILE, OVERRIDES).dialect)
        far_end.on_request = self._hear

    async def deliver(self, answer: Reading | ReadFault) -> None:
        """What the poller calls."""
        self.answers.append((now_s(), answer))

    def good(self, unit: str) -> list[float]:
        """When the unit's readings came."""
        return [at for at, answer in self.answers if isinstance(answer, Reading) and answer.unit == unit]

    def _hear(self, data: bytes) -> None:
        request = self._spoken.scan_request(data)
        assert isinstance(request, Request)
        assert isinstance(request.query, ModbusQuery)
        unit = f"unit-{request.query.unit_id}"
        self.asked.append((unit, now_s()))
        if unit in self.dead:
            return
        registers = (0x4347, 1, 1, len(self.asked) % 0x10000, *(0,) * 60)
        answer = self._spoken.encode_reply(request, registers[: request.query.count])
        self.far_end.send(answer, after_s=ANSWERS_AFTER_S + (len(data) + len(answer)) * CHARACTER_S)


@asynccontextmanager
async def polled(units: int, period_s: float = PERIOD_S) -> AsyncGenerator[Bus]:
    """A line of that many units, polled while the body runs."""
    profile = load_profile(PROFILE, OVERRIDES)
    connector, far_end = null_modem()
    bus = Bus(far_end)
    line = Line("bus", connector, dialect(profile.dialect), line_timing(profile), BAUD)
    names = [f"unit-{number}" for number in range(1, units + 1)]
    drivers = {
        name: Polled(Driver(name, profile, line, number, stamp), UnitCounters(), Outage(_log, SystemClock(), name))
        for number, name in enumerate(names, start=1)
    }
    schedule = LineSchedule(dict.fromkeys(names, period_s), phase=0, now_s=now_s())
    polling = asyncio.create_task(poll_line(schedule, drivers, bus.deliver, PollProgress()))
    try:
        yield bus
    finally:
        polling.cancel()
        await asyncio.wait([polling])
        line.close()
