"""Keeps the gateway connected to its broker until cancelled; each connection runs birth, relay, telemetry, inbound."""

import asyncio
import logging
import random
from collections.abc import Callable, Container, Sequence
from contextlib import suppress

import msgspec

from gateway.ledger.deliveries import DEFAULT_RULES, ResendRules
from gateway.ledger.errors import LedgerError
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.consumer import Handler, Overheard, consume
from gateway.mqtt.left_over import LeftOver
from gateway.mqtt.relay import Relay, WaitingRows
from gateway.mqtt.retry import backoff_s
from gateway.mqtt.rivals import Rivals
from gateway.mqtt.subscriptions import Subscription, Subscriptions
from gateway.mqtt.telemetry import Telemetry
from gateway.mqtt.types import (
    BadTls,
    ConnectRefused,
    Disconnected,
    MqttCounters,
    MqttDown,
    MqttSettings,
    OutgoingMessage,
    PubAck,
    PublishRefused,
)
from gateway.runtime.clock import Clock
from gateway.runtime.logs import stack_of
from gateway.runtime.tasks import first_of, in_own_task

log = logging.getLogger("capgate.mqtt")

FIRST_RECONNECT_S = 0.2
LONGEST_RECONNECT_S = 60.0
STABLE_S = 30.0  # a connection that lasted this long resets the back-off; shorter ones let it grow
FAREWELL_S = 2.0


class ConnectionInfo(msgspec.Struct, frozen=True):
    """What a birth message reports about its connection."""

    epoch: int  # ascends with every connection; the will of the same connection has the same
    protocol: str
    session_present: bool


class Announcements(msgspec.Struct, frozen=True):
    """Makes the gateway's status messages: all on one topic."""

    topic: str
    birth: Callable[[ConnectionInfo], OutgoingMessage]
    will: Callable[[int], OutgoingMessage]  # takes the epoch of the connection it is for
    farewell: Callable[[int], OutgoingMessage]


