"""How one block of a unit is read: in one request or, once the unit has refused that, point by point.

A register that a maker left out between two points makes many units refuse the whole span (exception 02, some 03),
and so does a span longer than the unit's buffer. Each point lies in one request either way, so that no value is ever
put together from two answers. A unit that refuses a point by itself does not fit its profile: a fault.
"""

import logging
from typing import Protocol

from drivers.decode.decoder import Slot
from drivers.dialects.base import ModbusQuery, Query, Raw
from drivers.errors import UnitRefused
from drivers.line import LineTiming
from drivers.profile.types import Block

_log = logging.getLogger(__name__)

_SPAN_REFUSED = (2, 3)  # illegal data address, illegal data value


class Exchanger(Protocol):
    """What a driver needs of a line: `drivers.line.Line` but for tests."""

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        """The answer to `query`. Raises the errors of drivers.errors."""
        ...


class BlockReader:
    """Reads one block of one unit; `slots` are those of the whole profile."""

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
        self._is_split = False
        self._is_logged = False

    async def read(self) -> Raw:
        """The whole block. Raises the errors of drivers.errors."""
        if self._is_split:
            return await self._point_by_point()
        try:
            return await self._line.exchange(self._query, self._timing)
        except UnitRefused as error:
            if error.code not in _SPAN_REFUSED or not self._points:
                raise
            answer = await self._point_by_point()
            self._is_split = True
            self._log_once(error)
            return answer

    def ask_whole(self) -> None:
        """Try one request again: who answers from here on may be another."""
        self._is_split = False

    async def _point_by_point(self) -> tuple[int, ...]:
        """The block with nothing but its points filled in: no rule looks at the registers between them."""
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

    def _log_once(self, error: UnitRefused) -> None:
        if not self._is_logged:
            self._is_logged = True
            text = "unit %s refuses block %s in one request (%s); its points are asked one by one"
            _log.warning(text, self._unit, self.name, error.detail)


def _point_queries(block: Query, slots: list[Slot]) -> tuple[tuple[int, ModbusQuery], ...]:
    """Where in the block each point lies, and the request for it alone; none where one request can be no smaller."""
    if not isinstance(block, ModbusQuery):
        return ()
    spans = sorted({(slot.point.at + slot.offset, slot.point.length) for slot in slots})
    if not spans or spans == [(0, block.count)]:
        return ()
    return tuple((at, ModbusQuery(block.unit_id, block.function, block.address + at, length)) for at, length in spans)
