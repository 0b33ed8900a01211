"""The composition root: makes and connects every part of a gateway, and runs them in one tree of tasks.

Order of shutdown: polling stops first, and results of polls have DRAIN_S to be recorded; the relay then has as long to
publish waiting messages; then MQTT publishes the farewell and the ledger is closed. Messages that could not be
published wait in the ledger.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from itertools import islice
from typing import TypeVar

from prometheus_client import generate_latest

from drivers.reading import ReadFault, Reading
from gateway.commissioning.trial import Commissioning
from gateway.config.certificates import certificates
from gateway.config.load import GatewayConfig
from gateway.control.answers import DiagnoseAnswer
from gateway.control.machines import Machines
from gateway.control.service import ControlService
from gateway.control.socket import serve_control
from gateway.control.units import with_swaps
from gateway.describe.packing import Packing
from gateway.ledger.disk_trouble import trouble_of
from gateway.ledger.errors import LedgerError, StateLocked
from gateway.ledger.key_ring import read_ring
from gateway.ledger.read_back import ClockKnown
from gateway.ledger.receipt_plan import MessageKind
from gateway.ledger.store import LEDGER_FILE, Ledger, open_ledger
from gateway.ledger.temperatures import HISTORY_FILE
from gateway.ledger.worker import state_lock
from gateway.messages.cloudevents import Origin
from gateway.messages.notation import Mode, Notation
from gateway.monitoring.alarms import Alarms
from gateway.monitoring.error_history import ErrorHistory
from gateway.monitoring.metrics import LoopLag
from gateway.monitoring.monitor import Monitor
from gateway.monitoring.upkeep import Upkeep
from gateway.mqtt.consumer import Overheard
from gateway.mqtt.gateway_status import announcements
from gateway.mqtt.service import MqttService
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import INBOUND, UNIT_STATUS, Topics, filter_of, left_over
from gateway.mqtt.types import MqttCounters, MqttDown, PublishRefused
from gateway.paused.blocked import Blocked
from gateway.paused.clock_pause import ClockDoubted, ClockPause
from gateway.paused.disk_pause import FIRST_TRY_S, LONGEST_WAIT_S, DiskPause
from gateway.paused.safe_mode import SafeMode
from gateway.polling.captures import Captures
from gateway.polling.inbox import Inbox
from gateway.polling.kept import KeptAnswers, later_than
from gateway.polling.supervisor import Supervisor
from gateway.recording.absence import CONTACT_FILE, Absence
from gateway.recording.clock_trust import Wall, doubt, resumed
from gateway.recording.clock_watch import Waited
from gateway.recording.journal import Journal
from gateway.recording.pipeline import Pipeline
from gateway.recording.retention import Retention
from gateway.recording.shared_units import SharedUnits
from gateway.runtime import systemd
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.crashes import Crashes
from gateway.runtime.disk import Disk
from gateway.runtime.logs import recent_lines
from gateway.runtime.tasks import kept_up
from gateway.session.worklist import WORK
from gateway.telemetry.charting import Observations
from gateway.telemetry.latest import LatestReadings
from gateway.telemetry.poll_counts import PollCounts
from gateway.telemetry.temperature_log import History
from gateway.telemetry.unit_status import UnitStatusPublisher, facts_of_units

_log = logging.getLogger("capgate")

T = TypeVar("T")

DRAIN_S = 5.0
READ_AT_ONCE = 500
SOON_S = 60.0  # who fails again so soon waits longer before the next start


async def run_gateway(
    config: GatewayConfig, clock: Clock, stop: asyncio.Event, restart: Callable[[], None] | None = None
) -> None:
    """Run a gateway until `stop` is set. `restart` requests another start; if it is None such requests are refused.

    While the disk cannot be written, or its ledger cannot be used, for want of the key too, it runs without, and begins
    anew with what was kept meanwhile. Raises StateLocked if it cannot start, LedgerError if it can no longer record,
    for other reasons.
    """
    crashes = Crashes(config.state_dir, lambda: clock.now().utc_us)
    journal = Journal(config.state_dir, config.ledger_key)
    disk, kept, now_s = Disk(config.state_dir), KeptAnswers(), asyncio.get_running_loop().time
    wait_s, waited = FIRST_TRY_S, None
    if crashes.in_safe_mode:
        await _run_safe(config, clock, stop, disk, crashes, journal)
        if restart is not None:
            return  # with the configuration as it is now
    while not stop.is_set():
        began_s = now_s()
        try:
            await _run_recording(config, clock, stop, restart, disk, kept, journal, crashes, waited)
            break
        except ClockDoubted as doubted:
            waited = await _run_doubted(config, clock, stop, disk, journal, doubted)
            continue
        except Exception as error:
            if (trouble := trouble_of(error)) is None:
                if not isinstance(error, StateLocked):
                    crashes.note(error)
                raise
        if trouble.is_full and await asyncio.to_thread(disk.give_up_ballast):
            continue
        _log.critical("nothing can be recorded, polling goes on", extra={"reason": trouble.reason})
        wait_s = min(2 * wait_s, LONGEST_WAIT_S) if now_s() - began_s < SOON_S else FIRST_TRY_S
        await Blocked(config, clock, disk, DiskPause(config, clock, disk, trouble, kept, wait_s)).run(stop)
    crashes.clear()


async def _run_safe(
    config: GatewayConfig, clock: Clock, stop: asyncio.Event, disk: Disk, crashes: Crashes, journal: Journal
) -> None:
    """Run in safe mode until somebody ends it."""
    pause = SafeMode(crashes, journal, doubted=Wall.of(clock).at.utc_us < clock.released_us)
    _log.critical("nothing is counted, polling goes on", extra={"reason": pause.reason})
    with state_lock(config.state_dir):
        await Blocked(config, clock, disk, pause).run(stop)
    crashes.clear()


async def _run_doubted(
    config: GatewayConfig, clock: Clock, stop: asyncio.Event, disk: Disk, journal: Journal, doubted: ClockDoubted
) -> Waited | None:
    """Run without counting until the clock is believed; None if it was stopped before."""
    pause = ClockPause(config, clock, journal, doubted)
    _log.critical("nothing is counted, polling goes on", extra={"reason": pause.reason})
    with state_lock(config.state_dir):
        await Blocked(config, clock, disk, pause).run(stop)
    if pause.waited is not None:
        _log.warning("the clock is believed", extra={"corrected_s": pause.waited.corrected_us / US_PER_S})
    return pause.waited


async def _run_recording(
    config: GatewayConfig,
    clock: Clock,
    stop: asyncio.Event,
    restart: Callable[[], None] | None,
    disk: Disk,
    kept: KeptAnswers,
    journal: Journal,
    crashes: Crashes,
    waited: Waited | None,
) -> None:
    file, ring = config.state_dir / LEDGER_FILE, read_ring(config.ledger_key)
    if waited is None and not file.exists():
        require_clock(config, clock, ClockKnown())  # before a ledger begins at an instant that is wrong
    async with open_ledger(file, config.id, clock.now, ring=ring) as ledger:
        if waited is None:
            require_clock(config, clock, await ledger.clock_known())
        config = await asyncio.to_thread(with_swaps, config, await ledger.swaps())
        pipeline = await Pipeline.recovered(config, clock, ledger, waited)
        await catch_up(pipeline, config, clock, journal, kept)
        await Gateway(config, clock, ledger, pipeline, restart, disk, kept, crashes).run(stop)


def require_clock(config: GatewayConfig, clock: Clock, known: ClockKnown) -> None:
    """Raises ClockDoubted at a start that can place nothing in time."""
    wall = Wall.of(clock)
    if resumed(wall, known, config.time_service) is None and (why := doubt(wall, known, config.time_service)):
        raise ClockDoubted(why, known)


async def catch_up(
    pipeline: Pipeline, config: GatewayConfig, clock: Clock, journal: Journal, kept: KeptAnswers
) -> None:
    """Record what came while nothing could be recorded, before anything new is taken."""
    units, now = {unit.id for unit in config.units}, clock.now()
    timeless = await asyncio.to_thread(journal.timeless, now)
    await pipeline.cooled_unknown(timeless, now)

    async def take(answers: Iterable[Reading | ReadFault]) -> None:
        for answer in answers:
            if answer.unit in units:
                await pipeline.answer(answer)

    async for answers in _read_in_thread(journal.answers(now)):
        await take(later_than(pipeline.observed, answers))
    await take(kept.after(pipeline.observed))
    async for messages in _read_in_thread(journal.messages()):
        for topic, payload in messages:
            await pipeline.message(topic, payload)
    if timeless:
        await pipeline.tick()  # what may not be charged is held before anything else is taken
    await asyncio.to_thread(journal.clear)


async def _read_in_thread(items: Iterator[T]) -> AsyncIterator[list[T]]:
    """What is read from a file, so much at a time that a slow disk delays nothing else."""
    while read := await asyncio.to_thread(lambda: list(islice(items, READ_AT_ONCE))):
        yield read


def must_arrive(config: GatewayConfig, topics: Topics) -> frozenset[str]:
    """The topics that must have a subscriber: charges in each notation, increments if `[receipts] of` has them."""
    charges = frozenset(topics.charge(notation).topic for notation in config.outbound.site.formats)
    return charges | {topics.increment.topic} if MessageKind.INCREMENT in config.receipts.of else charges


class Gateway:
    """A gateway around an open ledger. `run` it once."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        ledger: Ledger,
        pipeline: Pipeline,
        restart: Callable[[], None] | None = None,
        disk: Disk | None = None,
        kept: KeptAnswers | None = None,
        crashes: Crashes | None = None,
    ) -> None:
        origin = Origin(config.site, config.id)
        topics = Topics(config.site, config.id, config.mode)
        self._config = config
        self._clock = clock
        self._pipeline = pipeline
        self._lag = LoopLag()
        self._disk = disk or Disk(config.state_dir)
        self._kept = kept or KeptAnswers()
        crashed = crashes or Crashes(config.state_dir, lambda: clock.now().utc_us)
        self._preferred: frozenset[str] = frozenset()
        counters = MqttCounters()
        telemetry = Telemetry(counters)
        self._publisher = UnitStatusPublisher(origin, topics, telemetry, facts_of_units(config.lines, clock.now().boot))
        self._observations = Observations(config.outbound, topics, telemetry, pipeline.identity)
        self._history = History(
            config.state_dir / HISTORY_FILE,
            clock,
            config.units,
            config.history,
            PollCounts(
                {unit.id: line.id for line in config.lines for unit in line.units},
                lambda: self._supervisor.unit_counters,
                lambda: self._supervisor.line_counters(),
            ),
            config.people_zone,
            lambda: not self._disk.is_low,
        )
        self._inbox = Inbox([unit.id for unit in config.units], clock, self._take)
        self._captures = Captures(config.lines, clock, config.state_dir)
        self._supervisor = Supervisor(config.lines, clock, self._polled, self._captures.taps)
        self._commissioning = Commissioning(lambda message: self._mqtt.publish(message))
        self._latest = LatestReadings(config.units)
        errors = ErrorHistory(config.state_dir / HISTORY_FILE)
        self._retention = Retention(config, clock, ledger, pipeline)
        self._control = ControlService(
            config,
            clock,
            ledger,
            pipeline,
            restart,
            self._commissioning,
            self._latest,
            Machines(
                config,
                clock,
                self._latest,
                self._captures,
                errors,
                lambda: self._supervisor.unit_counters,
                self._monitored,
                Packing(config.file).packed,
            ),
            self._retention,
        )
        self._shared = SharedUnits(
            config.id,
            self._publisher.claims,
            lambda: counters.connects if self._mqtt.connected else 0,
            clock,
            lambda: pipeline.state,
        )
        inbound = [topics.inbound(each).topic for each in Notation]
        units = filter_of(UNIT_STATUS, topics.root)
        self._absence = Absence(
            config.state_dir / CONTACT_FILE,
            topics.root,
            2.0 * config.mqtt.keepalive_s,
            lambda: self._mqtt.connection,
            counters,
            clock,
            lambda: pipeline.state.work_keys,
        )
        self._mqtt = MqttService(
            config.mqtt,
            inbound,
            ledger.outbox,
            telemetry,
            self._take_message,
            announcements(origin, topics.status, config.mode, clock),
            must_arrive(config, topics),
            clock,
            counters,
            resends=config.receipts.resends,
            overheard=[Overheard(units, self._shared.notice)],
            left_over=[
                *left_over(config.site, [*INBOUND.values(), UNIT_STATUS], [*inbound, units]),
                *(Topics(config.site, config.id, each).status.topic for each in Mode if each is not config.mode),
            ],
        )
        self._upkeep = Upkeep(config.state_dir / LEDGER_FILE, errors, certificates(config))
        self._monitor = Monitor(
            config.policies,
            clock,
            ledger,
            self._supervisor,
            self._publisher,
            self._mqtt,
            Alarms(origin, topics, telemetry.status),
            pipeline.increments,
            pipeline.charges,
            lambda: pipeline.state.records.values(),
            lambda: pipeline.state.facts.of(WORK),
            pipeline.feed,
            self._lag,
            self._inbox,
            lambda: self._shared.active,
            config.staging.most,
            self._disk,
            self._upkeep,
            config.refused,
            lambda: crashed.lately,
            lambda: crashed.starts_lately,
            lambda: self._history.trouble,
            self._retention,
            config.id,
            pipeline.clock_watch,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then shut down in order. Raises LedgerError if recording is no longer possible."""
        opened = asyncio.Event()
        async with self._monitor.pages(self._config.health_listen), asyncio.TaskGroup() as group:

            def keep_up(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
                return group.create_task(kept_up(name, work, LedgerError), name=name)

            mqtt = group.create_task(self._mqtt.run(), name="mqtt")
            polling = group.create_task(self._supervisor.run(), name="lines")
            working = [
                group.create_task(self._inbox.run(), name="answers"),
                keep_up("marks", self._pipeline.run),
                keep_up("control", lambda: serve_control(self._config.state_dir, self._control.answer, opened)),
                keep_up("page", self._page),
                keep_up("history", self._history.run),
                keep_up("captures", self._captures.run),
                keep_up("retention", self._retention.run),
                keep_up("disk", self._disk.watch),
                keep_up("upkeep", self._upkeep.watch),
                keep_up("loop lag", self._lag.watch),
                keep_up("backlog", self._monitor.run),
                keep_up("shared units", lambda: self._shared.run(self._pipeline.record)),
                keep_up("absence", lambda: self._absence.run(self._pipeline.record)),
                group.create_task(systemd.feed_watchdog(self._supervisor.progresses), name="watchdog"),
            ]
            units = len(self._config.units)
            await opened.wait()  # who is told that it has started may ask it
            systemd.ready(f"polling {units} units")
            _log.info("started", extra={"gateway": self._config.id, "mode": self._config.mode, "units": units})
            await stop.wait()
            _log.info("stopping")
            polling.cancel()
            await asyncio.wait([polling])
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_S):
                    await self._inbox.emptied()
            for task in working:
                task.cancel()
            await asyncio.wait(working)
            await self._pipeline.close()
            await self._drain()
            mqtt.cancel()

    async def _page(self) -> None:
        """Serve the suite's page. Its libraries are imported in a thread, so that no poll waits for them."""
        if self._config.page.listen is not None:
            await asyncio.to_thread(import_module, "gateway.web.server")
            from gateway.web.server import serve_page

            config, control = self._config, self._control
            served = serve_page(config.page, config.state_dir, config.file, control.board, control.answer)
            self._monitor.unserved["suite's page"] = await served

    def _monitored(self) -> DiagnoseAnswer:
        return DiagnoseAnswer(
            metrics=generate_latest(self._monitor.metrics).decode(), health=self._monitor.health(), log=recent_lines()
        )

    async def _polled(self, answer: Reading | ReadFault) -> None:
        """Publish a poll's result at once, and queue it for recording."""
        self._kept.add(answer)
        self._publisher.take(answer)
        self._latest.take(answer)
        if isinstance(answer, Reading):
            self._history.take(answer)
        await self._inbox.put(answer)

    async def _take(self, answer: Reading | ReadFault) -> None:
        if isinstance(answer, Reading):
            await self._observations.take(answer, self._pipeline.state)
        await self._pipeline.answer(answer)
        if self._pipeline.busy is not self._preferred:
            self._preferred = self._pipeline.busy
            self._supervisor.prefer(self._preferred)

    async def _take_message(self, topic: str, payload: bytes) -> None:
        self._commissioning.notice(payload)  # and the pipeline answers it like any other
        for answer in await self._pipeline.message(topic, payload):
            with suppress(MqttDown, PublishRefused):  # a sender without an answer sends the message again
                await self._mqtt.publish(answer)

    async def _drain(self) -> None:
        """Give the relay time to publish waiting messages, if there is a broker."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._mqtt.drained:  # noqa: ASYNC110 - the relay has no event for "all sent"
                    await asyncio.sleep(0.05)
