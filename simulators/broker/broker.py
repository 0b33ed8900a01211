"""A small MQTT 5 and 3.1.1 broker for the demo and for tests only: loopback, no access lists, no persistence.

It injects faults: refuse MQTT 5, deny a topic, withhold PUBACKs, freeze, drop every connection, lose all sessions. It
accepts QoS 0, 1 and 2, and delivers at QoS 0 and 1.

Theory of operation. One `Peer` is one TCP connection; it parses, answers, and hands messages to the `Broker`, which
keeps sessions and retained messages by client id and topic. A `Session` outlives its peer. Everything happens inside
`data_received`, so there are no tasks and no locks; only keepalive, wills and session expiry are timers.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Self, cast

from simulators.broker.connection import Peer
from simulators.broker.packets import V311, Connect, Prop, Publish, ReasonCode, Subscription, number
from simulators.broker.session import ClientSession, StoredMessage, for_subscriber, matches

log = logging.getLogger("capgate.broker")

NEVER_EXPIRES_S = 0xFFFF_FFFF


class Broker:
    """Usage: `async with Broker() as broker: broker.port`. With `port` 0 a free one is chosen, and kept on restart."""

    def __init__(
        self, port: int = 0, *, users: Mapping[str, str] | None = None, max_queued: int = 1000, window: int = 20
    ) -> None:
        self.port = port
        self.denied: set[str] = set()  # topic filters to which publishing is denied
        self.swallow_pubacks = 0  # number of next PUBACKs to withhold; their messages are delivered
        self.refuse_v5_with: int | None = None  # CONNACK code: 0x84 as MQTT 5 brokers, 1 as 3.1.1 brokers
        self.frozen = False
        self.published = 0  # messages received from clients
        self._users = users
        self._max_queued = max_queued
        self.window = window
        self._server: asyncio.Server | None = None
        self._sessions: dict[str, ClientSession] = {}
        self._peers: dict[str, Peer] = {}
        self._everyone: set[Peer] = set()
        self._retained: dict[str, StoredMessage] = {}
        self._timers: dict[tuple[str, str], asyncio.TimerHandle] = {}  # by purpose and client id
        self._names = count(1)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on the loopback address."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self), "127.0.0.1", self.port)
        address = cast(tuple[str, int], self._server.sockets[0].getsockname())
        self.port = address[1]
        log.info("broker for demo and tests alone listens", extra={"port": self.port})

    async def stop(self) -> None:
        """Close the listener and every connection. Sessions and retained messages stay for the next `start`."""
        if self._server is not None:
            self._server.close()
        for peer in list(self._everyone):
            peer.close(ReasonCode.SHUTTING_DOWN)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._server is not None:
            await self._server.wait_closed()
        await asyncio.sleep(0)  # lets the transports call connection_lost

    def drop_connections(self) -> None:
        """Reset every connection, without DISCONNECT."""
        for peer in list(self._everyone):
            peer.abort()

    def forget(self) -> None:
        """Lose all sessions, queues and retained messages, as a broker without persistence at a restart."""
        self.drop_connections()
        self._sessions.clear()
        self._retained.clear()

    def freeze(self) -> None:
        """Accept connections and bytes without processing them."""
        self.frozen = True

    def thaw(self) -> None:
        """Process what was received while frozen."""
        self.frozen = False
        for peer in list(self._everyone):
            peer.process()

    def joined(self, peer: Peer) -> None:
        """Register a new connection."""
        self._everyone.add(peer)

    def welcome(self, peer: Peer, hello: Connect) -> tuple[ReasonCode, bool, ClientSession]:
        """Decide on a CONNECT: the reason code, whether the session was present, and the session."""
        client_id = hello.client_id or f"auto-{next(self._names)}"
        if self._users is not None and self._users.get(hello.username or "") != (hello.password or b"").decode():
            return ReasonCode.BAD_CREDENTIALS, False, ClientSession(client_id, 0)
        if (rival := self._peers.pop(client_id, None)) is not None:
            rival.close(ReasonCode.TAKEN_OVER)
        if hello.clean:
            self._sessions.pop(client_id, None)
        self._cancel("will", client_id)
        self._cancel("expiry", client_id)
        present = client_id in self._sessions
        session = self._sessions.setdefault(client_id, ClientSession(client_id, self._max_queued))
        session.window = number(hello.properties, Prop.RECEIVE_MAXIMUM, self.window)
        session.expiry_s = number(hello.properties, Prop.SESSION_EXPIRY, 0)
        if hello.level == V311 and not hello.clean:
            session.expiry_s = NEVER_EXPIRES_S
        self._peers[client_id] = peer
        return ReasonCode.SUCCESS, present, session

    def left(self, peer: Peer, session: ClientSession | None, will: Publish | None) -> None:
        """Unregister a connection; `will` is None after a DISCONNECT that discards it."""
        self._everyone.discard(peer)
        if session is None or self._server is None or not self._server.is_serving():
            return
        taken_over = self._peers.get(session.client_id) not in (peer, None)
        if not taken_over:
            self._peers.pop(session.client_id, None)
            if session.expiry_s < NEVER_EXPIRES_S:
                self._later("expiry", session.client_id, session.expiry_s, lambda: self._expire(session))
        if will is None:
            return
        delay_s = min(number(will.properties, Prop.WILL_DELAY, 0), session.expiry_s)
        if delay_s == 0:
            self.route(will, session.client_id)
        elif not taken_over:  # a session taken over does not publish its delayed will (3.1.3.2.2)
            self._later("will", session.client_id, delay_s, lambda: self.route(will, session.client_id))

    def swallows_puback(self) -> bool:
        """Whether to withhold the next PUBACK."""
        swallow = self.swallow_pubacks > 0
        self.swallow_pubacks -= swallow
        return swallow

    def may_publish(self, topic: str) -> bool:
        """Whether no denied filter covers `topic`."""
        return not any(matches(pattern, topic) for pattern in self.denied)

    def route(self, message: Publish, sender: str) -> bool:
        """Store the message if retained, and deliver it to every subscriber; False if there is none."""
        now_s = asyncio.get_running_loop().time()
        self.published += 1
        if message.retain and message.payload:
            self._retained[message.topic] = StoredMessage.since(message, now_s)
        elif message.retain:
            self._retained.pop(message.topic, None)
        is_delivered = False
        for session in self._sessions.values():
            subscription = session.wants(message.topic, sender)
            if subscription is not None:
                is_delivered = True
                self._deliver(session, for_subscriber(message, subscription, retained=False), now_s)
        return is_delivered

    def send_retained(self, session: ClientSession, subscription: Subscription) -> None:
        """Deliver the retained messages that match a new subscription."""
        now_s = asyncio.get_running_loop().time()
        for topic, held in list(self._retained.items()):
            if matches(subscription.pattern, topic):
                message = held.at(now_s)
                if message is None:
                    del self._retained[topic]
                else:
                    self._deliver(session, for_subscriber(message, subscription, retained=True), now_s)

    def _deliver(self, session: ClientSession, message: Publish, now_s: float) -> None:
        peer = self._peers.get(session.client_id)
        if message.qos:
            session.enqueue(message, now_s)
            if peer is not None:
                peer.flush()
        elif peer is not None:
            peer.send_qos0(message)

    def _expire(self, session: ClientSession) -> None:
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]

    def _later(self, purpose: str, client_id: str, delay_s: float, action: Callable[[], object]) -> None:
        self._cancel(purpose, client_id)
        self._timers[purpose, client_id] = asyncio.get_running_loop().call_later(delay_s, action)

    def _cancel(self, purpose: str, client_id: str) -> None:
        if (timer := self._timers.pop((purpose, client_id), None)) is not None:
            timer.cancel()
