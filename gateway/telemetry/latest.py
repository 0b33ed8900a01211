"""The last reading of every unit and its temperatures of the last hour, for whoever looks on. Never stored."""

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

from drivers.reading import CapReading, FaultKind, Quality, ReadFault, Reading, RunState
from gateway.config.lines import UnitSpec
from gateway.runtime.clock import US_PER_S

POLLS_TO_STALE = 3  # a reading older than so many poll periods is shown as old
TREND_STEP_US = 30 * US_PER_S
TREND_STEPS = 120  # an hour
CAP_POINTS = ("cap_front", "cap_back")
COOLANT_POINTS = ("coolant_supply", "coolant_return")


class TrendPoint(msgspec.Struct, frozen=True, array_like=True):
    """A cap's temperatures at one instant; None: there was no usable value."""

    at_us: int
    cap_c: float | None
    coolant_c: float | None


class LastCap(msgspec.Struct, frozen=True):
    """A cap as last read."""

    run_state: RunState
    connected: bool | None
    now: TrendPoint


class LastAnswer(msgspec.Struct, frozen=True):
    """What a unit last said. `fault` is the kind of the last poll if it gave no reading."""

    observed_us: int | None = None  # of the last reading; None: there was none since the start
    fault: FaultKind | None = None
    alarms: tuple[str, ...] = ()
    caps: Mapping[int, LastCap] = {}


class LatestReadings:
    """The latest answer of each unit. `changed` counts the answers taken, by unit."""

    def __init__(self, units: Sequence[UnitSpec]) -> None:
        self.stale_after_s = {unit.id: POLLS_TO_STALE * unit.poll_period_s for unit in units}
        self._last = {unit.id: LastAnswer() for unit in units}
        self._trends: dict[tuple[str, int], deque[TrendPoint]] = {}

    def of(self, unit: str) -> LastAnswer:
        """The unit's latest answer: another object after each poll."""
        return self._last[unit]

    def trend(self, unit: str, cap: int) -> tuple[TrendPoint, ...]:
        """The cap's temperatures of the last hour, the oldest first."""
        return tuple(self._trends.get((unit, cap), ()))

    def take(self, answer: Reading | ReadFault) -> None:
        """Keep a poll's result in place of the one before."""
        if isinstance(answer, ReadFault):
            last = self._last[answer.unit]
            self._last[answer.unit] = msgspec.structs.replace(last, fault=answer.kind)
            return
        at_us = answer.observed_at.utc_us
        caps = {each.cap: _last_cap(each, at_us) for each in answer.caps}
        self._last[answer.unit] = LastAnswer(at_us, None, answer.alarms, caps)
        for number, cap in caps.items():
            trend = self._trends.setdefault((answer.unit, number), deque(maxlen=TREND_STEPS))
            if not trend or at_us - trend[-1].at_us >= TREND_STEP_US:
                trend.append(cap.now)


def _last_cap(cap: CapReading, at_us: int) -> LastCap:
    now = TrendPoint(at_us, _value(cap, CAP_POINTS), _value(cap, COOLANT_POINTS))
    return LastCap(cap.run_state, cap.connected, now)


def _value(cap: CapReading, points: Sequence[str]) -> float | None:
    """The first of these points that is not bad; a suspected value is none."""
    for point in points:
        measured = cap.temperatures.get(point)
        if measured is not None and measured.quality is Quality.GOOD:
            return measured.value
    return None
