"""A box with clocks of its own and one unit, whose gateway starts as the product does: by a clock that is believed."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from drivers.reading import CapReading, Reading, RunState, Stamp
from gateway.app import catch_up, require_clock
from gateway.config.load import load_config
from gateway.ledger.read_back import ClockKnown
from gateway.ledger.store import Ledger, open_ledger
from gateway.paused.clock_pause import ClockDoubted, ClockPause
from gateway.polling.kept import KeptAnswers
from gateway.recording.clock_watch import Waited
from gateway.recording.journal import Journal
from gateway.recording.pipeline import Pipeline
from gateway.runtime.kernel_clock import Kept
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionRecord
from gateway.session.worklist import WorkItem
from tests.support.pipeline import engine_event

S = 1_000_000
MINUTE = 60 * S
POLL_US = MINUTE
DAY = 86_400 * S
START_US = 1_790_000_000 * S
RELEASED_US = START_US - 30 * DAY


class Machine:
    """The box: the true time, what its wall clock lacks of it, and whether a time service keeps that."""

    def __init__(self) -> None:
        self.true_us = START_US
        self.boots = 0
        self.boot()

    def boot(self, wall_error_us: int = 0) -> None:
        """It starts, with a wall clock that is wrong by so much; a time service keeps one that is right."""
        self.boots += 1
        self._booted_us = self.true_us - 20 * S
        self.set_wall(wall_error_us, synchronised=wall_error_us == 0)

    def set_wall(self, wall_error_us: int, *, synchronised: bool) -> None:
        self.wall_error_us = wall_error_us
        self.kept = Kept(synchronised, 1000 if synchronised else 16 * S)

    @property
    def boot_us(self) -> int:
        return self.true_us - self._booted_us

    @property
    def wall_us(self) -> int:
        return self.true_us + self.wall_error_us


class BoxClock:
    """The clock of one process, made as the product's own."""

    speed = 1.0
    released_us = RELEASED_US

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._boot = f"boot-{machine.boots}"
        self._offset_us = machine.wall_us - machine.boot_us

    def now(self) -> Stamp:
        return Stamp(self._offset_us + self._machine.boot_us, self._machine.boot_us, self._boot)

    def kept(self) -> Kept:
        return self._machine.kept

    def step_us(self) -> int:
        return self._machine.wall_us - self._machine.boot_us - self._offset_us

    def align(self) -> None:
        self._offset_us += self.step_us()

    def resume(self, stamp: Stamp) -> None:
        if stamp.boot == self._boot:
            self._offset_us = stamp.utc_us - stamp.boot_us


