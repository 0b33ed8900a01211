"""A suite with its page: the real pipeline, control service and web server; only the clock and the bytes are fakes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import cast

import msgspec

from drivers.reading import CapReading, FaultKind, Measurement, ReadFault, Reading, RunState
from gateway.config.web import PagePlan
from gateway.control.board import BoardAnswer
from gateway.control.requests import Board
from gateway.control.service import ControlService
from gateway.control.units import with_swaps
from gateway.telemetry.latest import LatestReadings
from gateway.web.server import serve_page
from tests.broker.harness import free_port
from tests.support.pipeline import FakeClock, Suite, running

PLAN = PagePlan(("127.0.0.1", 0), screens=(ip_network("127.0.0.0/8"),))


class Site:
    """The suite, its control service, and the page, which may go and come back."""

    def __init__(self, suite: Suite, plan: PagePlan) -> None:
        self.suite = suite
        self.latest = LatestReadings(suite.config.units)
        self.control = self._control()
        self.plan = plan
        self.answering = asyncio.Event()  # cleared: the gateway is there and says nothing
        self.answering.set()
        self._page: asyncio.Task[str] | None = None
        self._restarting: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        host, port = cast("tuple[str, int]", self.plan.listen)
        return f"{'https' if self.plan.tls else 'http'}://{host}:{port}"

    async def serve(self) -> None:
        """Start the page, at the address that it had before."""
        config = self.suite.config
        self._page = asyncio.create_task(
            serve_page(self.plan, config.state_dir, config.file, self._board, self.control.answer)
        )

    async def stop(self) -> None:
        """End the page and every connection to it."""
        if self._page is not None:
            self._page.cancel()
            await asyncio.wait([self._page])

    async def restart(self) -> None:
        """The gateway begins anew: its state and its loaners are those of the ledger, and nobody is signed in."""
        await self.stop()
        suite = self.suite
        suite.config = with_swaps(suite.config, await suite.ledger.swaps())
        await suite.start()
        self.latest = LatestReadings(suite.config.units)
        self.control = self._control()
        await self.serve()

    def _control(self) -> ControlService:
        suite = self.suite
        return ControlService(
            suite.config, suite.clock, suite.ledger, suite.pipeline, self._begin_anew, latest=self.latest
        )

    def _begin_anew(self) -> None:
        """A swap has the gateway start again."""
        self._restarting = asyncio.create_task(self.restart())

    async def _board(self, request: Board) -> BoardAnswer:
        await self.answering.wait()
        return await self.control.board(request)

    def read(self, cap_c: float | None = 3.0, alarms: tuple[str, ...] = ()) -> None:
        """The unit's state as the screens see it, read at this instant."""
        shown = {} if cap_c is None else {"cap_front": Measurement(cap_c, "Cel")}
        shown["coolant_supply"] = Measurement(-4.0, "Cel")
        cap = CapReading(1, self.suite.state, self.suite.connected, None, shown)
        idle = CapReading(2, RunState.STOPPED, False, False, {})
        self.latest.take(Reading(self.suite.unit, self.suite.clock.now(), (cap, idle), {}, alarms))

    def miss(self) -> None:
        """A poll without an answer, as the screens see it."""
        self.latest.take(ReadFault(self.suite.unit, self.suite.clock.now(), FaultKind.TIMEOUT, ""))

    async def poll(self, minutes: float) -> None:
        """The unit is read for so long; the screens see the last of it."""
        await self.suite.poll(minutes)
        self.read()


@asynccontextmanager
async def page_of(folder: Path, clock: FakeClock | None = None, **plan: object) -> AsyncGenerator[Site]:
    """The page of a suite in `folder`, at rest."""
    async with running(folder, clock) as suite:
        site = Site(suite, msgspec.structs.replace(PLAN, **{"listen": ("127.0.0.1", free_port())} | plan))
        await site.poll(2)
        await site.serve()
        try:
            yield site
        finally:
            await site.stop()
