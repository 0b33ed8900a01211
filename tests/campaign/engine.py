"""The EHR's interface engine: says the statements of the visits when their time comes, again until they are answered.

Of one visit it says one thing after the other, as a queue towards one receiver does.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.campaign.bus import Json
from tests.campaign.plan import MINUTE, Statement, Visit

TOPIC = "capgate/v1/clinic/ehr/in/json"
SOURCE = "urn:engine"
AGAIN_US = 30 * MINUTE  # an unanswered message is sent again after that


@dataclass
class _Queue:
    waiting: deque[Statement] = field(default_factory=deque[Statement])
    sent: Statement | None = None
    sent_us: int = 0


class Engine:
    """`send` hands bytes to the broker."""

    def __init__(self, send: Callable[[str, bytes], None], now_us: Callable[[], int]) -> None:
        self.taken: dict[str, int] = {}  # statement -> when its acceptance was seen
        self.refused: dict[str, str] = {}  # statement -> why
        self._send = send
        self._now_us = now_us
        self._queues: dict[str, _Queue] = {}
        self._visit_of: dict[str, str] = {}

    def say(self, visit: Visit, statement: Statement) -> None:
        """It is time to say this."""
        queue = self._queues.setdefault(visit.key, _Queue())
        queue.waiting.append(statement)
        self._visit_of[statement.id] = visit.key
        self._next(queue)

    def answered(self, data: Json) -> None:
        """The gateway's answer."""
        source, _, name = str(data.get("for", "")).partition("|")
        key = self._visit_of.get(name)
        if source != SOURCE or key is None or name in self.taken or name in self.refused:
            return
        if data["result"] == "accepted":
            self.taken[name] = self._now_us()
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
        self._send(TOPIC, encoded(statement))


def encoded(statement: Statement) -> bytes:
    """The statement as a CloudEvents event."""
    data: Json = {"visit": statement.visit, **dict(statement.extra)}
    if statement.order:
        data["order"] = statement.order
    if statement.version is not None:
        data["version"] = statement.version
    if statement.place is not None:
        data |= {"unit": statement.place.unit, "cap": statement.place.cap}
    event: Json = {
        "specversion": "1.0",
        "type": f"org.example.{statement.thing}.v1",
        "source": SOURCE,
        "id": statement.id,
        "time": _rfc3339(statement.at_us),
        "data": data,
    }
    if statement.recorded_us is not None:
        event["recordedtime"] = _rfc3339(statement.recorded_us)
    return json.dumps(event).encode()


def _rfc3339(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat()
