"""What runs while nothing can be counted: polling, telemetry, `/healthz` and the alarm that says so.

Why nothing can be, and what becomes of what comes meanwhile, is the pause's: that of the disk (disk_pause.py), or safe
mode (safe_mode.py), or that of a clock which is not believed (clock_pause.py).
"""

import asyncio
from importlib import import_module
from typing import Protocol

import msgspec

from drivers.reading import ReadFault, Reading
from gateway.config.load import GatewayConfig
from gateway.control.socket import serve_control
from gateway.ledger.access import Actor
from gateway.ledger.errors import LedgerError
from gateway.messages.cloudevents import Origin
from gateway.messages.notation import Notation
from gateway.monitoring.alarms import AlarmCode, AlarmInputs, Alarms
from gateway.monitoring.health import Health, Uncounted, serve_pages
from gateway.monitoring.metrics import BlockedSnapshot, blocked_metrics
from gateway.mqtt.consumer import Overheard
from gateway.mqtt.gateway_status import announcements, software_version
from gateway.mqtt.relay import NoRows
from gateway.mqtt.service import MqttService
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import UNIT_STATUS, Topics, filter_of
from gateway.mqtt.types import MqttCounters
from gateway.polling.captures import Captures
from gateway.polling.supervisor import Supervisor
from gateway.runtime import systemd
from gateway.runtime.clock import Clock
from gateway.runtime.disk import Disk
from gateway.runtime.tasks import kept_up
from gateway.telemetry.unit_status import UnitStatusPublisher, facts_of_units

ALARMS_S = 2.0
KNOWN = frozenset(
    {
        AlarmCode.LEDGER_BLOCKED,
        AlarmCode.SAFE_MODE,
        AlarmCode.CLOCK_IMPLAUSIBLE,
        AlarmCode.DISK_FULL,
        AlarmCode.RESTARTS_OFTEN,
        AlarmCode.CONFIGURATION_REFUSED,
        AlarmCode.UNIT_UNREACHABLE,
        AlarmCode.UNIT_MISTAKEN,
        AlarmCode.CONSENT_NEEDED,
        AlarmCode.SUBSCRIPTION_REFUSED,
        AlarmCode.CLIENT_ID_TAKEN,
    }
)  # what can be told without the ledger; the others stay as they are


class Pause(Protocol):
    """Why nothing is counted, and what becomes of what comes meanwhile."""

    @property
    def reason(self) -> str:
        """Why, for a person."""
        ...

    @property
    def kind(self) -> Uncounted:
        """Why, as the page says it."""
        ...

    def refusal(self) -> bytes:
        """The answer to who asks for anything that it cannot do."""
        ...

    def inputs(self) -> AlarmInputs:
        """The alarm that says so."""
        ...

    def keep(self, answer: Reading | ReadFault) -> None:
        """Keep an answer of a unit."""
        ...

    async def message(self, topic: str, payload: bytes) -> None:
        """Take a message of the engine; it is acknowledged when this returns."""
        ...

    async def answer(self, line: bytes, actor: Actor) -> bytes:
        """The answer to a request on the control socket."""
        ...

    async def over(self) -> None:
        """Return when it is over. Raises LedgerError if it never will be."""
        ...


