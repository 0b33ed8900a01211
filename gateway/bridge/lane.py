"""A queue and an MLLP connection to the engine for one kind of message, so that no kind blocks another.

One message is outstanding at a time, in order. While the engine cannot be reached, everything waits. A message that a
reachable engine fails to acknowledge `TRIES_IN_FRONT` times goes to the end of the queue.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.bridge.config import Carried, Target
from gateway.bridge.mllp_client import Acknowledged, AckTimeout, MllpClient
from gateway.bridge.notices import Happening, Notices, Trouble
from gateway.messages.hl7v2 import Er7Error, read_header
from gateway.messages.inbound.acks import control_id
from gateway.mqtt.paho_client import Inbound
from gateway.mqtt.retry import backoff_s

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
TRIES_IN_FRONT = 3
MOST_OBSERVATIONS = 200  # in the queue; beyond it the oldest is dropped

Answered = Callable[[Acknowledged], Awaitable[None]]


class Lane:
    """The queue of one kind of message; it outlives connections to the broker, its charges do not.

    A charge gets its PUBACK when the engine has acknowledged it, so the broker's receive maximum bounds the queue. An
    observation may be lost: it gets its PUBACK on arrival, and the oldest is dropped when the queue is full.
    """

    def __init__(self, kind: Carried, target: Target, notices: Notices, chance: Callable[[], float]) -> None:
        self.carried = 0
        self._is_lossy = kind is Carried.OBSERVATION
        self._trouble = Trouble.OBSERVATIONS if self._is_lossy else Trouble.CHARGES
        self._client = MllpClient(target, notices)
        self._notices = notices
        self._chance = chance
        self._held: deque[Inbound] = deque()
        self._tries: dict[int, int] = {}  # by the message object's id()
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many messages were received from the broker and not yet acknowledged by the engine."""
        return len(self._held)

    def put(self, message: Inbound) -> None:
        """Append a message received from the broker."""
        if self._is_lossy:
            message.ack()
            if len(self._held) > MOST_OBSERVATIONS:
                self._tries.pop(id(self._held[1]), None)
                del self._held[1]  # the first is being sent
                self._notices.happened(Happening.DROPPED, "the engine takes none")
        self._held.append(message)
        self._filled.set()

    async def run(self, answered: Answered) -> None:
        """Send messages until cancelled; `answered` publishes each acknowledgement of the engine, before the PUBACK."""
        failures = 0
        while True:  # ends with the connection
            while not self._held:
                self._filled.clear()
                await self._filled.wait()
            message = self._held[0]
            try:
                identity = control_id(read_header(message.payload))
            except Er7Error as error:
                self._notices.happened(Happening.NOT_CARRIED, f"no HL7: {error}", topic=message.topic)
                self._done(message)
                continue
            try:
                answer = await self._client.exchange(message.payload, identity)
            except AckTimeout as silent:
                failures += 1
                self._notices.begins(self._trouble, str(silent))
                self._failed(message, by_engine=silent.connected)
                await asyncio.sleep(backoff_s(failures, self._chance(), FIRST_RETRY_S, LONGEST_RETRY_S))
                continue
            failures = 0
            self._notices.ends(self._trouble)
            await answered(answer)
            self._done(message)
            self._note(answer, identity)

    def clear(self) -> None:
        """Forget the charges when the connection to the broker ends; the broker redelivers them."""
        if not self._is_lossy:
            self._held.clear()
            self._tries.clear()

    async def close(self) -> None:
        """Close the connection to the engine."""
        await self._client.close()

    def _note(self, answer: Acknowledged, identity: str) -> None:
        self.carried += 1
        self._notices.happened(Happening.CARRIED)
        if answer.receipt.result == "rejected":
            self._notices.happened(Happening.REFUSED_BY_ENGINE, answer.receipt.code, id=identity)

    def _done(self, message: Inbound) -> None:
        """Acknowledge the message to the broker and remove it."""
        if not self._is_lossy:
            message.ack()
        self._held.popleft()
        self._tries.pop(id(message), None)

    def _failed(self, message: Inbound, *, by_engine: bool) -> None:
        """Keep the message; move it to the end after `TRIES_IN_FRONT` failures of a reachable engine."""
        self._tries[id(message)] = self._tries.get(id(message), 0) + by_engine
        if self._tries[id(message)] >= TRIES_IN_FRONT:
            self._tries[id(message)] = 0
            self._held.rotate(-1)