class MqttService:
    """The MQTT side of the gateway. Run it once; read `connected`, `protocol`, `counters` and the rest at any time."""

    def __init__(
        self,
        settings: MqttSettings,
        inbound_topics: Sequence[str],
        outbox: WaitingRows,
        telemetry: Telemetry,
        handler: Handler,
        announcements: Announcements,
        must_arrive: Container[str],
        clock: Clock,
        counters: MqttCounters,
        chance: Callable[[], float] = random.random,
        resends: ResendRules = DEFAULT_RULES,
        overheard: Sequence[Overheard] = (),
        left_over: Sequence[str] = (),
    ) -> None:
        self.protocol = ""  # of the connection, "" without one
        self.last_error = ""  # why there is no connection
        self.counters = counters
        self._settings = settings
        self._inbound_topics = inbound_topics
        self._outbox = outbox
        self._telemetry = telemetry
        self._handler = handler
        self._announcements = announcements
        self._must_arrive = must_arrive  # topics that must have a subscriber
        self._clock = clock
        self._chance = chance
        self._resends = resends
        self._rivals = Rivals()
        own_status = Overheard(announcements.topic, self._hear_status, with_retained=True)
        self._overheard = (*overheard, own_status)
        self._left_over = LeftOver(left_over, counters)
        wanted = [Subscription(topic) for topic in inbound_topics]
        wanted += [Subscription(each.pattern, each.with_retained, qos=0) for each in self._overheard]
        self._subscriptions = Subscriptions(wanted, counters, chance)
        self._relay: Relay | None = None
        self._connection: Connection | None = None
        self._epoch = 0
        self._info: ConnectionInfo | None = None  # of the last connection
        self._began_s: float | None = None  # the connection, by the event loop's clock

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the broker."""
        return self.protocol != ""

    @property
    def held_topics(self) -> dict[str, int]:
        """Topics whose rows wait, with the broker's reason code: refused (0x80 and above), or nobody listens (0x10)."""
        return {} if self._relay is None else self._relay.held_topics

    @property
    def refused_filters(self) -> dict[str, int]:
        """Topic filters that the broker does not let us subscribe to, with its reason code."""
        return self._subscriptions.refused

    @property
    def connection(self) -> ConnectionInfo | None:
        """The connection that there is; None without one."""
        return self._info if self.connected else None

    @property
    def has_rival(self) -> bool:
        """Whether another client seems to use our client id, and each takes the other's messages."""
        return self._rivals.present(asyncio.get_running_loop().time())

    @property
    def client_id(self) -> str:
        """Under which it connects."""
        return self._settings.client_id

    @property
    def drained(self) -> bool:
        """Whether the broker has every row that it accepts now; True without a connection."""
        return self._relay is None or self._relay.drained

    async def publish(self, message: OutgoingMessage) -> PubAck:
        """Publish without the outbox a message that may be lost. Raises MqttDown, PublishRefused."""
        if self._connection is None:
            raise Disconnected(self.last_error or "not connected yet")
        return await self._connection.publish(message)

    async def run(self) -> None:
        """Stay connected until cancelled, then publish the farewell. Raises what the outbox raises."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            attempted_s = loop.time()
            error = await in_own_task(self._one_connection())
            failures = 1 if loop.time() - attempted_s >= STABLE_S else failures + 1
            self._note_loss(error)
            delay_s = backoff_s(failures, self._chance(), FIRST_RECONNECT_S, LONGEST_RECONNECT_S)
            self._rivals.ended(error, self._began_s, loop.time())
            await asyncio.sleep(max(delay_s, self._rivals.wait_s(self._chance())))

    async def _one_connection(self) -> MqttDown:
        """Connect and work until the connection ends; returns why it did."""
        failure: MqttDown = Disconnected("ended")
        self._epoch = max(self._epoch + 1, self._clock.now().utc_us // 1_000)
        will = self._announcements.will(self._epoch)
        self._began_s = None
        try:
            async with connect(self._settings, will) as connection:
                self._began_s = asyncio.get_running_loop().time()
                self._rivals.publishes(will.payload)
                try:
                    await self._work(connection)
                except asyncio.CancelledError:
                    await self._say_farewell(connection)
                    raise
        except* MqttDown as errors:
            failure = first_of(errors)
        except* LedgerError:
            raise
        except* Exception as errors:  # noqa: BLE001 - one connection's trouble never ends the gateway
            error = first_of(errors)
            log.error("a connection to the broker met a defect", extra={"at": stack_of(error)})
            failure = Disconnected(f"a defect of the gateway ({type(error).__name__}); its log says where")
        finally:
            self._relay = self._connection = None
        return failure

    async def _work(self, connection: Connection) -> None:
        info = ConnectionInfo(self._epoch, connection.protocol, connection.session_present)
        await self._left_over.unsubscribe(connection)
        await self._subscriptions.ask(connection)
        birth = self._announcements.birth(info)
        self._rivals.publishes(birth.payload)
        with suppress(PublishRefused):  # the relay meets the same refusal and reports it
            await connection.publish(birth)
        self._note_return(info)
        self._connection = connection
        self._relay = Relay(
            connection, self._outbox, self._clock, self._chance, self.counters, self._resends, self._must_arrive
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relay.run())
            group.create_task(self._telemetry.run(connection))
            group.create_task(self._consume(connection))
            group.create_task(self._subscriptions.ask_again(connection))

    def _hear_status(self, _: str, payload: bytes) -> None:
        self._rivals.status_heard(payload, asyncio.get_running_loop().time())

    async def _consume(self, connection: Connection) -> None:
        await consume(connection, self._inbound_topics, self._handler, self._left_over, self.counters, self._overheard)

    async def _say_farewell(self, connection: Connection) -> None:
        with suppress(MqttDown, PublishRefused, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await connection.publish(self._announcements.farewell(self._epoch))
                await connection.disconnect()

    def _note_return(self, info: ConnectionInfo) -> None:
        level = logging.WARNING if self.last_error else logging.INFO  # as its loss was
        self.protocol, self.last_error, self._info = info.protocol, "", info
        self.counters.connects += 1
        self.counters.sessions_begun += not info.session_present
        extra = {"protocol": info.protocol, "session_present": info.session_present}
        log.log(level, "connected to the broker", extra=extra)

    def _note_loss(self, error: MqttDown) -> None:
        """Log transitions only: that the broker is unreachable, and that it is reachable but refuses the connection."""
        was_connected, self.protocol = self.connected, ""
        if was_connected:
            self.counters.losses += 1
        else:
            self.counters.connect_failures += 1
        cause = f"{type(error).__name__}: {error}"
        shut_out = isinstance(error, ConnectRefused | BadTls)
        if was_connected or self.last_error == "" or (shut_out and cause != self.last_error):
            log.warning("no connection to the broker", extra={"cause": cause})
        self.last_error = cause
