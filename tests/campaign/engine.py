"""The EHR's interface engine: says the statements of the visits when their time comes, again until they are answered.

Of one visit it says one thing after the other, as a queue towards one receiver does.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.messages.notation import Notation
from tests.campaign.bus import Json
from tests.campaign.feeds import FHIR_TYPE, encoded, sent_as
from tests.campaign.plan import MINUTE, Statement, Visit

TOPIC = "capgate/v1/clinic/ehr/in/"
AGAIN_US = 30 * MINUTE  # an unanswered message is sent again after that


@dataclass
class _Queue:
    visit: Visit
    waiting: deque[Statement] = field(default_factory=deque[Statement])
    sent: Statement | None = None
    sent_us: int = 0


class Engine:
    """`send` hands bytes to the broker."""

    def __init__(self, send: Callable[[str, bytes], None], now_us: Callable[[], int]) -> None:
        self.taken: dict[str, int] = {}  # statement -> when its acceptance was seen
        self.refused: dict[str, str] = {}  # statement -> why
        self.accepted = Counter[Notation]()
        self._send = send
        self._now_us = now_us
        self._queues: dict[str, _Queue] = {}
        self._sent: dict[str, tuple[str, str, Notation]] = {}  # as the answer names it -> visit, statement
        self._heard: set[str] = set()  # answers, so that one that comes again is not the next one's

    def say(self, visit: Visit, statement: Statement) -> None:
        """It is time to say this."""
        queue = self._queues.setdefault(visit.key, _Queue(visit))
        queue.waiting.append(statement)
        self._next(queue)

    def answered(self, data: Json) -> None:
        """The gateway's answer."""
        answered = str(data.get("for", ""))
        resource = answered.partition("|")[0] if answered.startswith(FHIR_TYPE) else answered
        if resource not in self._sent or answered in self._heard:
            return
        self._heard.add(answered)
        key, name, notation = self._sent[resource]
        if data["result"] == "accepted":
            self.taken[name] = self._now_us()
            self.accepted[notation] += 1
        else:
            self.refused[name] = f"{data['result']} {data.get('code')}: {data.get('text')}"
        queue = self._queues[key]
        queue.sent = None
        self._next(queue)

    def again(self) -> None:
        """Send again what nobody answered."""
        late_us = self._now_us() - AGAIN_US
        for queue in self._queues.values():
            if queue.sent is not None and queue.sent_us <= late_us:
                self._put(queue, queue.sent)

    def in_flight(self, visit: Visit) -> bool:
        """Whether something of the visit was said and is not answered."""
        queue = self._queues.get(visit.key)
        return queue is not None and queue.sent is not None

    @property
    def waits(self) -> bool:
        """Whether any message is unanswered."""
        return any(queue.sent is not None for queue in self._queues.values())

    def _next(self, queue: _Queue) -> None:
        if queue.sent is None and queue.waiting:
            self._put(queue, queue.waiting.popleft())

    def _put(self, queue: _Queue, statement: Statement) -> None:
        queue.sent, queue.sent_us = statement, self._now_us()
        notation, payload = encoded(queue.visit, statement)
        self._sent[sent_as(notation, statement)] = queue.visit.key, statement.id, notation
        self._send(TOPIC + notation, payload)
