"""Whose turn it is: two bridges of one name, of which one carries and the other stands by.

Theory of operation. Both are configured with the same client id. The broker has one session of that name and serves one
connection in it: a bridge that connects takes over what waits, and the other is cut off by the broker itself. So two
never carry, whatever they believe; a bridge that is cut off without noticing sends the engine no more than the message
that it is at, for the next one waits until the broker has taken the answer to the last.

This module decides who connects. The bridge that carries says so on a retained topic, a few times within `takeover_s`,
and takes it back when it ends in order. The other watches by a connection of another client id. It connects when the
topic has been silent for `takeover_s`, or the name there is nobody's or its own. Turns that end soon make it wait
longer, so that two bridges that cannot hear each other do not chase each other.
"""

import asyncio
import logging
from typing import Literal

from gateway.bridge.config import Standby
from gateway.bridge.notices import Notices, Trouble
from gateway.mqtt.client import Connection, connect
from gateway.mqtt.types import MqttDown, OutgoingMessage, PublishRefused

_log = logging.getLogger("capgate.bridge")

BEATS = 4  # within `takeover_s`
LONGEST_PATIENCE = 32  # times `takeover_s`
SHORT_TURN = 10  # times `takeover_s`: a turn that lasts longer was a good one


class Turns:
    """The turns of one bridge: `ours` waits for one, `hold` says that it lasts."""

    def __init__(self, config: Standby, notices: Notices) -> None:
        self.role: Literal["active", "standby"] = "standby"
        self._config = config
        self._notices = notices
        self._patience = 1
        self._began_s = 0.0

    async def ours(self) -> None:
        """Return when this bridge is to connect."""
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
        """Return why the other bridge does not carry."""
        silence_s = self._config.takeover_s * self._patience
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

    async def hold(self, connection: Connection) -> None:
        """Say that this bridge carries, until the connection ends."""
        while True:  # ends with the connection
            await connection.publish(OutgoingMessage.to(self._config.lease, self._config.name.encode()))
            await asyncio.sleep(self._config.takeover_s / BEATS)

    async def release(self, connection: Connection) -> None:
        """The turn ends in order: the other need not wait."""
        await connection.publish(OutgoingMessage.to(self._config.lease, b""))

    def ended(self, cause: str) -> None:
        """The connection is gone."""
        lasted_s = asyncio.get_running_loop().time() - self._began_s
        is_short = lasted_s < SHORT_TURN * self._config.takeover_s
        self._patience = min(2 * self._patience, LONGEST_PATIENCE) if is_short else 1
        self.role = "standby"
        _log.warning("this bridge stands by", extra={"cause": cause})
