"""Latest values to the broker, lossy and bounded; never in the way of the outbox.

Readings are never acknowledged, all that were put within GATHER_S go out in one send. Statuses are retained and
acknowledged, only the latest of a topic matters, and each is sent again on every new connection.
"""

import asyncio
import math
from collections import deque
from itertools import islice

import msgspec

from gateway.messages.destination import Destination
from gateway.mqtt.client import Connection
from gateway.mqtt.types import REFUSED_FROM, MqttCounters, OutgoingMessage

LARGEST_BUFFER = 5_000  # readings: a suite of 50 caps read each second, away for 100 s
GATHER_S = 0.002  # after the first reading: those that follow leave in the same send, which costs more than a reading
LARGEST_BATCH = 500  # readings in one send, which takes about 2 ms of the loop
STATUSES_AT_ONCE = 8  # in flight: the rest of the window belongs to the outbox


class _Reading(msgspec.Struct, frozen=True):
    destination: Destination
    payload: bytes
    expires_s: float  # loop time


class Telemetry:
    """Outlives connections; `run` it with each of them in turn."""

    def __init__(self, counters: MqttCounters) -> None:
        self._counters = counters
        self._readings: deque[_Reading] = deque()
        self._readings_wait = asyncio.Event()
        self._latest: dict[Destination, bytes] = {}
        self._unsent: dict[Destination, None] = {}  # in the order they changed
        self._statuses_wait = asyncio.Event()

    def put(self, destination: Destination, payload: bytes) -> None:
        """A reading to send once, before it expires. Past the bound the oldest is dropped and counted."""
        if destination.expiry_s is None:
            raise ValueError(f"{destination.topic}: what may be lost needs an expiry")
        expires_s = asyncio.get_running_loop().time() + destination.expiry_s
        self._readings.append(_Reading(destination, payload, expires_s))
        if len(self._readings) > LARGEST_BUFFER:
            self._readings.popleft()
            self._counters.telemetry_dropped += 1
        self._readings_wait.set()

    def status(self, destination: Destination, payload: bytes) -> None:
        """The state of something from now on, retained by the broker; an empty payload clears it."""
        self._latest[destination] = payload
        self._unsent[destination] = None
        self._statuses_wait.set()

    async def run(self, connection: Connection) -> None:
        """Send until the connection ends, all statuses first. Raises Disconnected."""
        self._unsent = dict.fromkeys(self._latest)
        self._statuses_wait.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_readings(connection))
            group.create_task(self._send_statuses(connection))

    async def _send_readings(self, connection: Connection) -> None:
        while True:
            await self._readings_wait.wait()
            await asyncio.sleep(GATHER_S)
            if connection.busy:
                continue
            batch = self._take()
            connection.publish_many(batch)
            self._counters.telemetry_sent += len(batch)
            if not self._readings:
                self._readings_wait.clear()

    def _take(self) -> list[OutgoingMessage]:
        """The next batch: what is still of interest, with the whole seconds it stays so; the rest is dropped."""
        now_s = asyncio.get_running_loop().time()
        batch: list[OutgoingMessage] = []
        while self._readings and len(batch) < LARGEST_BATCH:
            reading = self._readings.popleft()
            left_s = math.ceil(reading.expires_s - now_s)
            if left_s > 0:
                to = reading.destination
                batch.append(OutgoingMessage(to.topic, reading.payload, to.qos, to.retain, to.content_type, left_s))
            else:
                self._counters.telemetry_dropped += 1
        return batch

    async def _send_statuses(self, connection: Connection) -> None:
        while True:
            await self._statuses_wait.wait()
            sent = list(islice(self._unsent, STATUSES_AT_ONCE))
            answers: list[asyncio.Future[int]] = []
            for destination in sent:
                del self._unsent[destination]
                answers.append(connection.send(OutgoingMessage.to(destination, self._latest[destination])))
            if not self._unsent:
                self._statuses_wait.clear()
            for answer in answers:
                reason = await answer
                self._counters.statuses += reason < REFUSED_FROM
                self._counters.statuses_refused += reason >= REFUSED_FROM
            for destination in sent:
                if not self._latest[destination] and destination not in self._unsent:
                    del self._latest[destination]  # cleared, and the broker knows
