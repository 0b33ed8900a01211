"""One TCP connection of the demo broker: parses and answers packets; state shared by clients is in the broker."""

import asyncio
from typing import Protocol, cast

from simulators.broker import packets as wire
from simulators.broker.packets import V5, V311, Connect, Malformed, PacketType, Prop, Publish, ReasonCode, Subscription
from simulators.broker.session import ClientSession, valid_filter

LEGACY_CONNACK = {ReasonCode.UNSUPPORTED_PROTOCOL: 1, ReasonCode.BAD_CREDENTIALS: 4, ReasonCode.NOT_AUTHORIZED: 5}
QOS0_BACKLOG_BYTES = 1 << 20  # above it a slow client's QoS 0 messages are dropped


class SharedState(Protocol):
    """The interface to what connections share: sessions, retained messages, injected faults."""

    frozen: bool
    refuse_v5_with: int | None
    window: int

    def joined(self, peer: "Peer") -> None:
        """Register a new connection."""
        ...

    def welcome(self, peer: "Peer", hello: Connect) -> tuple[ReasonCode, bool, ClientSession]:
        """Decide on a CONNECT: the reason code, whether the session was present, and the session."""
        ...

    def left(self, peer: "Peer", session: ClientSession | None, will: Publish | None) -> None:
        """Unregister a connection; `will` is None after a DISCONNECT that discards it."""
        ...

    def swallows_puback(self) -> bool:
        """Whether to withhold the next PUBACK."""
        ...

    def may_publish(self, topic: str) -> bool:
        """Whether publishing to `topic` is authorised."""
        ...

    def route(self, message: Publish, sender: str) -> bool:
        """Store the message if retained, and deliver it to every subscriber; False if there is none."""
        ...

    def send_retained(self, session: ClientSession, subscription: Subscription) -> None:
        """Deliver the retained messages that match a new subscription."""
        ...


