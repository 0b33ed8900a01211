"""Publishes latest values, lossy and bounded, so that they never delay the outbox.

Readings are QoS 0; those put within GATHER_S are sent together. Statuses are retained and acknowledged (QoS 1); only
the latest of a topic is sent, and each again on every new connection.
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
GATHER_S = 0.002  # wait after the first reading for others to share its send, which costs more than a reading
LARGEST_BATCH = 500  # readings in one send, which takes about 2 ms of the loop
STATUSES_AT_ONCE = 8  # in flight; the rest of the window is for the outbox


class _Reading(msgspec.Struct, frozen=True):
    destination: Destination
    payload: bytes
    expires_s: float  # loop time


class Telemetry:
    """The buffer of latest values. It outlives connections: `run` it with one after the other."""

    def __init__(self, counters: MqttCounters) -> None:
        self._counters = counters
        self._readings: deque[_Reading] = deque()
        self._readings_wait = asyncio.Event()
        self._latest: dict[Destination, bytes] = {}
        self._unsent: dict[Destination, None] = {}  # in the order they changed
        self._statuses_wait = asyncio.Event()

    def put(self, destination: Destination, payload: bytes) -> None:
        """Add a reading, to be sent once before it expires. If the buffer is full the oldest is dropped and counted."""
        if destination.expiry_s is None:
            raise ValueError(f"{destination.topic}: what may be lost needs an expiry")
        expires_s = asyncio.get_running_loop().time() + destination.expiry_s
        self._readings.append(_Reading(destination, payload, expires_s))
        if len(self._readings) > LARGEST_BUFFER:
            self._readings.popleft()
            self._counters.telemetry_dropped += 1
        self._readings_wait.set()

    def status(self, destination: Destination, payload: bytes) -> None:
        """Set the retained status at `destination`; an empty payload clears it."""
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
        """The next batch, without expired readings; the others get their remaining expiry in whole seconds."""
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
                    del self._latest[destination]  # cleared, and acknowledged by the broker
