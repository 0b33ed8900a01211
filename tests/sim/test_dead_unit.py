"""A unit that died on a shared line, in virtual time: what it costs its neighbours, with the real line and drivers."""

import asyncio
import logging
from pathlib import Path

import pytest

from drivers.dialects.base import ModbusQuery, Request
from drivers.dialects.registry import dialect
from drivers.line import Line
from drivers.profile.load import load_profile
from drivers.reading import ReadFault, Reading, Stamp
from drivers.transport.memory import FarEnd, null_modem
from drivers.unit.driver import Driver, line_timing
from gateway.monitoring.counters import UnitCounters
from gateway.polling.poller import Polled, PollProgress, poll_line
from gateway.polling.schedule import MAX_BACK_OFF_S, SLOTS, LineSchedule
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import Outage
from tests.virtual_time import run_virtual

_log = logging.getLogger("capgate.lines")

PROFILE = Path(__file__).parents[2] / "config" / "profiles" / "reference-cap-unit.toml"
PERIOD_S = 5.0
TIMEOUT_S = 1.0
RUN_S = 900.0
DEAD = "unit-3"
NAMES = [f"unit-{number}" for number in range(1, 6)]
SERVICE_S = 0.12  # a good poll of 64 registers at 19200 baud, the unit's delay included
REGISTERS = (0x4347, 1, 1, *(0,) * 61)


def now() -> float:
    return asyncio.get_running_loop().time()


def stamp() -> Stamp:
    return Stamp(0, round(now() * 1e6))


class Bus:
    """Five units on one RTU line of 19200 baud; one of them is dead, or answers only when it is too late."""

    def __init__(self, far_end: FarEnd, answers_after_s: float | None) -> None:
        self._far_end = far_end
        self._late_s = answers_after_s
        self._spoken = dialect(load_profile(PROFILE, {"dialect": "modbus-rtu"}).dialect)
        self.dead_asked_at: list[float] = []
        far_end.on_request = self._hear

    def _hear(self, data: bytes) -> None:
        request = self._spoken.scan_request(data)
        assert isinstance(request, Request)
        assert isinstance(request.query, ModbusQuery)
        answer = self._spoken.encode_reply(request, REGISTERS[: request.query.count])
        on_the_wire_s = (len(data) + len(answer)) * 11 / 19200
        if request.query.unit_id != NAMES.index(DEAD) + 1:
            self._far_end.send(answer, after_s=on_the_wire_s + 0.02)
            return
        self.dead_asked_at.append(now())
        if self._late_s is not None:
            self._far_end.send(answer, after_s=self._late_s)


async def poll(drain_s: float, answers_after_s: float | None) -> tuple[dict[str, list[float]], list[float]]:
    """How late each good poll of each unit ended after its slot began; when the dead unit was asked."""
    overrides = {
        "dialect": "modbus-rtu",
        "timing.timeout_ms": round(TIMEOUT_S * 1000),
        "timing.drain_ms": round(drain_s * 1000),
    }
    profile = load_profile(PROFILE, overrides)
    connector, far_end = null_modem()
    bus = Bus(far_end, answers_after_s)
    line = Line("bus", connector, dialect(profile.dialect), line_timing(profile), profile.serial.baud)
    units = {
        name: Polled(Driver(name, profile, line, number, stamp), UnitCounters(), Outage(_log, SystemClock(), name))
        for number, name in enumerate(NAMES, start=1)
    }
    lateness: dict[str, list[float]] = {name: [] for name in NAMES}

    async def deliver(answer: Reading | ReadFault) -> None:
        if isinstance(answer, Reading):
            slot_s = NAMES.index(answer.unit) * PERIOD_S / SLOTS
            lateness[answer.unit].append((now() - slot_s) % PERIOD_S)

    await units[NAMES[0]].driver.read()  # opening has a drain of its own
    schedule = LineSchedule(dict.fromkeys(NAMES, PERIOD_S), phase=0, now_s=now())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(RUN_S):
            await poll_line(schedule, units, deliver, PollProgress())
    return lateness, bus.dead_asked_at


@pytest.mark.parametrize(
    ("drain_s", "answers_after_s"),
    [
        pytest.param(0.2, None, id="silent, drain shorter than the timeout"),
        pytest.param(1.8, None, id="silent, drain longer than the timeout"),
        pytest.param(1.8, 1.5, id="answers when nobody asks any more"),
    ],
)
def test_a_dead_unit_costs_its_neighbours_one_timeout_and_one_drain_a_back_off_period(
    drain_s: float, answers_after_s: float | None
) -> None:
    lateness, dead_asked_at = run_virtual(poll(drain_s, answers_after_s))

    assert lateness.pop(DEAD) == []
    assert len(dead_asked_at) <= RUN_S / MAX_BACK_OFF_S + 6, "the back-off grows"
    queue_s = SERVICE_S * len(NAMES)
    lost_s = max(TIMEOUT_S, answers_after_s or 0.0) + drain_s  # silence is counted from the last byte, a late one too
    for name, delays in lateness.items():
        assert len(delays) >= RUN_S / PERIOD_S - 1, f"{name} missed a turn"
        assert max(delays) <= lost_s + queue_s, name
        late = sum(delay > queue_s for delay in delays)
        assert late <= len(dead_asked_at), f"{name} was late more often than the dead unit was asked"
