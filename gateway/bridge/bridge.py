"""The bridge between MQTT and MLLP: HL7 messages of gateways to the engine, the engine's messages to the gateways.

Theory of operation. Store-and-forward with end-to-end acknowledgement. The broker gets its PUBACK for a charge only
after the engine has acknowledged the charge and the broker has taken that acknowledgement; after any crash in between
the broker redelivers, and the engine recognises the repeat by its MSH-10. Each kind of message has its own queue and
MLLP connection (lane.py). A message of the engine is published, and acknowledged with the verdict of the gateways
(intake.py). Two bridges run as active and standby (turns.py): both use one MQTT session, and the broker serves only the
newest connection to it, so a superseded bridge delivers at most the message that it is sending.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial

import msgspec

from gateway.bridge.answers import Answers
from gateway.bridge.config import CHANNELS, BridgeConfig, MllpListen, certificates_of
from gateway.bridge.intake import Intake
from gateway.bridge.lane import FIRST_RETRY_S, LONGEST_RETRY_S, Lane
from gateway.bridge.mllp_client import Acknowledged
from gateway.bridge.mllp_server import LARGEST_MESSAGE, MllpServer
from gateway.bridge.notices import Happening, Notices, Trouble
from gateway.bridge.report import BridgeReport, LaneReport, bridge_metrics
from gateway.bridge.turns import Turns
from gateway.messages.cloudevents import Origin
from gateway.messages.outbound.device import StatusRole
from gateway.monitoring.health import HealthServer
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.gateway_status import announcements, software_version
from gateway.mqtt.retry import backoff_s
from gateway.mqtt.service import ConnectionInfo
from gateway.mqtt.topics import RESULT, STATUS, Topics, filter_of, left_over, published
from gateway.mqtt.types import MqttDown, OutgoingMessage, PublishRefused
from gateway.runtime.certificates import LOOK_S, expiries
from gateway.runtime.clock import Clock
from gateway.runtime.tasks import in_own_task

_log = logging.getLogger("capgate.bridge")

FAREWELL_S = 2.0  # for the orderly disconnect


class Bridge:
    """The bridge's tasks. `ready` is set once it serves, or is on standby."""

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
        self._expires_s: Mapping[str, float] = {}
        subscribed = [*config.outbound.values(), *(filter_of(each, topics.root) for each in (RESULT, STATUS))]
        self._left_over = left_over(config.site, [*CHANNELS.values(), RESULT, STATUS], subscribed)
        self._turns = None if config.standby is None else Turns(config.standby, self.notices)
        origin = Origin(config.site, config.id)
        self._announcements = announcements(origin, topics.status, config.mode, clock, StatusRole.BRIDGE)

    @property
    def port(self) -> int:
        """TCP port of the MLLP listener; 0 while it is not open."""
        return 0 if self._listener is None else self._listener.port

    def report(self) -> BridgeReport:
        """The current state, for /healthz, /metrics and `capgate bridge`."""
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
            expires_s=self._expires_s,
            troubles={trouble.value: cause for trouble, cause in self.notices.troubles.items()},
        )

    async def run(self) -> None:
        """Forward messages until cancelled. Raises OSError if a listening address cannot be bound."""
        try:
            if self._config.health is None:
                await self._serve()
            else:
                async with HealthServer(self._config.health, self.report, bridge_metrics(self.report)):
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
                await self._turns.acquire()
                self.notices.happened(Happening.TAKEOVERS)
                cause = await in_own_task(self._while_listening(self._one_connection))
                await self._leave_engine()
                self._turns.ended(cause)

    async def _leave_engine(self) -> None:
        for lane in self.lanes.values():
            await lane.close()

    async def _while_listening(self, work: Callable[[], Coroutine[object, object, str]]) -> str:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch_certificates())
            try:
                if self._config.listen is not None:
                    self._listener = await self._listen(self._config.listen, group)
                self.ready.set()
                return await work()
            finally:
                watching.cancel()
                if self._listener is not None:
                    self._listener.close()
                    self._listener = None

    async def _watch_certificates(self) -> None:
        while True:  # ends with the task
            self._expires_s = await asyncio.to_thread(expiries, certificates_of(self._config))
            await asyncio.sleep(LOOK_S)

    async def _listen(self, config: MllpListen, group: asyncio.TaskGroup) -> MllpServer:
        intake = Intake(
            self._publish, self._largest, self.answers, self.notices, self._clock, config.ack, config.answer_timeout_s
        )
        listener = MllpServer(config, intake.take, self.notices, group)
        await listener.open()
        return listener

    def _to_gateways(self, payload: bytes) -> OutgoingMessage:
        """A message of the engine as an MQTT message; without content type (which says UTF-8) if it is not UTF-8."""
        message = OutgoingMessage.to(self._config.inbound, payload)
        try:
            payload.decode()
        except UnicodeDecodeError:
            return msgspec.structs.replace(message, content_type="")
        return message

    def _largest(self) -> int:
        """The largest message of the engine that can be published, in bytes."""
        if self._connection is None:
            return LARGEST_MESSAGE
        return min(LARGEST_MESSAGE, self._connection.largest_payload(self._to_gateways(b"")))

    async def _publish(self, payload: bytes, deadline_s: float) -> str:
        """Publish a message of the engine. Returns why the broker has not taken it, "" if it has."""
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
        """Forward messages over one connection to the broker; returns why it ended."""
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
        if connection.session_present and self._left_over:
            await connection.unsubscribe(self._left_over)
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
                group.create_task(self._turns.renew(connection))

    async def _route(self, connection: Connection) -> None:
        """Dispatch the broker's messages by channel, until the connection ends."""
        async for message in connection.messages():
            kind, gateway = published(self._root, message.topic)
            lane = next((lane for carried, lane in self.lanes.items() if CHANNELS[carried] is kind), None)
            if lane is not None and not message.retain:  # a retained message is not a new one
                lane.put(message)
                continue
            if kind is RESULT:
                self.answers.on_result(gateway, message.payload)
            elif kind is STATUS:
                self.answers.on_status(gateway, message.payload)
            else:
                self.notices.happened(Happening.NOT_CARRIED, "the topic is not configured", topic=message.topic)
            message.ack()

    async def _pass_on(self, connection: Connection, answer: Acknowledged) -> None:
        """Publish the engine's acknowledgement to the gateways, which otherwise send the message again."""
        try:
            await connection.publish(self._to_gateways(answer.payload))
        except PublishRefused as refused:
            _log.error("the broker refuses the engine's answer", extra={"reason": refused.reason})
