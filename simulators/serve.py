"""Units on real lines: TCP listeners and pseudo-terminals, answering in the lines' languages.

Theory of operation. Everything here is a callback of the event loop: bytes come in, the unit that they are for lives up
to this instant and answers. Between questions a slow ticker lets every unit live on, so that scripts advance though
nobody asks. Nothing waits, so that there is no task to lose.
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
DISCARD_AFTER_S = 0.5  # an unfinished request older than this is discarded, as a unit's receiver does after silence


class CannotServe(Exception):
    """A line's place cannot be had; the text names it and says why."""


class Plant:
    """All lines and units of a scenario.

    `now` gives simulated seconds since the start and never goes back; whoever makes the plant chooses its speed.
    `announce` is called with everything that happens by script.
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
        """A unit, living at this instant. Raises KeyError for an id that is none."""
        unit = self._units[name]
        self._advance(unit)
        return unit

    def advance(self) -> None:
        """Lets every unit live up to this instant."""
        for unit in self._units.values():
            self._advance(unit)

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[dict[str, str]]:
        """Serves every line until the block ends; gives each line's URL by its id. Raises CannotServe."""
        async with AsyncExitStack() as stack:
            urls: dict[str, str] = {}
            for line in self.scenario.line:
                urls[line.id] = await self._open(line, stack)
            self._tick_later()
            stack.callback(self._stop_ticking)
            yield urls

    async def _open(self, line: LineEntry, stack: AsyncExitStack) -> str:
        units = {unit.unit_id: unit for unit in self._units_on[line.id]}
        language = dialect(line.dialect)

        def make_handler(write: Write) -> UnitHandler:
            return UnitHandler(language, units, self._advance, write)

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
        self._tick_later()  # first, so that a failing `announce` does not stop time
        self.advance()

    def _stop_ticking(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()


class UnitHandler:
    """Handles one connection: answers for the units of its line."""

    def __init__(
        self,
        language: Dialect,
        units: dict[int | None, SimulatedUnit],
        advance: Callable[[SimulatedUnit], None],
        write: Write,
    ) -> None:
        self._language = language
        self._units = units
        self._advance = advance
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._received_at = 0.0
        self._late = LateAnswers(write)

    def receive(self, data: bytes) -> None:
        """Answers every whole request that has arrived by now."""
        now = self._loop.time()
        if now - self._received_at > DISCARD_AFTER_S:
            self._buffer.clear()
        self._received_at = now
        self._buffer += data
        for request in requests_in(self._language, self._buffer):
            self._answer(request)

    def close(self) -> None:
        """Answers that are still to come are never given."""
        self._late.close()

    def _answer(self, request: Request) -> None:
        unit = self._units.get(request.query.unit_id)
        if unit is None:
            return
        self._advance(unit)
        response = unit.respond(request, self._language)
        if response is None:
            return
        if response.delay_s == 0:
            self._write(response.data)
        else:
            self._late.write(response.data, response.delay_s)
