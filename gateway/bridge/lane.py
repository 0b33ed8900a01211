"""One kind of message on its way to the engine: a queue and a connection of its own, so that no kind waits for another.

One message is outstanding at a time, in order. An engine that is away is waited for; a single message that it does not
answer although it is there steps behind the others after a few tries, so that it blocks none.
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
MOST_OBSERVATIONS = 200  # waiting for an engine that is away; older ones give way

Answered = Callable[[Acknowledged], Awaitable[None]]


class Lane:
    """Carries one kind of message over all connections to the broker; what waits belongs to one of them.

    A charge is acknowledged to the broker when it is answered, so the broker's window bounds how many wait here. An
    observation is the latest value of something: it is acknowledged as it comes, and pushed out when too many wait.
    """

    def __init__(self, kind: Carried, target: Target, notices: Notices, chance: Callable[[], float]) -> None:
        self.carried = 0
        self._is_lossy = kind is Carried.OBSERVATION
        self._trouble = Trouble.OBSERVATIONS if self._is_lossy else Trouble.CHARGES
        self._client = MllpClient(target, notices)
        self._notices = notices
        self._chance = chance
        self._held: deque[Inbound] = deque()
        self._tries: dict[int, int] = {}  # by identity of the message
        self._filled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Messages that the broker has given us and the engine has not answered."""
        return len(self._held)

    def put(self, message: Inbound) -> None:
        """Take a message of the broker."""
        if self._is_lossy:
            message.ack()
            if len(self._held) > MOST_OBSERVATIONS:
                self._tries.pop(id(self._held[1]), None)
                del self._held[1]  # the first is under way
                self._notices.happened(Happening.DROPPED, "the engine takes none")
        self._held.append(message)
        self._filled.set()

    async def run(self, answered: Answered) -> None:
        """Carry until the connection to the broker ends; `answered` passes an answer on, before the message is done."""
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
        """The connection to the broker is gone: it sends again what it was not told to be done."""
        if not self._is_lossy:
            self._held.clear()
            self._tries.clear()

    async def close(self) -> None:
        """Leave the engine."""
        await self._client.close()

    def _note(self, answer: Acknowledged, identity: str) -> None:
        self.carried += 1
        self._notices.happened(Happening.CARRIED)
        if answer.receipt.result == "rejected":
            self._notices.happened(Happening.REFUSED_BY_ENGINE, answer.receipt.code, id=identity)

    def _done(self, message: Inbound) -> None:
        """The broker need not send it again."""
        if not self._is_lossy:
            message.ack()
        self._held.popleft()
        self._tries.pop(id(message), None)

    def _failed(self, message: Inbound, *, by_engine: bool) -> None:
        """It stays; but if the engine is there and goes on failing with it, others have their turn."""
        self._tries[id(message)] = self._tries.get(id(message), 0) + by_engine
        if self._tries[id(message)] >= TRIES_IN_FRONT:
            self._tries[id(message)] = 0
            self._held.rotate(-1)
