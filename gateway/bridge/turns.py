"""Active/standby failover of two bridges: a lease on a retained topic, with MQTT session takeover as the fence.

Theory of operation. Both bridges are configured with the same client id. The broker keeps one session for it and serves
one connection in that session: a bridge that connects inherits the waiting messages, and the broker disconnects the
other. So two bridges are never served, whatever they believe. A bridge that has not noticed its disconnect sends the
engine at most the message that it is sending, since the next one needs the broker's PUBACK for the last answer.

This module decides when to connect. The active bridge renews its lease `BEATS` times within `takeover_s`, and clears
it when it ends in order. The standby bridge watches the lease on a connection with its own client id, and connects when
the lease was silent for `takeover_s`, was cleared, or still holds its own name. After short active periods it waits
longer, so that two bridges that do not see each other's lease do not keep taking over from each other.
"""

import asyncio
import logging
from typing import Literal

from gateway.bridge.config import Standby
from gateway.bridge.notices import Notices, Trouble
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.types import MqttDown, OutgoingMessage, PublishRefused

_log = logging.getLogger("capgate.bridge")

BEATS = 4  # renewals of the lease within `takeover_s`
MAX_BACKOFF = 32  # times `takeover_s`
STABLE_AFTER = 10  # times `takeover_s`: an active period of this length resets the back-off


class Turns:
    """The role of one bridge of the pair: `acquire` waits to become active, `renew` keeps the lease."""

    def __init__(self, config: Standby, notices: Notices) -> None:
        self.role: Literal["active", "standby"] = "standby"
        self._config = config
        self._notices = notices
        self._backoff = 1  # times `takeover_s`
        self._began_s = 0.0

    async def acquire(self) -> None:
        """Wait until this bridge is to become active."""
        while self.role == "standby":
            try:
                async with connect(self._config.watch, None) as connection:
                    await connection.subscribe([self._config.lease.topic], with_retained=True)
                    self._notices.ends(Trouble.BROKER)
                    cause = await self._watched(connection)
                    _log.info("this bridge carries", extra={"cause": cause})
                    self.role, self._began_s = "active", asyncio.get_running_loop().time()
            except (MqttDown, PublishRefused) as error:
                self._notices.begins(Trouble.BROKER, f"{type(error).__name__}: {error}")
                await asyncio.sleep(self._config.takeover_s / BEATS)

    async def _watched(self, connection: Connection) -> str:
        """Watch the lease until the peer is not active; returns how that was known."""
        silence_s = self._config.takeover_s * self._backoff
        messages = connection.messages()
        while True:
            try:
                async with asyncio.timeout(silence_s):
                    message = await anext(messages)
            except TimeoutError:
                return f"nothing heard of the other for {silence_s:g} s"
            message.ack()
            if not message.payload:
                return "the other ended"
            if message.payload == self._config.name.encode() and message.retain:
                return "nobody carried since this one did"

    async def renew(self, connection: Connection) -> None:
        """Renew the lease until the connection ends."""
        while True:  # ends with the connection
            await connection.publish(OutgoingMessage.to(self._config.lease, self._config.name.encode()))
            await asyncio.sleep(self._config.takeover_s / BEATS)

    async def release(self, connection: Connection) -> None:
        """Clear the lease, so that the peer takes over at once."""
        await connection.publish(OutgoingMessage.to(self._config.lease, b""))

    def ended(self, cause: str) -> None:
        """Go back to standby after the connection ended."""
        lasted_s = asyncio.get_running_loop().time() - self._began_s
        is_short = lasted_s < STABLE_AFTER * self._config.takeover_s
        self._backoff = min(2 * self._backoff, MAX_BACKOFF) if is_short else 1
        self.role = "standby"
        _log.warning("this bridge stands by", extra={"cause": cause})
