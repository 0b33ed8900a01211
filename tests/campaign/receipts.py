"""The engine's receipts: what it truly has of each charge, what it says of it, and what the gateway may know by that.

Theory of operation. Each copy of a charge that arrives is decided upon: taken, or rejected; what was taken once is not
rejected any more. The receipt of a decision is said seconds to days later, the receipts of one charge one after the
other; some are lost, said twice, or preceded by one that says that the charge is stored. Beside them come receipts for
another gateway's charges.

Of each charge a set of states is kept: those that a gateway can be in that has taken these receipts and these orders of
people. It is one state, but for what nobody outside can know: whether an order was recorded before the process was
killed, or a receipt before the broker lost it. What the gateway lists narrows the set, and must be in it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from random import Random
from typing import NamedTuple

from gateway.messages.notation import Notation
from tests.campaign.broker import Broker
from tests.campaign.bus import Json
from tests.campaign.plan import DAY, HOUR, Rule, S

LONGEST_RESEND_S = 14_400  # as the site's configuration has it
PASSING = "207"  # HL7 table 0357: not the message's fault
CODES = ("204", "103", PASSING)
_IN_US = "capgate/v1/clinic/ehr/in/"
_FIRST_US, _LAST_US = 5 * S, 4 * DAY  # of a receipt's delay
_UNDER_WAY_S = 10.0  # of the loop: what was sent so shortly before may be sent again without being asked
_LATE_US = 2 * HOUR  # what is due has been sent by then, if there was a broker


class State(StrEnum):
    """What a gateway knows of a charge that it has sent, or is to send."""

    WAITS = "waits"
    STORED = "stored"
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"


class Verdict(StrEnum):
    """What a receipt says."""

    STORED = "stored"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


LISTED = {
    "pending": State.WAITS,
    "unproven": State.WAITS,
    "stored": State.STORED,
    "rejected": State.REJECTED,
    "acknowledged": State.ACKNOWLEDGED,
}


class Receipt(NamedTuple):
    """A receipt by its id; `code` of a rejection."""

    id: str
    verdict: Verdict
    code: str = ""


@dataclass
class Message:
    """A charge or credit, followed by its key."""

    key: str
    states: frozenset[State] = frozenset({State.WAITS})
    code: str = ""  # of the last rejection
    taken: bool = False  # by the engine
    arrivals: int = 0
    arrived_us: int = 0
    arrived_s: float = 0.0  # of the loop
    connection: int = 0  # with which it arrived last
    unanswered: bool = False  # the broker did not answer for that
    said_until_us: int = 0  # its receipts are said one after the other
    acknowledged_s: float = 0.0  # of the loop
    ordered_us: int | None = None  # a person ordered it again, and it has not arrived since
    told: dict[Receipt, int] = field(default_factory=dict[Receipt, int])  # taken by the gateway, after which arrival

    def tell(self, receipt: Receipt) -> None:
        """The gateway has taken a receipt; one that it had before may be a repeat to it, or news of a later copy."""
        repeated = self.told.get(receipt)
        self.told[receipt] = self.arrivals
        if repeated == self.arrivals:
            return
        after = {state for before in self.states for state in self._after(before, receipt)}
        self.states = frozenset(after if repeated is None else after | self.states)
        if receipt.verdict is Verdict.REJECTED:
            self.code = receipt.code
        if receipt.verdict is not Verdict.STORED:
            self.ordered_us = None

    def _after(self, before: State, receipt: Receipt) -> Sequence[State]:
        match receipt.verdict:
            case Verdict.ACCEPTED:
                return (State.ACKNOWLEDGED,)
            case Verdict.REJECTED:
                return (State.REJECTED,)
            case Verdict.STORED if self.ordered_us is not None or (before is State.REJECTED and self.code == PASSING):
                return (before, State.STORED)  # it depends on whether the copy had been noted as sent
            case Verdict.STORED:
                return (State.STORED if before is State.WAITS else before,)


class Receipts:
    """`notation` is that of the charges that the engine answers for, None if it sends no receipts."""

    def __init__(
        self,
        seed: int,
        notation: Notation | None,
        broker: Broker,
        at: Callable[[int, Callable[[], None]], None],
        now_us: Callable[[], int],
        loop_s: Callable[[], float],
        complain: Callable[[Rule, str], None],
    ) -> None:
        self.counts = Counter[str]()  # receipts that the gateway took, and orders of people
        self._seed = seed
        self._notation = notation
        self._own_ids = Random(f"receipt ids {seed}").random() < 0.5  # or that of the message that it answers
        self._broker = broker
        self._at = at
        self._now_us = now_us
        self._loop_s = loop_s
        self._complain = complain
        self.messages: dict[str, Message] = {}

    # --- the engine

    def arrived(self, topic: str, key: str) -> None:
        """A copy of a charge has come to the broker."""
        if self._notation is None or not topic.endswith(f"/charge/{self._notation}"):
            return
        message = self.messages.setdefault(key, Message(key))
        self._check_wanted(message)
        message.arrivals += 1
        message.arrived_us, message.arrived_s = self._now_us(), self._loop_s()
        message.connection, message.unanswered = self._broker.connections, self._broker.lose_pubacks
        message.ordered_us = None
        if State.REJECTED in message.states and message.code == PASSING:
            message.states |= {State.WAITS}
        self._decide(message)

    def _check_wanted(self, message: Message) -> None:
        """What was acknowledged is not sent again; the broker may have lost a copy that it had only just taken."""
        known = message.states == frozenset({State.ACKNOWLEDGED})
        if not known or self._loop_s() - message.acknowledged_s < _UNDER_WAY_S:
            return
        ended_s = self._broker.ended_s_by_number.get(message.connection)
        lost = ended_s is not None and (message.unanswered or ended_s - message.arrived_s < _UNDER_WAY_S)
        if not lost:
            self._complain(Rule.RECEIPTS, f"charge {message.key} was acknowledged, and is sent again unasked")

    def _decide(self, message: Message) -> None:
        random = Random(f"receipt {self._seed} {message.key} {message.arrivals}")
        rejected = not message.taken and random.random() < 0.35
        code = random.choice(CODES) if rejected else ""
        message.taken = message.taken or not rejected
        delay_us = round(_FIRST_US * (_LAST_US / _FIRST_US) ** random.random())
        stored, lost, twice = (random.random() < chance for chance in (0.2, 0.2, 0.15))
        verdict = Verdict.REJECTED if rejected else Verdict.ACCEPTED
        if stored:
            self._say_later(message, Verdict.STORED, "", delay_us // 4)
        if not lost or stored:  # after which it is waited for without end
            self._say_later(message, verdict, code, delay_us)
            if twice:
                self._say_later(message, verdict, code, delay_us + random.randrange(HOUR), again=True)
        if random.random() < 0.1:
            other = Message(f"0THER{random.randrange(1000, 9999)}00A")
            self._say(other, Receipt(f"R-{other.key}", verdict, code))

    def _say_later(self, message: Message, verdict: Verdict, code: str, delay_us: int, *, again: bool = False) -> None:
        message.said_until_us = max(message.said_until_us + S, self._now_us() + delay_us)
        own = f"R-{message.key}-{message.arrivals}-{verdict}"
        receipt = Receipt(own if self._own_ids else message.key, verdict, code)
        self._at(message.said_until_us, lambda: self._say(message, receipt))
        if again:
            self.counts["said twice"] += 1

    def _say(self, message: Message, receipt: Receipt) -> None:
        if self._notation is Notation.HL7:
            topic, payload = f"{_IN_US}hl7", _acknowledgement(message.key, receipt, self._now_us())
        else:
            topic, payload = f"{_IN_US}json", _event(message.key, receipt, self._now_us())
        self._broker.to_gateway(topic, payload, lambda known: self._taken(message, receipt, known=known))

    # --- what the gateway may know

    def _taken(self, message: Message, receipt: Receipt, *, known: bool) -> None:
        """The gateway has the receipt, or, where it is not `known`, may have it."""
        before = message.states
        message.tell(receipt)
        if not known:
            message.states |= before
        elif message.key in self.messages:
            self.counts[receipt.verdict] += 1
        if State.ACKNOWLEDGED in message.states - before:
            message.acknowledged_s = self._loop_s()

    def ordered(self, request: Json, asked_us: int, *, known: bool) -> None:
        """People ordered messages again, and the gateway said so; where it is not `known`, it may have taken it.

        It may have sent them before it answered.
        """
        for message in self.messages.values():
            named = message.key == request.get("key")
            if named or ("key" not in request and message.code == request["code"] and State.REJECTED in message.states):
                message.states = frozenset({State.WAITS}) if known else message.states | {State.WAITS}
                message.ordered_us = asked_us if known and message.arrived_us < asked_us else None
                self.counts["ordered again"] += known

    def check(self, delivery: Json, status: Json, views: Mapping[str, Json]) -> Iterator[str]:
        """What the gateway says of deliveries, and is not so; while nothing is on its way to it."""
        if self._notation is None:
            return
        counts = {each["state"]: each["count"] for each in delivery["states"]}
        outbox = status["outbox"]
        waiting = counts.get("pending", 0) + counts.get("stored", 0)
        said = (waiting, counts.get("unproven", 0), counts.get("rejected", 0))
        if said != (outbox["pending"], outbox["unproven"], outbox["rejected"]):
            yield f"the status has {outbox} messages on their way, the list {counts}"
        listed = {each["key"]: (state["state"], each) for state in delivery["states"] for each in state["messages"]}
        for key in listed.keys() - self.messages.keys():
            yield f"message {key} is listed as {listed[key][0]}, and was never sent"
        for message in self.messages.values():
            name, view = listed.get(message.key, ("acknowledged", None))
            yield from self._narrow(message, name)
            if view is not None and name == "rejected" and view["code"] != message.code:
                yield f"charge {message.key} is listed as rejected for {view['code']}, and was for {message.code}"
        for view in views.values():
            for charge in view["charges"]:
                if charge["charge"] in self.messages:
                    yield from self._narrow(self.messages[charge["charge"]], charge["delivery"])
        yield from self._unsent(delivery)

    def _narrow(self, message: Message, name: str) -> Iterator[str]:
        if LISTED[name] in message.states:
            message.states = frozenset({LISTED[name]})
        else:
            may_be = " or ".join(sorted(message.states))
            yield f"charge {message.key} is {name} to the gateway, and by what it was told it is {may_be}"

    def _unsent(self, delivery: Json) -> Iterator[str]:
        """What a person ordered again, and the oldest message that waits for its receipt, are sent again in time."""
        since_us = self._broker.connected_since_us
        if since_us is None:
            return
        for message in self.messages.values():
            if message.ordered_us is not None and self._now_us() > max(message.ordered_us, since_us) + _LATE_US:
                yield f"charge {message.key} was ordered again, and was not sent since"
        for state in delivery["states"]:
            oldest = self.messages.get(state["messages"][0]["key"])
            if state["state"] == "pending" and oldest is not None:
                due_us = max(oldest.arrived_us, since_us) + LONGEST_RESEND_S * S + _LATE_US
                if self._now_us() > due_us:
                    yield f"charge {oldest.key} has waited longest for its receipt, and is not sent again"


def _event(key: str, receipt: Receipt, now_us: int) -> bytes:
    data = {"for": key, "result": receipt.verdict, **({"code": receipt.code} if receipt.code else {})}
    event = {
        "specversion": "1.0",
        "type": "org.example.ack.v1",
        "source": "urn:engine",
        "id": receipt.id,
        "time": datetime.fromtimestamp(now_us / 1e6, UTC).isoformat(),
        "data": data,
    }
    return json.dumps(event).encode()


def _acknowledgement(key: str, receipt: Receipt, now_us: int) -> bytes:
    code = {Verdict.STORED: "CA", Verdict.ACCEPTED: "AA", Verdict.REJECTED: "AE"}[receipt.verdict]
    at = datetime.fromtimestamp(now_us / 1e6, UTC)
    segments = [
        f"MSH|^~\\&|BILLING|CLINIC|CAPGATE|CLINIC|{at:%Y%m%d%H%M%S}+0000||ACK|{receipt.id}|P|2.5.1",
        f"MSA|{code}|CG{key}",
        *([f"ERR|||{receipt.code}|E"] if receipt.code else []),
        "",
    ]
    return "\r".join(segments).encode()
