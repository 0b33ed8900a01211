"""Reads one block of a unit: in one request or, after the unit has refused that or fallen short, point by point.

Many units refuse a span (exception 02, some 03) that contains an undefined register, or that exceeds their buffer; some
answer it with fewer registers, which are not used: once that is a damaged answer, twice it is the unit's way. Each
point is read in a single request either way, so that no value is combined from two answers. A unit that refuses the
request for a single point does not fit its profile, which is a fault.
"""

import logging
from typing import Protocol

from drivers.decode.decoder import Slot
from drivers.dialects.base import ModbusQuery, Query, Raw
from drivers.errors import DriverError, Garbled, LineDown, ShortAnswer, UnitRefused
from drivers.line import LineTiming
from drivers.profile.types import Block

_log = logging.getLogger(__name__)

_SPAN_REFUSED = (2, 3)  # illegal data address, illegal data value


class Exchanger(Protocol):
    """The interface of a line that a driver uses: `drivers.line.Line`, or a test's."""

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        """Send `query` and return its answer. Raises DriverError."""
        ...


class BlockReader:
    """Reads one block of one unit; `slots` are all slots of the profile."""

    def __init__(
        self,
        unit: str,
        block: Block,
        slots: tuple[Slot, ...],
        unit_id: int | None,
        line: Exchanger,
        timing: LineTiming,
    ) -> None:
        self.name = block.name
        self._unit = unit
        self._query = block.query(unit_id)
        self._points = _point_queries(self._query, [slot for slot in slots if slot.point.block == block.name])
        self._line = line
        self._timing = timing
        self.is_split = False  # it is read point by point
        self._is_logged = False
        self.fell_short = False  # the last whole answer had fewer values than were asked for

    async def read(self) -> Raw:
        """The raw block. Raises DriverError."""
        if self.is_split:
            return await self._point_by_point()
        try:
            answer = await self._line.exchange(self._query, self._timing)
            self.fell_short = False
            return answer
        except UnitRefused as error:
            if error.code not in _SPAN_REFUSED or not self._points:
                raise
            return await self._split(error)
        except ShortAnswer as error:
            if not self._points or not self.fell_short:
                self.fell_short = True
                raise
            return await self._split_short(error)

    def reset(self) -> None:
        """Go back to a single request, since another unit may answer from now on."""
        self.is_split = self.fell_short = False

    async def _split(self, error: DriverError) -> Raw:
        """The block, asked point by point from now on, if that works."""
        answer = await self._point_by_point()
        self.is_split = True
        self._log_once(error)
        return answer

    async def _split_short(self, error: ShortAnswer) -> Raw:
        """The same after a short answer, which remains what is wrong where that does not work either."""
        try:
            return await self._split(error)
        except (UnitRefused, LineDown):
            raise
        except DriverError as second:
            raise Garbled(f"{error.detail}; point by point: {second.detail}") from second

    async def _point_by_point(self) -> tuple[int, ...]:
        """The block with only its points filled in, and 0 between them, which no rule uses."""
        registers: list[int] = []
        for at, query in self._points:
            try:
                answer = await self._line.exchange(query, self._timing)
            except UnitRefused as error:
                raise UnitRefused(error.code, f"{query.count} registers from {query.address}") from error
            words = [word for word in answer if isinstance(word, int)]
            registers += [0] * (at + len(words) - len(registers))
            registers[at : at + len(words)] = words
        return tuple(registers)

    def _log_once(self, error: DriverError) -> None:
        if not self._is_logged:
            self._is_logged = True
            does = "refuses" if isinstance(error, UnitRefused) else "falls short of"
            text = "unit %s %s block %s in one request (%s); its points are asked one by one"
            _log.warning(text, self._unit, does, self.name, error.detail)


def _point_queries(block: Query, slots: list[Slot]) -> tuple[tuple[int, ModbusQuery], ...]:
    """The offset of each point in the block, and its own request; empty if the block cannot be divided."""
    if not isinstance(block, ModbusQuery):
        return ()
    spans = sorted({(slot.point.at + slot.offset, slot.point.length) for slot in slots})
    if not spans or spans == [(0, block.count)]:
        return ()
    return tuple((at, ModbusQuery(block.unit_id, block.function, block.address + at, length)) for at, length in spans)
