"""The bridge: what gateways publish as HL7 goes to the engine's MLLP listener, and what it says comes back.

Theory of operation. A charge is acknowledged to the broker only when the engine has answered it and the broker has that
answer, so whatever dies in between, the broker sends the charge again; the engine knows repeats by their id. Each kind
of message has a lane of its own (lane.py). What the engine sends is published, and answered with what the gateways
make of it (intake.py). Of two bridges one carries at a time (turns.py): they share one session at the broker, which
serves the connection that came last, so a bridge that was left behind gets no further than the message it is at.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial

import msgspec

from gateway.bridge.answers import Answers
from gateway.bridge.config import CHANNELS, BridgeConfig, MllpListen
from gateway.bridge.intake import Intake
from gateway.bridge.lane import FIRST_RETRY_S, LONGEST_RETRY_S, Lane
from gateway.bridge.mllp_client import Acknowledged
from gateway.bridge.mllp_server import LARGEST_MESSAGE, MllpServer
from gateway.bridge.notices import Happening, Notices, Trouble
from gateway.bridge.report import BridgeReport, LaneReport
from gateway.bridge.turns import Turns
from gateway.messages.cloudevents import Origin
from gateway.messages.outbound.device import StatusRole
from gateway.monitoring.health import HealthServer
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.gateway_status import announcements, software_version
from gateway.mqtt.retry import backoff_s
from gateway.mqtt.service import ConnectionInfo
from gateway.mqtt.topics import RESULT, STATUS, Topics, filter_of, published
from gateway.mqtt.types import MqttDown, OutgoingMessage, PublishRefused
from gateway.runtime.clock import Clock
from gateway.runtime.tasks import in_own_task

_log = logging.getLogger("capgate.bridge")

FAREWELL_S = 2.0


class Bridge:
    """Runs until cancelled. `ready` is set once it serves, or stands by."""

    def __init__(self, config: BridgeConfig, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self.ready = asyncio.Event()
        self.notices = Notices()
        self.answers = Answers()
        self.lanes = {kind: Lane(kind, config.target, self.notices, chance) for kind in config.outbound}
        self._config = config
        self._clock = clock
        self._chance = chance
        self._connection: Connection | None = None
        self._is_connected = asyncio.Event()
        self._listener: MllpServer | None = None
        topics = Topics(config.site, config.id, config.mode)
        self._root = topics.root
        self._turns = None if config.standby is None else Turns(config.standby, self.notices)
        origin = Origin(config.site, config.id)
        self._announcements = announcements(origin, topics.status, config.mode, clock, StatusRole.BRIDGE)

    @property
    def port(self) -> int:
        """Where the engine connects; 0 while it cannot."""
        return 0 if self._listener is None else self._listener.port

    def report(self) -> BridgeReport:
        """How it is."""
        return BridgeReport(
            version=software_version(),
            id=self._config.id,
            role="alone" if self._turns is None else self._turns.role,
            mqtt_connected=self._connection is not None,
            protocol="" if self._connection is None else self._connection.protocol,
            gateways_online=tuple(sorted(self.answers.online)),
            lanes={kind.value: LaneReport(lane.waiting, lane.carried) for kind, lane in self.lanes.items()},
            connections=0 if self._listener is None else self._listener.connections,
            counts={what.value: self.notices.counts[what] for what in Happening},
            troubles={trouble.value: cause for trouble, cause in self.notices.troubles.items()},
        )

    async def run(self) -> None:
        """Carry messages until cancelled. Raises OSError where an address to listen on cannot be had."""
        try:
            if self._config.health is None:
                await self._serve()
            else:
                async with HealthServer(self._config.health, self.report, lambda: self.report().metrics()):
                    await self._serve()
        finally:
            await self._leave_engine()
            carried = {kind.value: lane.carried for kind, lane in self.lanes.items()}
            _log.info("ended", extra={"carried": carried, "taken": self.notices.counts[Happening.TAKEN]})

    async def _serve(self) -> None:
        if self._turns is None:
            await self._while_listening(self._stay_connected)
        else:
            self.ready.set()
            while True:  # ends with the task
                await self._turns.ours()
                self.notices.happened(Happening.TAKEOVERS)
                cause = await in_own_task(self._while_listening(self._one_connection))
                await self._leave_engine()
                self._turns.ended(cause)

    async def _leave_engine(self) -> None:
        for lane in self.lanes.values():
            await lane.close()

    async def _while_listening(self, work: Callable[[], Coroutine[object, object, str]]) -> str:
        async with asyncio.TaskGroup() as group:
            if self._config.listen is None:
                self.ready.set()
                return await work()
            self._listener = await self._listen(self._config.listen, group)
            self.ready.set()
            try:
                return await work()
            finally:
                self._listener.close()
                self._listener = None

    async def _listen(self, config: MllpListen, group: asyncio.TaskGroup) -> MllpServer:
        intake = Intake(
            self._publish, self._largest, self.answers, self.notices, self._clock, config.ack, config.answer_timeout_s
        )
        listener = MllpServer(config, intake.take, self.notices, group)
        await listener.open()
        return listener

    def _to_gateways(self, payload: bytes) -> OutgoingMessage:
        """A message of the engine as it is published; only what is UTF-8 may be called so."""
        message = OutgoingMessage.to(self._config.inbound, payload)
        try:
            payload.decode()
        except UnicodeDecodeError:
            return msgspec.structs.replace(message, content_type="")
        return message

    def _largest(self) -> int:
        """Bytes that a message of the engine may have."""
        if self._connection is None:
            return LARGEST_MESSAGE
        return min(LARGEST_MESSAGE, self._connection.largest_payload(self._to_gateways(b"")))

    async def _publish(self, payload: bytes, deadline_s: float) -> str:
        """Give the broker a message of the engine; why it has not taken it, "" if it has."""
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._is_connected.wait()
                connection = self._connection
                if connection is None:
                    return "the connection to the broker was lost"
                taken = await connection.publish(self._to_gateways(payload))
        except TimeoutError:
            return "no connection to the broker"
        except MqttDown:
            return "the connection to the broker was lost"
        except PublishRefused as refused:
            return f"the broker refused it, reason {refused.reason}"
        return "no gateway listens" if taken.no_subscriber else ""

    # --- the broker's side

    async def _stay_connected(self) -> str:
        failures = 0
        while True:  # ends with the task
            began_s = asyncio.get_running_loop().time()
            cause = await in_own_task(self._one_connection())
            failures = 1 if asyncio.get_running_loop().time() - began_s > LONGEST_RETRY_S else failures + 1
            self.notices.begins(Trouble.BROKER, cause)
            await asyncio.sleep(backoff_s(failures, self._chance(), FIRST_RETRY_S, LONGEST_RETRY_S))

    async def _one_connection(self) -> str:
        """Work until the connection ends; why it did."""
        epoch = self._clock.now().utc_us // 1000
        causes: list[str] = []
        try:
            async with connect(self._config.mqtt, self._announcements.will(epoch)) as connection:
                try:
                    await self._work(connection, epoch)
                except asyncio.CancelledError:
                    await self._say_farewell(connection, epoch)
                    raise
        except* MqttDown as errors:
            causes = [f"{type(error).__name__}: {error}" for error in errors.exceptions]
        except* PublishRefused as errors:
            causes = [f"the broker refuses {error}" for error in errors.exceptions]
        finally:
            self._connection = None
            self._is_connected.clear()
            self.answers.forget()
            for lane in self.lanes.values():
                lane.clear()
        return causes[0] if causes else "ended"

    async def _say_farewell(self, connection: Connection, epoch: int) -> None:
        with suppress(MqttDown, PublishRefused, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                if self._turns is not None:
                    await self._turns.release(connection)
                await connection.publish(self._announcements.farewell(epoch))
                await connection.disconnect()

    async def _work(self, connection: Connection, epoch: int) -> None:
        info = ConnectionInfo(epoch, connection.protocol, connection.session_present)
        await connection.publish(self._announcements.birth(info))
        await connection.subscribe([*self._config.outbound.values(), filter_of(RESULT, self._root)])
        await connection.subscribe([filter_of(STATUS, self._root)], with_retained=True)
        self._connection = connection
        self._is_connected.set()
        self.notices.ends(Trouble.BROKER)
        _log.info("connected to the broker", extra={"protocol": connection.protocol})
        async with asyncio.TaskGroup() as group:
            group.create_task(self._route(connection))
            for lane in self.lanes.values():
                group.create_task(lane.run(partial(self._pass_on, connection)))
            if self._turns is not None:
                group.create_task(self._turns.hold(connection))

    async def _route(self, connection: Connection) -> None:
        """Hand each message of the broker to who waits for it, until the connection ends."""
        async for message in connection.messages():
            kind, gateway = published(self._root, message.topic)
            lane = next((lane for carried, lane in self.lanes.items() if CHANNELS[carried] is kind), None)
            if lane is not None and not message.retain:  # a retained one was meant for somebody else, long ago
                lane.put(message)
                continue
            if kind is RESULT:
                self.answers.heard_result(gateway, message.payload)
            elif kind is STATUS:
                self.answers.heard_status(gateway, message.payload)
            else:
                self.notices.happened(Happening.NOT_CARRIED, "the topic is not configured", topic=message.topic)
            message.ack()

    async def _pass_on(self, connection: Connection, answer: Acknowledged) -> None:
        """Publish the engine's answer; without it the gateway sends the message again."""
        try:
            await connection.publish(self._to_gateways(answer.payload))
        except PublishRefused as refused:
            _log.error("the broker refuses the engine's answer", extra={"reason": refused.reason})