class Peer(asyncio.Protocol):
    """A client's connection, from accept to close."""

    def __init__(self, broker: SharedState) -> None:
        self._broker = broker
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = bytearray()
        self._level = V5
        self._session: ClientSession | None = None
        self._will: Publish | None = None
        self._keepalive_s = 0
        self._received_s = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.WriteTransport, transport)
        self._broker.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._broker.left(self, self._session, self._will)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._buffer += data
        self._received_s = asyncio.get_running_loop().time()
        self.process()

    def process(self) -> None:
        """Process the complete packets received, unless the broker is frozen."""
        if self._broker.frozen:
            return
        try:
            packets, used = wire.split(self._buffer)
            del self._buffer[:used]
            for head, body in packets:
                if self._transport is None or self._transport.is_closing():
                    return
                self._handle(head, body)
        except Malformed:
            self.close(ReasonCode.MALFORMED)

    def send_qos0(self, message: Publish) -> None:
        """Send a message, or drop it if the client is slow."""
        if self._transport is not None and self._transport.get_write_buffer_size() < QOS0_BACKLOG_BYTES:
            self._write(wire.publish(message, self._level))

    def flush(self) -> None:
        """Send the queued messages that the client's receive maximum allows."""
        if self._session is not None and not self._broker.frozen:
            for message in self._session.sendable(asyncio.get_running_loop().time()):
                self._write(wire.publish(message, self._level))

    def close(self, reason: ReasonCode) -> None:
        """Close the connection, with a DISCONNECT for MQTT 5 clients. The will is published."""
        if self._level == V5 and self._session is not None:
            self._write(wire.packet(PacketType.DISCONNECT << 4, bytes((reason,))))
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Reset the connection, without DISCONNECT."""
        if self._transport is not None:
            self._transport.abort()

    def _handle(self, head: int, body: bytes) -> None:
        kind = head >> 4
        if (kind == PacketType.CONNECT) is (self._session is not None):
            raise Malformed("CONNECT comes first and once")
        match kind:
            case PacketType.CONNECT:
                self._connect(wire.parse_connect(body))
            case PacketType.PUBLISH:
                self._publish(wire.parse_publish(head, body, self._level))
            case PacketType.PUBACK:
                self._acknowledged(wire.Cursor(body).u16())
            case PacketType.PUBREL:
                self._released(wire.Cursor(body).u16())
            case PacketType.SUBSCRIBE:
                self._subscribe(body)
            case PacketType.UNSUBSCRIBE:
                self._unsubscribe(body)
            case PacketType.PINGREQ:
                self._write(wire.packet(PacketType.PINGRESP << 4, b""))
            case PacketType.DISCONNECT:
                self._goodbye(body)
            case _:
                raise Malformed(f"packet type {kind} is not for a broker")

    def _connect(self, hello: Connect) -> None:
        refused = self._broker.refuse_v5_with if hello.level == V5 else None
        if refused is not None or hello.level not in (V311, V5):
            legacy = refused == 1 or hello.level != V5
            self._write(wire.packet(PacketType.CONNACK << 4, b"\x00\x01" if legacy else bytes((0, refused or 0, 0))))
            self._hang_up()
            return
        self._level = hello.level
        reason, present, session = self._broker.welcome(self, hello)
        if self._level == V5:
            self._write(wire.packet(PacketType.CONNACK << 4, bytes((present, reason)) + self._limits(hello, session)))
        else:
            self._write(wire.packet(PacketType.CONNACK << 4, bytes((present, LEGACY_CONNACK.get(reason, 0)))))
        if reason is not ReasonCode.SUCCESS:
            self._hang_up()
            return
        self._session = session
        self._will = hello.will
        self._keepalive_s = hello.keepalive_s
        if self._keepalive_s:
            self._watch()
        for message in session.repeats():
            self._write(wire.publish(message, self._level))
        self.flush()

    def _limits(self, hello: Connect, session: ClientSession) -> bytes:
        limits: dict[int, int | str | bytes | list[tuple[str, str]]] = {
            Prop.RECEIVE_MAXIMUM: self._broker.window,
            Prop.SUBSCRIPTION_IDS_AVAILABLE: 0,
            Prop.SHARED_AVAILABLE: 0,
        }
        if not hello.client_id:
            limits[Prop.ASSIGNED_CLIENT_ID] = session.client_id
        return wire.properties(limits)

    def _publish(self, message: Publish) -> None:
        session = self._known()
        if message.qos == 2 and message.packet_id in session.taken_qos2:
            self._write(wire.answer(PacketType.PUBREC, message.packet_id, ReasonCode.SUCCESS, self._level))
            return
        if self._broker.may_publish(message.topic):
            is_delivered = self._broker.route(message, session.client_id)
            reason = ReasonCode.SUCCESS if is_delivered else ReasonCode.NOBODY_LISTENS
        else:
            reason = ReasonCode.NOT_AUTHORIZED
        if message.qos == 1 and not self._broker.swallows_puback():
            self._write(wire.answer(PacketType.PUBACK, message.packet_id, reason, self._level))
        elif message.qos == 2:
            session.taken_qos2.add(message.packet_id)
            self._write(wire.answer(PacketType.PUBREC, message.packet_id, reason, self._level))

    def _acknowledged(self, packet_id: int) -> None:
        self._known().acknowledged(packet_id)
        self.flush()

    def _released(self, packet_id: int) -> None:
        self._known().taken_qos2.discard(packet_id)
        self._write(wire.answer(PacketType.PUBCOMP, packet_id, ReasonCode.SUCCESS, self._level))

    def _subscribe(self, body: bytes) -> None:
        session = self._known()
        packet_id, wanted = wire.parse_subscribe(body, self._level)
        reasons = bytearray()
        granted: list[wire.Subscription] = []
        for subscription in wanted:
            pattern = subscription.pattern
            if not valid_filter(pattern) or pattern.startswith("$share/"):
                reasons.append(ReasonCode.BAD_FILTER if self._level == V5 else ReasonCode.UNSPECIFIED)
                continue
            is_new = pattern not in session.subscriptions
            session.subscriptions[pattern] = subscription
            reasons.append(min(subscription.qos, 1))
            if subscription.retain_handling == 0 or (subscription.retain_handling == 1 and is_new):
                granted.append(subscription)
        self._answer_list(PacketType.SUBACK, packet_id, bytes(reasons))
        for subscription in granted:
            self._broker.send_retained(session, subscription)

    def _unsubscribe(self, body: bytes) -> None:
        session = self._known()
        packet_id, patterns = wire.parse_unsubscribe(body, self._level)
        gone = [session.subscriptions.pop(pattern, None) is not None for pattern in patterns]
        reasons = bytes(ReasonCode.SUCCESS if was else ReasonCode.NOT_SUBSCRIBED for was in gone)
        self._answer_list(PacketType.UNSUBACK, packet_id, reasons if self._level == V5 else b"")

    def _answer_list(self, kind: PacketType, packet_id: int, reasons: bytes) -> None:
        no_properties = b"\x00" if self._level == V5 else b""
        self._write(wire.packet(kind << 4, packet_id.to_bytes(2, "big") + no_properties + reasons))

    def _goodbye(self, body: bytes) -> None:
        cursor = wire.Cursor(body)
        reason = ReasonCode.SUCCESS if cursor.at_end else cursor.byte()
        if reason != ReasonCode.WITH_WILL:
            self._will = None
        if self._level == V5 and not cursor.at_end:
            session = self._known()
            session.expiry_s = wire.number(cursor.properties(), Prop.SESSION_EXPIRY, int(session.expiry_s))
        self._hang_up()

    def _watch(self) -> None:
        """Schedule the check for a client that is silent for 1.5 keep-alive times (3.1.2.10)."""
        loop = asyncio.get_running_loop()
        limit_s = self._keepalive_s * 1.5
        silent_s = loop.time() - self._received_s
        if silent_s >= limit_s and not self._broker.frozen:
            self.close(ReasonCode.KEEPALIVE_TIMEOUT)
        else:
            self._watchdog = loop.call_later(max(limit_s - silent_s, 0.1), self._watch)

    def _known(self) -> ClientSession:
        if self._session is None:
            raise Malformed("CONNECT comes first")
        return self._session

    def _write(self, packet: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packet)

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
