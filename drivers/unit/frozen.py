"""Values that stand still too long: a screen once went on showing temperatures while nothing cooled. Pure."""

from collections.abc import Iterator

from drivers.decode.decoder import Decoder
from drivers.decode.values import Held
from drivers.profile.types import DeviceProfile
from drivers.reading import CapReading, Stamp

_US_PER_S = 1_000_000


class Stillness:
    """How long one value has not changed, by the boot clock."""

    def __init__(self, still_s: int) -> None:
        self._still_us = still_s * _US_PER_S
        self._held: Held | None = None
        self._since_us = 0

    def stands_still(self, held: Held, now: Stamp) -> bool:
        """Take the value as just read: whether it has been the same for longer than `still_s`."""
        if self._held is None or held != self._held:
            self._held, self._since_us = held, now.boot_us
        return now.boot_us - self._since_us > self._still_us

    def forget(self) -> None:
        """Begin anew with the next value."""
        self._held = None


class FrozenWatch:
    """Suspects values that a profile expects to move while coolant circulates, and units whose heartbeat stopped."""

    def __init__(self, profile: DeviceProfile, decoder: Decoder) -> None:
        self._points = [
            (index, slot.point.name, slot.cap, Stillness(slot.point.stuck_after_s))
            for index, slot in enumerate(decoder.slots)
            if slot.point.stuck_after_s is not None
        ]
        heartbeat = profile.heartbeat
        self._heartbeat = Stillness(heartbeat.still_s) if heartbeat else None
        names = [slot.point.name for slot in decoder.slots]
        self._heartbeat_index = names.index(heartbeat.point) if heartbeat else 0

    def is_hung(self, slots: tuple[Held, ...], now: Stamp) -> bool:
        """Whether the controller's own counter stands still: then nothing that it says proves anything."""
        return self._heartbeat is not None and self._heartbeat.stands_still(slots[self._heartbeat_index], now)

    def frozen(
        self, slots: tuple[Held, ...], caps: tuple[CapReading, ...], now: Stamp
    ) -> Iterator[tuple[str, int | None]]:
        """The points, by name and cap, that have not moved for too long while their coolant circulated."""
        for index, name, cap, stillness in self._points:
            if not any(each.circulating for each in caps if cap in (None, each.cap)):
                stillness.forget()
            elif stillness.stands_still(slots[index], now):
                yield name, cap