class Blocked:
    """A gateway that counts nothing. `run` it once."""

    def __init__(self, config: GatewayConfig, clock: Clock, disk: Disk, pause: Pause) -> None:
        origin, topics = Origin(config.site, config.id), Topics(config.site, config.id, config.mode)
        self._config = config
        self._clock = clock
        self._disk = disk
        self._pause = pause
        self._telemetry = Telemetry(MqttCounters())
        self._publisher = UnitStatusPublisher(
            origin, topics, self._telemetry, facts_of_units(config.lines, clock.now().boot)
        )
        captures = Captures(config.lines, clock, config.state_dir)
        self._supervisor = Supervisor(config.lines, clock, self._polled, captures.taps)
        self._alarms = Alarms(origin, topics, self._telemetry.status, KNOWN)
        inbound = [topics.inbound(each).topic for each in Notation]
        self._mqtt = MqttService(
            config.mqtt,
            inbound,
            NoRows(),
            self._telemetry,
            pause.message,
            announcements(origin, topics.status, config.mode, clock),
            (),
            clock,
            MqttCounters(),
            overheard=[Overheard(filter_of(UNIT_STATUS, topics.root), lambda _topic, _payload: None)],
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until the pause is over or `stop` is set. Raises what `Pause.over` raises."""
        opened = asyncio.Event()
        pages = serve_pages(self._config.health_listen, self._health, blocked_metrics(self._snapshot))
        async with pages, asyncio.TaskGroup() as group:
            parts = [
                group.create_task(self._mqtt.run(), name="mqtt"),
                group.create_task(self._supervisor.run(), name="lines"),
                group.create_task(kept_up("alarms", self._tell, LedgerError), name="alarms"),
                group.create_task(kept_up("control", lambda: self._answer(opened), LedgerError), name="control"),
                group.create_task(kept_up("page", self._page, LedgerError), name="page"),
                group.create_task(systemd.feed_watchdog(self._supervisor.progresses), name="watchdog"),
            ]
            systemd.ready(f"nothing is counted: {self._pause.reason}")
            waits = group.create_task(self._pause.over(), name="pause")
            stopped = group.create_task(stop.wait(), name="stop")
            await asyncio.wait([waits, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in (*parts, waits, stopped):
                task.cancel()

    async def _polled(self, answer: Reading | ReadFault) -> None:
        self._publisher.take(answer)
        self._pause.keep(answer)

    async def _tell(self) -> None:
        while True:  # ends with the task
            await asyncio.to_thread(self._disk.measure)
            self._alarms.update(self._condition(), self._clock.now().utc_us)
            await asyncio.sleep(ALARMS_S)

    def _condition(self) -> AlarmInputs:
        return msgspec.structs.replace(
            self._pause.inputs(),
            disk_free_bytes=self._disk.free_bytes if self._disk.is_low else None,
            configuration_refused=str(self._config.refused[0]) if self._config.refused else "",
            units_down=self._publisher.down(self._clock.now().utc_us),
            refused_filters=self._mqtt.refused_filters,
            rival_of=self._mqtt.client_id if self._mqtt.has_rival else "",
        )

    async def _answer(self, opened: asyncio.Event) -> None:
        await serve_control(self._config.state_dir, self._asked, opened)

    async def _page(self) -> None:
        """Serve the page that says so. Its libraries are imported in a thread, so that no poll waits for them."""
        if self._config.page.listen is not None:
            await asyncio.to_thread(import_module, "gateway.web.uncounted")
            from gateway.web.uncounted import serve_uncounted

            await serve_uncounted(self._config.page, self._config.state_dir, self._pause.kind, self._pause.refusal)

    async def _asked(self, line: bytes, actor: Actor) -> bytes:
        return await self._pause.answer(line, actor)

    def _health(self) -> Health:
        units = list(self._supervisor.unit_counters)
        last_s = self._supervisor.last_poll_s
        return Health(
            gateway=self._config.id,
            version=software_version(),
            uncounted=self._pause.reason,
            mqtt_connected=self._mqtt.connected,
            unheard=tuple(self._mqtt.refused_filters),
            client_id_taken=self._mqtt.has_rival,
            units_up=tuple(unit for unit in units if self._publisher.is_up(unit)),
            units_down=tuple(unit for unit in units if not self._publisher.is_up(unit)),
            oldest_unsent_s=None,
            since_progress_s=None if last_s is None else asyncio.get_running_loop().time() - last_s,
        )

    def _snapshot(self) -> BlockedSnapshot:
        supervisor = self._supervisor
        return BlockedSnapshot(supervisor.unit_counters, supervisor.line_counters(), self._alarms.raised)
