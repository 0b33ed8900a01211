"""One life of the gateway: the product's own pipeline, ledger, relay and control service, from a start to its end."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import NamedTuple
from unittest import mock

from drivers.reading import ReadFault, Reading, Stamp
from gateway.app import must_arrive
from gateway.config.load import GatewayConfig
from gateway.control.service import ControlService
from gateway.control.socket import Answer
from gateway.ledger.access import Actor
from gateway.ledger.errors import LedgerError
from gateway.ledger.store import open_ledger
from gateway.messages.cloudevents import Origin
from gateway.messages.notation import Notation
from gateway.mqtt.gateway_status import announcements
from gateway.mqtt.service import MqttService
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttCounters, MqttDown, PublishRefused
from gateway.recording.pipeline import Pipeline
from tests.campaign.broker import Broker
from tests.campaign.bus import Json
from tests.campaign.clinic_time import ProcessClock
from tests.campaign.disk import Disk

LEDGER_FILE = "ledger.db"
DRAIN_S = 5.0


class Memory(NamedTuple):
    """How many facts and sessions a process keeps."""

    facts: int
    sessions: int


class Life:
    """A process of the gateway. `poll` answers for a unit; `died` is called when it ends without being asked to."""

    keeps_answers = False  # those that cannot be recorded, until they can

    def __init__(
        self,
        config: GatewayConfig,
        clock: ProcessClock,
        disk: Disk,
        broker: Broker,
        random: Random,
        poll: Callable[[str, Stamp], Reading | ReadFault],
        died: Callable[[], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._disk = disk
        self._broker = broker
        self._random = random
        self._poll = poll
        self._died = died
        self._turns = {unit.id: asyncio.Semaphore(0) for unit in self._config.units}
        self._busy: set[str] = set()
        self._answer: Answer | None = None  # to a request of the control socket
        self._mqtt: MqttService | None = None
        self._pipeline: Pipeline | None = None
        self._stop = asyncio.Event()
        self._started = asyncio.Event()
        self.failure = ""
        self._task = asyncio.create_task(self._live(), name="gateway")

    async def started(self) -> bool:
        """Wait until it works; False if it ended before."""
        waiting = asyncio.create_task(self._started.wait())
        await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return self._started.is_set() and not self._task.done()

    async def stop(self) -> None:
        """End it in order."""
        self._stop.set()
        await asyncio.wait([self._task])

    async def kill(self) -> None:
        """End it as SIGKILL does: nothing that it still does reaches the disk or the broker."""
        self._disk.dead = True
        self._broker.cut()
        self._task.cancel()
        await asyncio.wait([self._task])

    def die(self) -> None:
        """End it at once, as the disk did."""
        self._task.cancel()

    def turn(self, unit: str) -> None:
        """The unit's turn to be polled has come; a poll that is under way is not repeated."""
        if unit not in self._busy and self._started.is_set() and unit in self._turns:
            self._busy.add(unit)
            self._turns[unit].release()

    async def ask(self, request: Json) -> Json | None:
        """A request of the control socket; None if the process ends before it answers."""
        if self._answer is None:
            return None
        try:
            return json.loads(await self._answer(json.dumps(request).encode(), Actor("host:campaign:0")))
        except LedgerError:
            return None

    @property
    def works(self) -> bool:
        """Whether it has started, and counts."""
        return self._answer is not None

    @property
    def drained(self) -> bool:
        """Whether the broker has all that it would take."""
        return self._mqtt is not None and self._mqtt.connected and self._mqtt.drained

    @property
    def memory(self) -> Memory:
        """What it keeps."""
        if self._pipeline is None:
            return Memory(0, 0)
        state = self._pipeline.state
        return Memory(len({fact for facts in state.facts.by_key.values() for fact in facts}), len(state.records))

    async def _live(self) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever ends the process, systemd starts another
            self.failure = _text(error)
        finally:
            if not self._stop.is_set() and not self._disk.dead:
                self._died()

    async def _work(self) -> None:
        config, clock = self._config, self._clock
        async with open_ledger(config.state_dir / LEDGER_FILE, config.id, clock.now, self._disk.connect) as ledger:
            pipeline = self._pipeline = await Pipeline.recovered(config, clock, ledger)
            self._answer = ControlService(config, clock, ledger, pipeline).answer
            topics, counters = Topics(config.site, config.id, config.mode), MqttCounters()
            mqtt = self._mqtt = MqttService(
                config.mqtt,
                [topics.inbound(notation).topic for notation in Notation],
                ledger.outbox,
                Telemetry(counters),
                self._take_message,
                announcements(Origin(config.site, config.id), topics.status, config.mode, clock),
                must_arrive(config, topics),
                clock,
                counters,
                resends=config.receipts.resends,
                chance=self._random.random,
            )
            with mock.patch("gateway.mqtt.service.connect", self._broker.connect):
                async with asyncio.TaskGroup() as group:
                    relaying = group.create_task(mqtt.run())
                    working = [group.create_task(pipeline.run())]
                    working += [group.create_task(self._keep_polling(unit, pipeline)) for unit in self._turns]
                    self._started.set()
                    await self._stop.wait()
                    for task in working:
                        task.cancel()
                    await asyncio.wait(working)
                    await pipeline.close()
                    await self._drain(mqtt)
                    relaying.cancel()

    async def _take_message(self, topic: str, payload: bytes) -> None:
        if self._pipeline is None or self._mqtt is None:
            raise AssertionError("not started")
        for answer in await self._pipeline.message(topic, payload):
            with suppress(MqttDown, PublishRefused):
                await self._mqtt.publish(answer)

    async def _keep_polling(self, unit: str, pipeline: Pipeline) -> None:
        while True:
            await self._turns[unit].acquire()
            await pipeline.answer(self._poll(unit, self._clock.now()))
            self._busy.discard(unit)

    async def _drain(self, mqtt: MqttService) -> None:
        for _ in range(int(DRAIN_S / 0.05)):
            if mqtt.drained:
                return
            await asyncio.sleep(0.05)


def _text(error: BaseException) -> str:
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())  # those of a group
    return _text(inner[0]) if inner else f"{type(error).__name__}: {error}"
