"""One unit on a line: asks for every block of its profile and makes one coherent reading of the answers.

Theory of operation. A poll is all blocks or a fault: half an answer is none. After a miss the rest of the poll is
skipped, so that a dead unit costs its neighbours one timeout; the next poll then begins with the profile's
`after_miss` request, whose answer no late reply can be taken for. Whether this is the right kind of unit is asked at
the first answer, again after every break of the line, and every VERIFY_EVERY polls.
"""

import contextlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

import msgspec

from drivers.decode import Decoded, Decoder, PointValue
from drivers.dialects.base import Query, Raw
from drivers.errors import DriverError, LineDown, UnitRefused
from drivers.frozen import FrozenWatch
from drivers.line import LineTiming
from drivers.profile import DeviceProfile
from drivers.reading import CapReading, FaultKind, Measurement, Quality, ReadFault, Reading, Reason, Stamp

VERIFY_EVERY = 60  # polls

_Change = Callable[[str, int | None, Measurement], Measurement]


class Exchanger(Protocol):
    """What a driver needs of a line: `drivers.line.Line` but for tests."""

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        """The answer to `query`. Raises the errors of drivers.errors."""
        ...


class ProbeResult(msgspec.Struct, frozen=True):
    """Everything that one look at a unit shows, with whatever went wrong beside it."""

    complete: bool  # every block was read
    decoded: Decoded
    points: tuple[PointValue, ...]
    faults: tuple[ReadFault, ...]


class Driver:
    """Reads one unit. `offsets` are the site's sensor corrections, added to good values.

    An offset's key is a point's name, or `cap2.NAME` for one cap's point; its unit is the canonical one.
    """

    def __init__(
        self,
        unit: str,
        profile: DeviceProfile,
        line: Exchanger,
        unit_id: int | None,
        now: Callable[[], Stamp],
        offsets: Mapping[str, float] | None = None,
    ) -> None:
        self.unit = unit
        self.profile = profile
        self._line = line
        self._unit_id = unit_id
        self._now = now
        self._offsets = dict(offsets or {})
        self._timing = line_timing(profile)
        self._queries = tuple((block.name, block.query(unit_id)) for block in profile.blocks)
        self._decoder = _decoder_of(profile)
        self._watch = FrozenWatch(profile, self._decoder)
        self._is_after_miss = False
        self._verified_polls_ago: int | None = None  # None: not since the line was opened

    async def read(self) -> Reading | ReadFault:
        """One poll. Never raises a DriverError: what went wrong is the answer."""
        try:
            raws = await self._read_blocks()
        except DriverError as error:
            match error:
                case UnitRefused():
                    self._is_after_miss = False
                case LineDown():
                    self._verified_polls_ago = None
                case _:
                    pass
            return ReadFault(self.unit, self._now(), error.kind, error.detail)
        at = self._now()
        decoded = self._decoder.decode(raws)
        return self._doubt(decoded, at) or self._reading(decoded, at)

    async def probe(self) -> ProbeResult:
        """Every block once, those after a failed one as well, and nothing held back for being doubtful.

        Where no answer came, one request more is made: what the line meets then tells a late unit from a dead one.
        """
        raws: dict[str, Raw] = {}
        faults: list[ReadFault] = []
        for name, query in self._queries:
            try:
                raws[name] = await self._line.exchange(query, self._timing)
            except LineDown as error:
                faults.append(ReadFault(self.unit, self._now(), error.kind, error.detail))
                break
            except DriverError as error:
                faults.append(ReadFault(self.unit, self._now(), error.kind, f"{name}: {error.detail}"))
        if faults and faults[-1].kind is FaultKind.TIMEOUT and self.profile.after_miss:
            with contextlib.suppress(DriverError):
                await self._line.exchange(self.profile.after_miss.query(self._unit_id), self._timing)
        decoded = self._decoder.decode(raws)
        complete = not faults
        if doubt := self._doubt(decoded, self._now()):
            faults.append(doubt)
        return ProbeResult(complete, decoded, self._decoder.points(raws), tuple(faults))

    async def _read_blocks(self) -> dict[str, Raw]:
        """All blocks. Until the last is here an answer is outstanding, whatever ends this, cancellation included."""
        if self._is_after_miss and self.profile.after_miss:
            await self._line.exchange(self.profile.after_miss.query(self._unit_id), self._timing)
        self._is_after_miss = True
        raws = {name: await self._line.exchange(query, self._timing) for name, query in self._queries}
        self._is_after_miss = False
        return raws

    def _doubt(self, decoded: Decoded, at: Stamp) -> ReadFault | None:
        """Why an answer of the right form is still none: corrupt, or another kind of unit's."""
        if corrupt := self._decoder.corrupt(decoded.slots):
            return ReadFault(self.unit, at, FaultKind.GARBLED, corrupt)
        polls = self._verified_polls_ago
        if polls is None or polls + 1 >= VERIFY_EVERY:
            if foreign := self._decoder.foreign(decoded.slots):
                self._verified_polls_ago = None
                return ReadFault(self.unit, at, FaultKind.WRONG_IDENTITY, foreign)
            polls = -1
        self._verified_polls_ago = polls + 1
        return None

    def _reading(self, decoded: Decoded, at: Stamp) -> Reading:
        caps, measurements = decoded.caps, decoded.measurements
        if self._offsets:
            caps, measurements = _changed(caps, measurements, self._corrected)
        frozen = set(self._watch.frozen(decoded.slots, caps, at))
        if self._watch.is_hung(decoded.slots, at):
            caps, measurements = _changed(caps, measurements, lambda _name, _cap, each: _suspect(each))
            caps = tuple(msgspec.structs.replace(cap, circulating=None) for cap in caps)
        elif frozen:
            caps, measurements = _changed(
                caps, measurements, lambda name, cap, each: _suspect(each) if (name, cap) in frozen else each
            )
        return Reading(self.unit, at, caps, measurements, decoded.alarms, decoded.serial_number)

    def _corrected(self, name: str, cap: int | None, measurement: Measurement) -> Measurement:
        offset = self._offsets.get(f"cap{cap}.{name}", self._offsets.get(name, 0.0))
        if not offset or measurement.value is None or measurement.quality is not Quality.GOOD:
            return measurement
        return msgspec.structs.replace(measurement, value=measurement.value + offset)


@lru_cache(maxsize=256)
def _decoder_of(profile: DeviceProfile) -> Decoder:
    """One decoder for all units of a kind: it is large, and what all of them use stays in the processor's cache."""
    return Decoder(profile)


def line_timing(profile: DeviceProfile) -> LineTiming:
    """What the profile asks of the line."""
    timing = profile.timing
    return LineTiming(timing.gap_s, timing.timeout_s, timing.drain_s, timing.settle_after_open_s)


def _changed(
    caps: tuple[CapReading, ...], measurements: dict[str, Measurement], change: _Change
) -> tuple[tuple[CapReading, ...], dict[str, Measurement]]:
    """All measurements through `change`. A unit's temperature that a cap shares stays the unit's: its cap is None."""
    changed = {name: change(name, None, each) for name, each in measurements.items()}
    return tuple(
        msgspec.structs.replace(
            cap,
            temperatures={
                name: changed[name] if name in changed else change(name, cap.cap, each)
                for name, each in cap.temperatures.items()
            },
        )
        for cap in caps
    ), changed


def _suspect(measurement: Measurement) -> Measurement:
    if measurement.value is None:
        return measurement
    return msgspec.structs.replace(measurement, quality=Quality.SUSPECT, reason=Reason.FROZEN)
