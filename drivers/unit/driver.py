"""Polls one unit: reads every block of its profile, and makes one coherent reading of the answers.

Theory of operation. A poll is atomic: all blocks or a fault. After a miss the rest of the poll is skipped, so that a
dead unit costs the others on its line one time-out; the next poll begins with the profile's `after_miss` request, which
no late reply can be taken for an answer to. Before values are used, identity.py checks that the same unit still
answers, and plausibility.py compares the values with earlier ones.

A unit with a communication watchdog acts when polling stops, for instance switches itself off. So the watchdog setting
is read first after the line was opened; if it is armed, the unit is not polled unless the site consents. That request
is not repeated either, since each one could start the watchdog.
"""

import contextlib
from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from drivers.decode.decoder import Decoded, Decoder, PointValue
from drivers.decode.values import number
from drivers.dialects.base import Raw
from drivers.errors import DriverError, Garbled, LineDown, NeedsConsent, ShortAnswer, UnitRefused
from drivers.line import LineTiming
from drivers.profile.load import DeviceProfile
from drivers.reading import FaultKind, Measurement, Quality, ReadFault, Reading, Stamp
from drivers.unit.blocks import BlockReader, Exchanger
from drivers.unit.identity import IdentityWatch
from drivers.unit.plausibility import Measured, Plausibility


class ProbeResult(msgspec.Struct, frozen=True):
    """The result of `Driver.probe`: decoded values, points and faults."""

    complete: bool  # every block was read
    decoded: Decoded
    points: tuple[PointValue, ...]
    faults: tuple[ReadFault, ...]
    short_blocks: int = 0  # answered with fewer values than asked, twice, and read point by point instead


