"""Whether it is still the same unit that answers. Pure.

Theory of operation. What never changes in a unit, its profile's constants and its serial number, comes with every poll
and is compared with that of the poll before; only a difference, and every VERIFY_EVERY polls the plausible ranges too,
is looked at closely. Another kind of unit never gives a reading. Another unit of the same kind gives none for
ANNOUNCED_POLLS polls: its fault is the announcement, and the time is longer than the silence that sessions bridge by
default, so that nothing counts across the change unless the unit's own counters prove it.
"""

from drivers.decode.decoder import Decoder
from drivers.decode.values import Held
from drivers.profile.types import DeviceProfile

VERIFY_EVERY = 60  # polls
ANNOUNCED_POLLS = 4


class IdentityWatch:
    """The identity of the unit at one address."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._decoder = decoder
        constant = {each.point for each in profile.verify if each.equals is not None} | {profile.serial_number}
        self._indexes = [index for index, slot in enumerate(decoder.slots) if slot.point.name in constant]
        self._marks: list[Held] | None = None  # of the poll before; None: look closely
        self._polls_left = 0
        self._serial_number: str | None = None
        self._stranger: str | None = None
        self._announced = 0

    def look_closely(self) -> None:
        """The line broke: whatever answers next may be another unit."""
        self._marks = None

    def mismatch(self, slots: tuple[Held, ...], serial_number: str | None) -> str | None:
        """Why this answer is another unit's; None if it may be taken."""
        marks = [slots[index] for index in self._indexes]
        self._polls_left -= 1
        if marks == self._marks and self._polls_left > 0:
            return None
        self._marks = None
        if foreign := self._decoder.foreign(slots) or self._exchanged(serial_number):
            return foreign
        self._marks, self._polls_left = marks, VERIFY_EVERY
        return None

    def _exchanged(self, serial_number: str | None) -> str | None:
        """Why this is another unit of the same kind; None once that has been announced. No number proves nothing."""
        if serial_number is None or serial_number == self._serial_number:
            self._stranger = None
            return None
        if self._serial_number is None:
            self._serial_number = serial_number
            return None
        if serial_number != self._stranger:
            self._stranger, self._announced = serial_number, 0
        self._announced += 1
        before = self._serial_number
        if self._announced > ANNOUNCED_POLLS:
            self._serial_number, self._stranger = serial_number, None
            return None
        return f"another unit: its serial number is {serial_number}, before it was {before}"
