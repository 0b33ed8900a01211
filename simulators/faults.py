"""Faults of a unit or of its answers, as data; each kind has its own seeded random generator."""

import random
from enum import StrEnum

import msgspec

from simulators.machine import Sensor


class InjectedFault(StrEnum):
    """The closed set of faults."""

    LATE = "late"  # the answer comes `delay_s` later
    LOST = "lost"  # no answer
    CORRUPT = "corrupt"  # `bits` bits of the answer are flipped
    WRONG_UNIT = "wrong-unit"  # the answer has the next unit id
    WRONG_FUNCTION = "wrong-function"  # the answer has the other read function
    BUSY = "busy"  # Modbus exception 06; silence in a text dialect
    STUCK_SENSOR = "stuck-sensor"  # `sensor` keeps its value
    HANG = "hang"  # all answers keep their values, heartbeat included
    POWER_CUT = "power-cut"  # no answers; treatments end, and do not resume when power returns


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault. Raises ValueError if a field is missing that its kind needs."""

    kind: InjectedFault
    for_s: float | None = None  # simulated seconds; None: until it is cleared
    probability: float = 1.0  # for each answer, 0-1; ignored for faults of the whole unit
    delay_s: float = 0.0  # late only: real seconds, since the line itself is real
    bits: int = 1  # corrupt only
    sensor: Sensor | None = None  # stuck-sensor only
    cap: int | None = None  # stuck-sensor only, for a sensor in a cap

    def __post_init__(self) -> None:
        if self.for_s is not None and self.for_s <= 0:
            raise ValueError("for_s is too small, accepted: more than 0")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability is out of range, accepted: 0 to 1")
        if not 1 <= self.bits <= 64:
            raise ValueError("bits is out of range, accepted: 1 to 64")
        if (self.kind is InjectedFault.LATE) != (self.delay_s > 0):
            raise ValueError("delay_s goes with late, accepted: more than 0 for late alone")
        if (self.kind is InjectedFault.STUCK_SENSOR) != (self.sensor is not None):
            raise ValueError(f"sensor goes with stuck-sensor, accepted for it alone: {', '.join(Sensor)}")
        if (self.sensor is not None and self.sensor.in_cap) != (self.cap is not None):
            raise ValueError("cap goes with a sensor whose name begins with cap_, accepted: a cap's number")


class ActiveFault(msgspec.Struct, frozen=True):
    """An active fault, until `until_s` in simulated seconds; None: until it is cleared."""

    fault: Fault
    until_s: float | None


class Faults:
    """The active faults of one unit."""

    def __init__(self, unit: str, seed: int) -> None:
        # Each kind has its own generator, so that one more fault does not change when the others occur.
        self._chance = {kind: random.Random(f"{seed}/{unit}/{kind}") for kind in InjectedFault}
        self._active: list[ActiveFault] = []

    def begin(self, fault: Fault, now_s: float) -> None:
        """Activate a fault."""
        self._active.append(ActiveFault(fault, None if fault.for_s is None else now_s + fault.for_s))

    def end_due(self, now_s: float) -> list[Fault]:
        """End the faults whose time is over; returns them."""
        due = [active for active in self._active if active.until_s is not None and active.until_s <= now_s]
        for active in due:
            self._active.remove(active)
        return [active.fault for active in due]

    def end_all(self) -> list[Fault]:
        """End every fault; returns them."""
        ended = [active.fault for active in self._active]
        self._active.clear()
        return ended

    def strike(self, kind: InjectedFault) -> Fault | None:
        """The active fault of `kind`, with its probability, for the answer being made; else None."""
        for active in self._active:
            if active.fault.kind is kind and self._chance[kind].random() < active.fault.probability:
                return active.fault
        return None

    def flip_bits(self, data: bytes, count: int) -> bytes:
        """`data` with `count` different bits flipped."""
        flipped = bytearray(data)
        for position in self._chance[InjectedFault.CORRUPT].sample(range(8 * len(data)), min(count, 8 * len(data))):
            flipped[position // 8] ^= 1 << (position % 8)
        return bytes(flipped)

    def goes_on(self, fault: Fault) -> bool:
        """Whether a fault of the same kind (and sensor, if it has one) is active."""
        like = (fault.kind, fault.sensor, fault.cap)
        return any((each.fault.kind, each.fault.sensor, each.fault.cap) == like for each in self._active)

    @property
    def kinds(self) -> tuple[InjectedFault, ...]:
        """The kinds of the active faults, in order of activation."""
        return tuple(active.fault.kind for active in self._active)
