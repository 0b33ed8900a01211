"""Detects that another unit answers at an address. Pure.

Theory of operation. The profile's constants and the serial number are part of every poll and compared with those of the
previous one; only after a difference, and every VERIFY_EVERY polls, are all identity checks evaluated, ranges included.
A unit of another kind never gives a reading. Another unit of the same kind is reported as a fault for ANNOUNCED_POLLS
polls and accepted then. That is longer than the gap that sessions bridge by default, so that nothing counts across the
exchange unless the unit's own counters prove continuity.
"""

from drivers.decode.decoder import Decoder
from drivers.decode.values import SlotValue
from drivers.profile.types import DeviceProfile

VERIFY_EVERY = 60  # polls
ANNOUNCED_POLLS = 4


class IdentityWatch:
    """The identity of the unit at one address."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._decoder = decoder
        constant = {each.point for each in profile.verify if each.equals is not None} | {profile.serial_number}
        self._indexes = [index for index, slot in enumerate(decoder.slots) if slot.point.name in constant]
        self._marks: list[SlotValue] | None = None  # constants of the previous poll; None: evaluate all checks
        self._polls_left = 0
        self._serial_number: str | None = None
        self._new_serial_number: str | None = None
        self._announced = 0

    def recheck(self) -> None:
        """Evaluate all checks at the next poll, since the line was down and another unit may answer."""
        self._marks = None

    def mismatch(self, slots: tuple[SlotValue, ...], serial_number: str | None) -> str | None:
        """Why the answer is from another unit; None if it is accepted."""
        marks = [slots[index] for index in self._indexes]
        self._polls_left -= 1
        if marks == self._marks and self._polls_left > 0:
            return None
        self._marks = None
        if foreign := self._decoder.foreign(slots) or self._replaced(serial_number):
            return foreign
        self._marks, self._polls_left = marks, VERIFY_EVERY
        return None

    def _replaced(self, serial_number: str | None) -> str | None:
        """The text of a changed serial number, for ANNOUNCED_POLLS polls, then None; None also without a number."""
        if serial_number is None or serial_number == self._serial_number:
            self._new_serial_number = None
            return None
        if self._serial_number is None:
            self._serial_number = serial_number
            return None
        if serial_number != self._new_serial_number:
            self._new_serial_number, self._announced = serial_number, 0
        self._announced += 1
        before = self._serial_number
        if self._announced > ANNOUNCED_POLLS:
            self._serial_number, self._new_serial_number = serial_number, None
            return None
        return f"another unit: its serial number is {serial_number}, before it was {before}"
