"""The composition root: every part of a gateway made, joined and run in one tree of tasks.

Order of ending: polling stops first, so that nothing new comes; the relay then has DRAIN_S to hand what waits to the
broker; then MQTT says farewell and the ledger closes. What could not be handed over waits in the ledger.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from drivers.reading import ReadFault, Reading
from gateway.commissioning.trial import Commissioning
from gateway.config.load import GatewayConfig
from gateway.control.service import ControlService
from gateway.control.socket import serve_control
from gateway.ledger.batch import Backlog
from gateway.ledger.deliveries import Deliveries
from gateway.ledger.store import Ledger, open_ledger
from gateway.ledger.temperatures import HISTORY_FILE
from gateway.messages.cloudevents import Origin
from gateway.messages.notation import Notation
from gateway.monitoring.alarms import AlarmInputs, Alarms
from gateway.monitoring.health import Health, HealthServer
from gateway.monitoring.metrics import LoopLag, Snapshot, metrics_page
from gateway.mqtt.gateway_status import announcements, software_version
from gateway.mqtt.service import MqttService
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttCounters
from gateway.polling.supervisor import Supervisor
from gateway.recording.pipeline import Pipeline
from gateway.runtime import systemd
from gateway.runtime.clock import US_PER_S, Clock
from gateway.telemetry.charting import Observations
from gateway.telemetry.temperature_log import History
from gateway.telemetry.unit_status import UnitFacts, UnitStatusPublisher

_log = logging.getLogger("capgate")

LEDGER_FILE = "ledger.db"
DRAIN_S = 5.0
BACKLOG_PERIOD_S = 2.0
STALLED_S = 60.0  # longer than the back-off of a line whose units are all dead


async def run_gateway(
    config: GatewayConfig, clock: Clock, stop: asyncio.Event, restart: Callable[[], None] | None = None
) -> None:
    """Run a gateway until `stop` is set. `restart` lets it ask to be started again, None refuses who wants that.

    Raises StateLocked or LedgerUnavailable where it cannot start, LedgerError where it can no longer record.
    """
    async with open_ledger(config.state_dir / LEDGER_FILE, config.id, clock.now) as ledger:
        pipeline = await Pipeline.recovered(config, clock, ledger)
        await Gateway(config, clock, ledger, pipeline, restart).run(stop)


class Gateway:
    """A gateway around an open ledger. `run` it once."""

    def __init__(
        self,
        config: GatewayConfig,
        clock: Clock,
        ledger: Ledger,
        pipeline: Pipeline,
        restart: Callable[[], None] | None = None,
    ) -> None:
        origin = Origin(config.site, config.id)
        topics = Topics(config.site, config.id, config.mode)
        self._config = config
        self._clock = clock
        self._ledger = ledger
        self._pipeline = pipeline
        self._lag = LoopLag()
        self._backlog = Backlog(0, None)
        self._deliveries = Deliveries()
        self._began_s = asyncio.get_running_loop().time()
        self._preferred: frozenset[str] = frozenset()
        counters = MqttCounters()
        telemetry = Telemetry(counters)
        self._publisher = UnitStatusPublisher(
            origin,
            topics,
            telemetry,
            {
                unit.id: UnitFacts(unit.profile.id, {n: unit.chairs.get(n) for n in range(1, unit.profile.caps + 1)})
                for unit in config.units
            },
        )
        self._observations = Observations(config.outbound, topics, telemetry, pipeline.identity)
        self._alarms = Alarms(origin, topics, telemetry.status)
        self._history = History(config.state_dir / HISTORY_FILE, clock, config.units, config.history)
        self._supervisor = Supervisor(config.lines, clock, self._take)
        self._commissioning = Commissioning(lambda message: self._mqtt.publish(message))
        self._desk = ControlService(config, clock, ledger, pipeline, restart, self._commissioning)
        self._mqtt = MqttService(
            config.mqtt,
            [topics.inbound(each) for each in Notation],
            ledger.outbox,
            telemetry,
            self._take_message,
            announcements(origin, topics.status, config.mode, clock),
            clock,
            counters,
            resends=config.receipts.resends,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then end in order. Raises LedgerError where recording is no longer possible."""
        async with self._pages(), asyncio.TaskGroup() as group:
            mqtt = group.create_task(self._mqtt.run(), name="mqtt")
            working = [
                group.create_task(self._supervisor.run(), name="lines"),
                group.create_task(self._pipeline.run(), name="marks"),
                group.create_task(serve_control(self._config.state_dir, self._desk.answer), name="control"),
                group.create_task(self._history.run(), name="history"),
                group.create_task(self._lag.watch(), name="loop lag"),
                group.create_task(self._watch_backlog(), name="backlog"),
                group.create_task(systemd.feed_watchdog(self._progresses), name="watchdog"),
            ]
            units = len(self._config.units)
            systemd.ready(f"polling {units} units")
            _log.info("started", extra={"gateway": self._config.id, "mode": self._config.mode, "units": units})
            await stop.wait()
            _log.info("stopping")
            for task in working:
                task.cancel()
            await asyncio.wait(working)
            await self._pipeline.close()
            await self._drain()
            mqtt.cancel()

    async def _take(self, answer: Reading | ReadFault) -> None:
        self._publisher.take(answer)
        if isinstance(answer, Reading):
            self._history.take(answer)
            await self._observations.take(answer, self._pipeline.state)
        await self._pipeline.answer(answer)
        if self._pipeline.busy is not self._preferred:
            self._preferred = self._pipeline.busy
            self._supervisor.prefer(self._preferred)

    async def _take_message(self, topic: str, payload: bytes) -> None:
        self._commissioning.notice(payload)  # and the pipeline answers it like any other
        await self._pipeline.message(topic, payload)

    async def _drain(self) -> None:
        """Give the relay time to hand over what waits, if there is a broker to take it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._mqtt.drained:  # noqa: ASYNC110 - the relay has no event for "all sent"
                    await asyncio.sleep(0.05)

    async def _watch_backlog(self) -> None:
        while True:  # ends with the task
            self._backlog = await self._ledger.outbox.backlog()
            self._deliveries = await self._ledger.outbox.deliveries()
            self._alarms.update(self._condition(), self._clock.now().utc_us)
            await asyncio.sleep(BACKLOG_PERIOD_S)

    def _condition(self) -> AlarmInputs:
        policy, set_aside = self._config.policy, self._ledger.set_aside
        return AlarmInputs(
            units_down=self._publisher.down(self._clock.now().utc_us),
            held_topics=self._mqtt.held_topics,
            oldest_unsent_s=self._oldest_unsent_s() or 0.0,
            oldest_unreceipted_s=self._age_s(self._deliveries.oldest_us) or 0.0,
            rejected=self._deliveries.rejected,
            ledger_set_aside="" if set_aside is None else set_aside.name,
            policy_unapproved="" if policy.approved_by else policy.name,
        )

    def _progresses(self) -> bool:
        """Whether polling goes on; a gateway that has not polled yet is given the same time."""
        last_s = self._supervisor.progress.last_poll_s or self._began_s
        return asyncio.get_running_loop().time() - last_s < STALLED_S

    def _idle_s(self) -> float | None:
        last_s = self._supervisor.progress.last_poll_s
        return None if last_s is None else asyncio.get_running_loop().time() - last_s

    @asynccontextmanager
    async def _pages(self) -> AsyncGenerator[None]:
        """The health pages; an address that cannot be had costs the pages, not the recording."""
        server = HealthServer(self._config.health_listen, self._health, metrics_page(self._snapshot))
        try:
            await server.__aenter__()
        except OSError as error:
            _log.error("no health page", extra={"listen": self._config.health_listen, "reason": str(error)})
            yield
            return
        try:
            yield
        finally:
            await server.__aexit__(None, None, None)

    def _oldest_unsent_s(self) -> float | None:
        return self._age_s(self._backlog.oldest_us)

    def _age_s(self, since_us: int | None) -> float | None:
        return None if since_us is None else max(0.0, (self._clock.now().utc_us - since_us) / US_PER_S)

    def _health(self) -> Health:
        units = [unit.id for unit in self._config.units]
        return Health(
            version=software_version(),
            mqtt_connected=self._mqtt.connected,
            units_up=tuple(unit for unit in units if self._publisher.is_up(unit)),
            units_down=tuple(unit for unit in units if not self._publisher.is_up(unit)),
            oldest_unsent_s=self._oldest_unsent_s(),
            rejected=self._deliveries.rejected,
            since_progress_s=self._idle_s(),
        )

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            version=software_version(),
            units=self._supervisor.unit_counters,
            lines=self._supervisor.line_counters(),
            increments=self._pipeline.increments,
            outbox_depth=self._backlog.depth,
            oldest_unsent_s=self._oldest_unsent_s() or 0.0,
            mqtt_connected=self._mqtt.connected,
            deliveries=self._deliveries,
            oldest_pending_s=self._age_s(self._deliveries.oldest_us) or 0.0,
            loop_lag_s=self._lag.worst_s,
            alarms=self._alarms.raised,
        )
