"""`send-test`: one synthetic message on a real topic, and what becomes of it, step by step.

It goes round the ledger: it is marked as a test, belongs to no session, and nothing counts it. What it shows is the
whole way, access list and engine included, which neither a connection nor a granted subscription shows.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from gateway.messages.hl7v2 import Er7Error, parse
from gateway.messages.inbound.acks import read_ack
from gateway.messages.inbound.answers import ReaderSite, Receipt, ServedCaps, no_session
from gateway.messages.inbound.dispatch import read_json
from gateway.messages.outbound.hl7_segments import CONTROL_ID_PREFIX
from gateway.mqtt.types import NOT_AUTHORIZED, MqttDown, OutgoingMessage, PubAck, PublishRefused
from gateway.session.keys import TOKEN_LETTERS

WAIT_S = 10.0  # for a receipt, unless somebody says otherwise
LONGEST_WAIT_S = 15
NOBODY = ReaderSite({}, frozenset(), ServedCaps(), (), no_session, lambda visit: "")

Publish = Callable[[OutgoingMessage], Awaitable[PubAck]]


class What(StrEnum):
    """What can be tried."""

    CHARGE = "charge"
    INCREMENT = "increment"
    OBSERVATION = "observation"


class TrialStep(StrEnum):
    """How far a test message came."""

    NOT_CONNECTED = "not-connected"
    NOT_ALLOWED = "not-allowed"
    REFUSED = "refused"
    NOBODY_LISTENS = "nobody-listens"
    TAKEN = "taken"  # the broker gave it to a subscriber, or cannot say; no receipt was waited for
    NOT_ACKNOWLEDGED = "not-acknowledged"
    REJECTED = "rejected"
    ACKNOWLEDGED = "acknowledged"


class TrialResult(msgspec.Struct, frozen=True):
    """What became of a test message. `reason` is the broker's code where it gave one that says something."""

    step: TrialStep
    topic: str
    key: str
    detail: str = ""
    reason: int | None = None


class Trial(msgspec.Struct, frozen=True):
    """A message that is marked as a test, and the key that its receipt will name."""

    key: str
    message: OutgoingMessage


def draw_token() -> str:
    """A session's token that no session has: those have no L."""
    return "TEST" + "".join(secrets.choice(TOKEN_LETTERS) for _ in range(4)) + "L"


class Commissioning:
    """Sends test messages by `publish` and is shown, by `notice`, what the engine says."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: dict[str, asyncio.Future[Receipt]] = {}

    def notice(self, payload: bytes) -> bool:
        """Look at an inbound message; whether it is the receipt of a test that is waited for."""
        if not self._waiting:
            return False
        receipt = receipt_in(payload)
        waiting = receipt and self._waiting.get(receipt.for_id.removeprefix(CONTROL_ID_PREFIX))
        if not receipt or waiting is None or waiting.done():
            return False
        if receipt.result != "stored":  # the application's answer is to come
            waiting.set_result(receipt)
        return True

    async def send(self, trial: Trial, wait_s: float) -> TrialResult:
        """Publish the test and wait so long for its receipt; 0 waits for none."""
        topic, key = trial.message.topic, trial.key
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting[key] = receipt
        try:
            taken = await self._publish(trial.message)
            if taken.no_subscriber:
                return TrialResult(
                    TrialStep.NOBODY_LISTENS, topic, key, "the broker has no subscriber for it", taken.reason
                )
            if wait_s <= 0:
                return TrialResult(TrialStep.TAKEN, topic, key)
            async with asyncio.timeout(wait_s):
                said = await receipt
        except MqttDown as down:
            return TrialResult(TrialStep.NOT_CONNECTED, topic, key, f"{type(down).__name__}: {down}")
        except PublishRefused as refused:
            return _refused(trial, refused.reason)
        except TimeoutError:
            return TrialResult(TrialStep.NOT_ACKNOWLEDGED, topic, key, f"no receipt within {wait_s:g} s")
        finally:
            del self._waiting[key]
        if said.result == "accepted":
            return TrialResult(TrialStep.ACKNOWLEDGED, topic, key)
        return TrialResult(TrialStep.REJECTED, topic, key, " ".join(filter(None, (said.code, said.text))))


def receipt_in(payload: bytes) -> Receipt | None:
    """The receipt that an inbound message is, in whatever format; None if it is none."""
    if not payload.lstrip(b"\x0b\r\n\t ").startswith(b"MSH"):
        read = read_json(payload, 0, NOBODY)
        return read if isinstance(read, Receipt) else None
    try:
        return read_ack(parse(payload))
    except Er7Error:
        return None


def _refused(trial: Trial, reason: int) -> TrialResult:
    topic, key = trial.message.topic, trial.key
    if reason == NOT_AUTHORIZED:
        return TrialResult(TrialStep.NOT_ALLOWED, topic, key, "the broker's access list denies the topic", reason)
    return TrialResult(TrialStep.REFUSED, topic, key, f"the broker refuses it with reason {reason}", reason)
