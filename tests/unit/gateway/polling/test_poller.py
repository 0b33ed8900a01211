"""How a poll's answer moves the unit's next turn, in virtual time and without a line."""

import asyncio
import logging
from typing import cast

import pytest

from drivers.reading import FaultKind, ReadFault, Reading, Stamp
from drivers.unit.driver import Driver
from gateway.monitoring.counters import UnitCounters
from gateway.polling.poller import Polled, PollProgress, poll_line
from gateway.polling.schedule import LineSchedule
from gateway.runtime.clock import SystemClock
from gateway.runtime.logs import Outage
from tests.virtual_time import run_virtual

PERIOD_S = 5.0
RUN_S = 300.0
_log = logging.getLogger("capgate.lines")


class Answering:
    """Stands for a driver: the same fault each time, or a reading."""

    def __init__(self, unit: str, fault: FaultKind | None) -> None:
        self.unit = unit
        self.fault = fault
        self.asked = 0

    async def read(self) -> Reading | ReadFault:
        self.asked += 1
        at = Stamp(0, round(asyncio.get_running_loop().time() * 1e6))
        if self.fault is None:
            return Reading(self.unit, at, caps=(), measurements={})
        return ReadFault(self.unit, at, self.fault, "so it is")


def test_a_line_rests_after_each_poll_where_that_is_asked() -> None:
    rests: list[None] = []

    async def main() -> int:
        driver = Answering("well", None)
        polled = Polled(cast(Driver, driver), UnitCounters(), Outage(_log, SystemClock(), "well"))
        schedule = LineSchedule({"well": PERIOD_S}, phase=0, now_s=0.0)

        async def deliver(_: Reading | ReadFault) -> None:
            assert len(rests) == driver.asked, "before anything waits for the ledger"

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(RUN_S):
                await poll_line(schedule, {"well": polled}, deliver, PollProgress(), lambda: rests.append(None))
        return driver.asked

    assert run_virtual(main()) == len(rests) > 10


async def asked_beside_a_neighbour(fault: FaultKind) -> tuple[int, list[Reading | ReadFault]]:
    """How often a unit with that fault is asked in RUN_S, and what of its polls was delivered."""
    drivers = [Answering("faulty", fault), Answering("well", None)]
    units = {
        each.unit: Polled(cast(Driver, each), UnitCounters(), Outage(_log, SystemClock(), each.unit))
        for each in drivers
    }
    delivered: list[Reading | ReadFault] = []

    async def deliver(answer: Reading | ReadFault) -> None:
        if answer.unit == "faulty":
            delivered.append(answer)

    schedule = LineSchedule(dict.fromkeys(units, PERIOD_S), phase=0, now_s=0.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(RUN_S):
            await poll_line(schedule, units, deliver, PollProgress())
    assert units["faulty"].counters.faults == {fault: len(delivered)}
    return drivers[0].asked, delivered


@pytest.mark.parametrize("fault", [FaultKind.BUSY, FaultKind.DEVICE_FAILURE, FaultKind.LINE_DOWN])
def test_a_unit_that_says_at_once_why_not_is_asked_again_at_its_next_turn(fault: FaultKind) -> None:
    asked, delivered = run_virtual(asked_beside_a_neighbour(fault))
    assert asked >= RUN_S / PERIOD_S - 1
    assert all(isinstance(answer, ReadFault) for answer in delivered), "and never a value"


@pytest.mark.parametrize(
    "fault",
    [FaultKind.TIMEOUT, FaultKind.GARBLED, FaultKind.UNREACHABLE, FaultKind.REFUSED, FaultKind.WRONG_IDENTITY],
)
def test_a_unit_whose_polls_only_cost_time_is_asked_less(fault: FaultKind) -> None:
    asked, _ = run_virtual(asked_beside_a_neighbour(fault))
    assert asked <= RUN_S / PERIOD_S / 3