class Box:
    """The box and its unit, polled each minute whether its gateway counts or waits for a clock."""

    def __init__(self, folder: Path) -> None:
        self.config = load_config(folder / "gateway.toml")
        self.machine = Machine()
        self.cools = False
        self.pipeline: Pipeline | None = None
        self.pause: ClockPause | None = None
        self._treatment, self._treatment_s = 4, 0
        self._open = AsyncExitStack()
        self._waiting: asyncio.Task[None] | None = None
        self._journal = Journal(self.config.state_dir)
        self._ledger: Ledger | None = None

    @property
    def path(self) -> Path:
        return self.config.state_dir / "ledger.db"

    @property
    def ledger(self) -> Ledger:
        assert self._ledger is not None, "the ledger is closed"
        return self._ledger

    async def start(self, waited: Waited | None = None) -> None:
        """A process of the gateway: it counts, or waits."""
        self._clock = self._clock if waited is not None else BoxClock(self.machine)
        config, clock = self.config, self._clock
        try:
            if waited is None and not self.path.exists():
                require_clock(config, clock, ClockKnown())
            ledger = await self._open.enter_async_context(open_ledger(self.path, config.id, clock.now))
            if waited is None:
                require_clock(config, clock, await ledger.clock_known())
        except ClockDoubted as doubted:
            await self._open.aclose()
            self.pause = ClockPause(config, clock, self._journal, doubted)
            self._waiting = asyncio.create_task(self.pause.over())
            return
        self._ledger = ledger
        pipeline = await Pipeline.recovered(config, clock, ledger, waited)
        await catch_up(pipeline, config, clock, self._journal, KeptAnswers())
        self.pipeline = pipeline

    async def end(self) -> None:
        """The process ends."""
        if self._waiting is not None:
            self._waiting.cancel()
            with suppress(asyncio.CancelledError):
                await self._waiting
        self._waiting = self.pause = self.pipeline = self._ledger = None
        await self._open.aclose()

    async def mended(self) -> None:
        """The wall clock is right from here on, and a gateway that waited for that counts."""
        self.machine.set_wall(0, synchronised=True)
        if self._waiting is not None and self.pause is not None:
            await self._waiting
            waited, self._waiting, self.pause = self.pause.waited, None, None
            await self.start(waited)

    def pass_time(self, us: int) -> None:
        """Time in which the box is off, or nothing happens on it."""
        self.machine.true_us += us
        self._treatment_s += us // S if self.cools else 0

    async def poll(self, us: int) -> None:
        """Polls for so long, and a tick each minute."""
        end_us = self.machine.true_us + us
        while self.machine.true_us < end_us:
            self.pass_time(min(POLL_US, end_us - self.machine.true_us))
            state = RunState.RUNNING if self.cools else RunState.STOPPED
            cap = CapReading(1, state, True, self.cools, {}, treatment=self._treatment, elapsed_s=self._treatment_s)
            idle = CapReading(2, RunState.STOPPED, False, False, {}, treatment=0, elapsed_s=0)
            reading = Reading("cap-01", self._clock.now(), (cap, idle), {}, (), "SN-1")
            if self.pipeline is not None:
                await self.pipeline.answer(reading)
                await self.pipeline.tick()
            elif self.pause is not None:
                self.pause.keep(reading)
                await asyncio.sleep(0)

    async def tell(self, name: str, thing: str, minutes_ago: float = 0.0, **data: object) -> None:
        """A message of the engine, whose clock is right."""
        at_us = self.machine.true_us - round(minutes_ago * MINUTE)
        payload = engine_event(name, thing, at_us, data)
        if self.pipeline is not None:
            await self.pipeline.message("any", payload)
        elif self.pause is not None:
            await self.pause.message("any", payload)

    async def infusion(self) -> None:
        """A bound patient whose only chemotherapy ends now, by the chart."""
        place = {"unit": "cap-01", "cap": 1, "visit": "V-1"}
        await self.tell("b", "association.bound", 60, validated=True, asserted_by="scan", **place)
        order = {"visit": "V-1", "order": "O-1", "agent_class": "chemo", "source": "mar"}
        await self.tell("s", "infusion.started", 50, **order)
        await self.tell("e", "infusion.completed", 0, final=True, **order)

    async def begin_cooling(self) -> None:
        """The unit's cap runs."""
        self.cools = True

    async def stop_cooling(self) -> None:
        """It does not."""
        self.cools = False

    def renew_counters(self) -> None:
        """The unit was switched off and on: another treatment by its own counters."""
        self._treatment, self._treatment_s = self._treatment + 1, 0

    async def nothing(self) -> None:
        """Nothing happens."""

    @property
    def records(self) -> list[SessionRecord]:
        """The sessions."""
        assert self.pipeline is not None
        return list(self.pipeline.state.records.values())

    async def held(self) -> list[tuple[HeldReason, ...]]:
        """Why each session is held."""
        assert self.pipeline is not None
        found = [await self.pipeline.session(record.token) for record in self.records]
        return [outcome.held for each in found if each is not None for outcome in each[1:]]

    @property
    def work(self) -> tuple[WorkItem, ...]:
        """What waits for a person besides them."""
        assert self.pipeline is not None
        return self.pipeline.state.work

    def told(self) -> list[tuple[int, int]]:
        """The increments that stand, each with the instant at which it was attained, over all sessions."""
        assert self.pipeline is not None
        records = self.pipeline.state.records.values()
        return [
            (each.index, each.attained_at_us) for record in records for each in record.emitted if not each.retracted
        ]
