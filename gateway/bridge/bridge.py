"""The bridge: what gateways publish as HL7 goes to the engine's MLLP listener, and what it says comes back.

Theory of operation. A message is acknowledged to the broker only when the engine has answered it and that answer has
been published, so whatever dies in between, the broker sends the message again; the engine knows repeats by their id.
One message is outstanding at a time. An engine that is away is waited for; a single message that it does not answer
although it is there steps behind the others after a few tries, so that it blocks none.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from gateway.bridge.config import BridgeConfig
from gateway.bridge.mllp_client import Acknowledged, AckTimeout, MllpClient
from gateway.bridge.mllp_server import MllpServer
from gateway.messages.cloudevents import Origin
from gateway.messages.hl7v2 import Er7Error, read_header
from gateway.messages.inbound.acks import control_id
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.gateway_status import announcements
from gateway.mqtt.paho_client import Inbound
from gateway.mqtt.retry import backoff_s
from gateway.mqtt.service import ConnectionInfo
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import MqttDown, OutgoingMessage, PublishRefused
from gateway.runtime.clock import Clock
from gateway.runtime.tasks import in_own_task

_log = logging.getLogger("capgate.bridge")

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
BROKER_WAIT_S = 10.0  # how long the engine waits for a broker that is away
FAREWELL_S = 2.0
MAX_HELD = 32  # messages taken from the broker ahead of the engine
TRIES_IN_FRONT = 3


class Bridge:
    """Runs until cancelled. `listening` is set once the engine can connect."""

    def __init__(self, config: BridgeConfig, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self.listening = asyncio.Event()
        self.port = 0
        self.carried = 0  # to the engine, and answered
        self.taken = 0  # from the engine
        self._config = config
        self._clock = clock
        self._chance = chance
        self._line = MllpClient(config.target)
        self._connection: Connection | None = None
        self._is_connected = asyncio.Event()
        destination = Topics(config.site, config.id, config.mode).status
        self._announcements = announcements(Origin(config.site, config.id), destination, config.mode, clock)

    async def run(self) -> None:
        """Carry messages until cancelled. Raises OSError where the address to listen on cannot be had."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._listen(group)
                group.create_task(self._stay_connected())
        finally:
            await self._line.close()
            _log.info("ended", extra={"carried": self.carried, "taken": self.taken})

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        if self._config.listen is not None:
            mllp_server = MllpServer(self._config.listen, self._publish, self._clock, group)
            listener = await mllp_server.open()
            self.port = mllp_server.port
            group.create_task(_hold(listener))
        self.listening.set()

    async def _publish(self, payload: bytes) -> str:
        """Give the broker a message of the engine; why it has not taken it, "" if it has."""
        try:
            async with asyncio.timeout(BROKER_WAIT_S):
                await self._is_connected.wait()
                connection = self._connection
                if connection is None:
                    return "the connection to the broker was lost"
                taken = await connection.publish(OutgoingMessage.to(self._config.inbound, payload))
        except TimeoutError:
            return "no connection to the broker"
        except MqttDown:
            return "the connection to the broker was lost"
        except PublishRefused as refused:
            return f"the broker refused it, reason {refused.reason}"
        if taken.no_subscriber:
            return "no gateway listens"
        self.taken += 1
        return ""

    # --- the broker's side

    async def _stay_connected(self) -> None:
        failures, last = 0, ""
        while True:  # ends with the task
            began_s = asyncio.get_running_loop().time()
            cause = await in_own_task(self._one_connection())
            failures = 1 if asyncio.get_running_loop().time() - began_s > LONGEST_RETRY_S else failures + 1
            if cause != last:
                _log.warning("no connection to the broker", extra={"cause": cause})
                last = cause
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
        return causes[0] if causes else "ended"

    async def _say_farewell(self, connection: Connection, epoch: int) -> None:
        with suppress(MqttDown, PublishRefused, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await connection.publish(self._announcements.farewell(epoch))
                await connection.disconnect()

    async def _work(self, connection: Connection, epoch: int) -> None:
        info = ConnectionInfo(epoch, connection.protocol, connection.session_present)
        await connection.publish(self._announcements.birth(info))
        await connection.subscribe(self._config.outbound)
        self._connection = connection
        self._is_connected.set()
        _log.info("connected to the broker", extra={"protocol": connection.protocol})
        queue = _Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.fill(connection))
            group.create_task(self._carry(connection, queue))

    # --- the engine's side

    async def _carry(self, connection: Connection, queue: "_Queue") -> None:
        failures, last = 0, ""
        while True:  # ends with the connection
            message = await queue.first()
            try:
                identity = control_id(read_header(message.payload))
            except Er7Error as error:
                _log.error("a message on the topic is no HL7", extra={"topic": message.topic, "cause": str(error)})
                queue.done(message)
                continue
            try:
                answer = await self._line.exchange(message.payload, identity)
            except AckTimeout as silent:
                failures += 1
                if str(silent) != last:
                    _log.warning("the engine does not answer", extra={"id": identity, "cause": str(silent)})
                    last = str(silent)
                queue.failed(message, by_engine=silent.connected)
                await asyncio.sleep(backoff_s(failures, self._chance(), FIRST_RETRY_S, LONGEST_RETRY_S))
                continue
            failures, last = 0, ""
            await self._publish_answer(connection, answer)
            queue.done(message)
            self.carried += 1

    async def _publish_answer(self, connection: Connection, answer: Acknowledged) -> None:
        """Publish the engine's answer; without it the gateway sends the message again."""
        try:
            await connection.publish(OutgoingMessage.to(self._config.inbound, answer.payload))
        except PublishRefused as refused:
            _log.error("the broker refuses the engine's answer", extra={"reason": refused.reason})


class _Queue:
    """Messages that the broker has given us and that the engine has not answered, `MAX_HELD` at most."""

    def __init__(self) -> None:
        self._held: deque[Inbound] = deque()
        self._tries: dict[int, int] = {}  # by identity of the message
        self._changed = asyncio.Event()

    async def fill(self, connection: Connection) -> None:
        """Take messages until the connection ends. A retained one was meant for somebody else, long ago."""
        async for message in connection.messages():
            while len(self._held) >= MAX_HELD:
                self._changed.clear()
                await self._changed.wait()
            if message.retain:
                message.ack()
            else:
                self._held.append(message)
                self._changed.set()

    async def first(self) -> Inbound:
        """The message whose turn it is."""
        while not self._held:
            self._changed.clear()
            await self._changed.wait()
        return self._held[0]

    def done(self, message: Inbound) -> None:
        """The broker need not send it again."""
        message.ack()
        self._held.popleft()
        self._tries.pop(id(message), None)
        self._changed.set()

    def failed(self, message: Inbound, *, by_engine: bool) -> None:
        """It stays; but if the engine is there and goes on failing with it, others have their turn."""
        self._tries[id(message)] = self._tries.get(id(message), 0) + by_engine
        if self._tries[id(message)] >= TRIES_IN_FRONT:
            self._tries[id(message)] = 0
            self._held.rotate(-1)


async def _hold(server: asyncio.Server) -> None:
    try:
        await asyncio.get_running_loop().create_future()  # ends with the task
    finally:
        server.close()
