"""Serves simulated units on TCP listeners and pseudo-terminals, in the dialects of their lines.

Theory of operation. Event-driven, with callbacks and no tasks: on received bytes the addressed unit is advanced to the
current instant and answers. A ticker (TICK_S) advances all units, so that scripts proceed without requests.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from drivers.dialects.base import Dialect, Request
from drivers.dialects.registry import dialect
from simulators.endpoints import Write, tcp_listener, terminal
from simulators.requests import LateAnswers, requests_in
from simulators.scenario.scenario import build_units
from simulators.scenario.scenario_format import LineEntry, Scenario
from simulators.unit import Moment, SimulatedUnit

TICK_S = 0.1  # real seconds
DISCARD_AFTER_S = 0.5  # time-out of an incomplete request, as in a unit's receiver


class CannotServe(Exception):
    """A line's listener or terminal cannot be opened; the text names it and says why."""


class Plant:
    """All lines and units of a scenario.

    `now` returns monotonic simulated seconds since the start, at any speed. `announce` is called for each scripted
    event.
    """

    def __init__(self, scenario: Scenario, now: Callable[[], float], announce: Callable[[Moment], None]) -> None:
        self.scenario = scenario
        self._now = now
        self._announce = announce
        self._units_on = build_units(scenario)
        self._units = {unit.name: unit for units in self._units_on.values() for unit in units}
        self._ticker: asyncio.TimerHandle | None = None

    @property
    def unit_names(self) -> tuple[str, ...]:
        """The units' ids."""
        return tuple(self._units)

    def unit(self, name: str) -> SimulatedUnit:
        """A unit, advanced to the current instant. Raises KeyError for an unknown id."""
        unit = self._units[name]
        self._advance(unit)
        return unit

    def advance(self) -> None:
        """Advance every unit to the current instant."""
        for unit in self._units.values():
            self._advance(unit)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[dict[str, str]]:
        """Serve all lines while the context lasts; yields each line's URL by its id. Raises CannotServe."""
        async with AsyncExitStack() as stack:
            urls: dict[str, str] = {}
            for line in self.scenario.line:
                urls[line.id] = await self._open(line, stack)
            self._tick_later()
            stack.callback(self._stop_ticking)
            yield urls

    async def _open(self, line: LineEntry, stack: AsyncExitStack) -> str:
        units = {unit.unit_id: unit for unit in self._units_on[line.id]}
        codec = dialect(line.dialect)

        def make_handler(write: Write) -> UnitHandler:
            return UnitHandler(codec, units, self._advance, write)

        try:
            if line.pty:
                return stack.enter_context(terminal(line.pty, make_handler))
            host, _, port = line.tcp.rpartition(":")
            bound_port = await stack.enter_async_context(tcp_listener(host, int(port), make_handler))
        except OSError as error:
            raise CannotServe(f"line {line.id} at {line.pty or line.tcp}: {error.strerror or error}") from error
        return f"socket://{host}:{bound_port}"

    def _advance(self, unit: SimulatedUnit) -> None:
        for moment in unit.advance(self._now()):
            self._announce(moment)

    def _tick_later(self) -> None:
        self._ticker = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _tick(self) -> None:
        self._tick_later()  # first, so that an exception in `announce` does not stop the ticker
        self.advance()

    def _stop_ticking(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()


class UnitHandler:
    """Handles one connection: answers requests to the units of its line."""

    def __init__(
        self,
        codec: Dialect,
        units: dict[int | None, SimulatedUnit],
        advance: Callable[[SimulatedUnit], None],
        write: Write,
    ) -> None:
        self._codec = codec
        self._units = units
        self._advance = advance
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._received_at = 0.0
        self._late = LateAnswers(write)

    def receive(self, data: bytes) -> None:
        """Answer every complete request received so far."""
        now = self._loop.time()
        if now - self._received_at > DISCARD_AFTER_S:
            self._buffer.clear()
        self._received_at = now
        self._buffer += data
        for request in requests_in(self._codec, self._buffer):
            self._answer(request)

    def close(self) -> None:
        """Cancel pending answers."""
        self._late.close()

    def _answer(self, request: Request) -> None:
        unit = self._units.get(request.query.unit_id)
        if unit is None:
            return
        self._advance(unit)
        response = unit.respond(request, self._codec)
        if response is None:
            return
        if response.delay_s == 0:
            self._write(response.data)
        else:
            self._late.write(response.data, response.delay_s)