class Driver:
    """Polls one unit. `offsets` are the site's sensor corrections, added to good values, in the canonical unit.

    An offset's key is a point's name, or `cap2.NAME` for one cap's point. `consents`: the site agrees to polling even
    if the unit's watchdog is armed.
    """

    def __init__(
        self,
        unit: str,
        profile: DeviceProfile,
        line: Exchanger,
        unit_id: int | None,
        now: Callable[[], Stamp],
        offsets: Mapping[str, float] | None = None,
        *,
        consents: bool = False,
    ) -> None:
        self.unit = unit
        self.profile = profile
        self._line = line
        self._unit_id = unit_id
        self._now = now
        self._offsets = dict(offsets or {})
        self._timing = line_timing(profile)
        self._decoder = _decoder_of(profile)
        self._blocks = tuple(
            BlockReader(unit, block, self._decoder.slots, unit_id, line, self._timing) for block in profile.blocks
        )
        self._identity = IdentityWatch(profile, self._decoder)
        self._plausibility = Plausibility(profile, self._decoder)
        self._watchdog = None if consents else profile.watchdog
        self._armed: str | None = None  # what the armed watchdog does; None: not armed
        self._is_watchdog_known = False  # since the line was opened
        self._is_after_miss = False

    async def read(self) -> Reading | ReadFault:
        """Poll the unit once. A DriverError becomes a ReadFault."""
        try:
            await self._ask_watchdog()
            raws = await self._read_blocks()
        except DriverError as error:
            match error:
                case UnitRefused():
                    self._is_after_miss = False
                case LineDown():
                    self._reset()
                case _:
                    pass
            return ReadFault(self.unit, self._now(), error.kind, error.detail)
        at = self._now()
        decoded = self._decoder.decode(raws)
        return self._objection(decoded, at) or self._reading(decoded, at)

    async def probe(self) -> ProbeResult:
        """Read every block once, also after a failed one, without the plausibility check.

        After a time-out one more request is made: bytes that come during it distinguish a slow unit from a dead one.
        """
        raws: dict[str, Raw] = {}
        faults: list[ReadFault] = []
        try:
            await self._ask_watchdog()
        except DriverError as error:
            faults.append(ReadFault(self.unit, self._now(), error.kind, error.detail))
        for block in () if faults else self._blocks:
            try:
                raws[block.name] = await (block.read() if faults else _insisting(block))
            except LineDown as error:
                faults.append(ReadFault(self.unit, self._now(), error.kind, error.detail))
                break
            except DriverError as error:
                faults.append(ReadFault(self.unit, self._now(), error.kind, f"{block.name}: {error.detail}"))
        if faults and faults[-1].kind is FaultKind.TIMEOUT and self.profile.after_miss:
            with contextlib.suppress(DriverError):
                await self._line.exchange(self.profile.after_miss.query(self._unit_id), self._timing)
        decoded = self._decoder.decode(raws)
        complete = not faults
        if objection := self._objection(decoded, self._now()):
            faults.append(objection)
        short_blocks = sum(block.fell_short and block.is_split for block in self._blocks)
        return ProbeResult(complete, decoded, self._decoder.points(raws), tuple(faults), short_blocks)

    def _reset(self) -> None:
        """Reset what is known of the unit after the line was down, since another unit may answer now."""
        self._is_watchdog_known = False
        self._identity.recheck()
        for block in self._blocks:
            block.reset()

    async def _ask_watchdog(self) -> None:
        """Read the watchdog once after each opening of the line. Raises NeedsConsent if armed, then at every poll."""
        if self._armed:
            raise NeedsConsent(self._armed)
        if self._watchdog is None or self._is_watchdog_known:
            return
        try:
            said = await self._line.exchange(self._watchdog.query(self._unit_id), self._timing)
        except UnitRefused:
            self._is_watchdog_known = True  # the profile has none
            return
        value = number(said)
        if value is None:
            raise Garbled(f"{self._watchdog.source} is {said!r}, accepted: a number")
        if value:
            self._armed = (
                f"its communication watchdog is armed ({self._watchdog.source} is {value:g}): "
                "it acts by itself when it is no longer polled, so it is not polled"
            )
            raise NeedsConsent(self._armed)
        self._is_watchdog_known = True

    async def _read_blocks(self) -> dict[str, Raw]:
        """Read all blocks; until the last one is read, also if cancelled, the poll counts as missed."""
        if self._is_after_miss and self.profile.after_miss:
            with contextlib.suppress(ShortAnswer):  # of a unit that answers spans so; the line owes its silence anyway
                await self._line.exchange(self.profile.after_miss.query(self._unit_id), self._timing)
        self._is_after_miss = True
        raws = {block.name: await block.read() for block in self._blocks}
        self._is_after_miss = False
        return raws

    def _objection(self, decoded: Decoded, at: Stamp) -> ReadFault | None:
        """The fault of a well-formed answer that is corrupt, or from another unit; None if there is none."""
        if corrupt := self._decoder.corrupt(decoded.slots):
            return ReadFault(self.unit, at, FaultKind.GARBLED, corrupt)
        if foreign := self._identity.mismatch(decoded.slots, decoded.serial_number):
            return ReadFault(self.unit, at, FaultKind.WRONG_IDENTITY, foreign)
        return None

    def _reading(self, decoded: Decoded, at: Stamp) -> Reading:
        measured = Measured(decoded.caps, decoded.measurements)
        if self._offsets:
            measured = measured.changed(self._corrected)
        caps, measurements = self._plausibility.judge(measured, decoded.slots, at)
        return Reading(self.unit, at, caps, measurements, decoded.alarms, decoded.serial_number)

    def _corrected(self, name: str, cap: int | None, measurement: Measurement) -> Measurement:
        offset = self._offsets.get(f"cap{cap}.{name}", self._offsets.get(name, 0.0))
        if not offset or measurement.value is None or measurement.quality is not Quality.GOOD:
            return measurement
        return msgspec.structs.replace(measurement, value=measurement.value + offset)


async def _insisting(block: BlockReader) -> Raw:
    """The block, asked for twice where it falls short, as a poll and the next would; only of a unit in step."""
    try:
        return await block.read()
    except ShortAnswer:
        return await block.read()


@lru_cache(maxsize=256)
def _decoder_of(profile: DeviceProfile) -> Decoder:
    """The decoder of a profile, shared by all its units: it is large, and stays in the processor's cache."""
    return Decoder(profile)


def line_timing(profile: DeviceProfile) -> LineTiming:
    """The profile's timing as the line needs it."""
    timing = profile.timing
    return LineTiming(timing.gap_s, timing.timeout_s, timing.drain_s, timing.settle_after_open_s)
