"""The messages that the interface engine does not have, as their screen shows them. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from gateway.control.answers import Answer
from gateway.ledger.deliveries import Deliveries, Proof, Unsettled
from gateway.messages.instants import rfc3339

MAX_MESSAGES = 100  # of each state: the oldest
SHOWN = (Proof.REJECTED, Proof.PENDING, Proof.STORED, Proof.UNPROVEN)


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way. The engine's words about it are left out, for they may name a patient."""

    key: str
    topic: str
    since: str
    sends: int
    sent_at: str | None  # the last time
    code: str  # of the last rejection, "" without one


class StateView(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages are in a state, and the oldest of them."""

    state: Proof
    count: int
    messages: tuple[MessageView, ...]


class DeliveryAnswer(Answer, frozen=True, kw_only=True):
    """To `delivery`: what the engine does not have, the states that need a person first."""

    states: tuple[StateView, ...]


def delivery_answer(counts: Deliveries, messages: Mapping[Proof, Sequence[Unsettled]]) -> DeliveryAnswer:
    """The answer with these messages, by state."""
    counted = {
        Proof.REJECTED: counts.rejected,
        Proof.PENDING: counts.pending,
        Proof.STORED: counts.stored,
        Proof.UNPROVEN: counts.unproven,
    }
    states = (
        StateView(state=state, count=counted[state], messages=tuple(map(_message, messages[state])))
        for state in SHOWN
        if counted[state]
    )
    return DeliveryAnswer(states=tuple(states))


def _message(each: Unsettled) -> MessageView:
    return MessageView(
        key=each.key,
        topic=each.topic,
        since=rfc3339(each.recorded_us),
        sends=each.sends,
        sent_at=rfc3339(each.last_us) if each.sends else None,
        code=each.code if each.proof is Proof.REJECTED else "",
    )
