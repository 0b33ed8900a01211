"""What an earlier configuration left in our session at the broker: its subscriptions, and messages that wait for them.

The broker keeps a session by its name alone, and with it every subscription until we end it.
"""

import logging
from collections.abc import Sequence

from gateway.mqtt.client import Connection
from gateway.mqtt.types import MqttCounters

_log = logging.getLogger("capgate.mqtt")

_MAX_TOPICS = 100  # named in the log and unsubscribed; the rest is only dropped


class LeftOver:
    """Ends the subscriptions `filters`, which are configured no longer, and drops what comes by any such."""

    def __init__(self, filters: Sequence[str], counters: MqttCounters) -> None:
        self._filters = filters
        self._counters = counters
        self._named: set[str] = set()

    async def unsubscribe(self, connection: Connection) -> None:
        """End them where the broker had our session. Raises Disconnected."""
        if self._filters and connection.session_present:
            await connection.unsubscribe(self._filters)

    async def drop(self, connection: Connection, topic: str) -> None:
        """Count a message of a topic that is not configured; the first of the topic ends its subscription.

        Raises Disconnected.
        """
        self._counters.inbound_unconfigured += 1
        if topic not in self._named and len(self._named) < _MAX_TOPICS:
            self._named.add(topic)
            _log.warning("messages of a topic that is not configured are dropped", extra={"topic": topic})
            await connection.unsubscribe([topic])
