"""The subscriptions of the gateway, made on every connection; one that the broker refuses is asked for again."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from gateway.mqtt.client import Connection
from gateway.mqtt.retry import FIRST_RETRY_S, LONGEST_RETRY_S, backoff_s
from gateway.mqtt.types import MqttCounters, PublishRefused

_log = logging.getLogger("capgate.mqtt")


class Subscription(msgspec.Struct, frozen=True):
    """A topic filter and how to subscribe to it."""

    filter: str
    with_retained: bool = False
    qos: int = 1  # 0: the broker keeps nothing of it while we are away


class Subscriptions:
    """Asks for `wanted`. `refused` is what the broker does not grant, by filter with its reason code."""

    def __init__(self, wanted: Sequence[Subscription], counters: MqttCounters, chance: Callable[[], float]) -> None:
        self.refused: dict[str, int] = {}
        self._wanted = wanted
        self._counters = counters
        self._chance = chance

    async def ask(self, connection: Connection) -> None:
        """Ask for all of them. Raises Disconnected."""
        for each in self._wanted:
            await self._ask_for(each, connection)

    async def ask_again(self, connection: Connection) -> None:
        """Ask for what is refused, with a growing delay, until all is granted. Raises Disconnected."""
        failures = 0
        while self.refused:
            failures += 1
            await asyncio.sleep(backoff_s(failures, self._chance(), FIRST_RETRY_S, LONGEST_RETRY_S))
            for each in [each for each in self._wanted if each.filter in self.refused]:
                await self._ask_for(each, connection)

    async def _ask_for(self, wanted: Subscription, connection: Connection) -> None:
        try:
            await connection.subscribe([wanted.filter], wanted.with_retained, wanted.qos)
        except PublishRefused as refusal:
            self._counters.subscriptions_refused += 1
            if wanted.filter not in self.refused:
                _log.error("broker refuses a subscription", extra={"topic": wanted.filter, "reason": refusal.reason})
            self.refused[wanted.filter] = refusal.reason
        else:
            if self.refused.pop(wanted.filter, None) is not None:
                _log.warning("broker grants a subscription that it refused", extra={"topic": wanted.filter})
