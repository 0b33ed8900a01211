"""`send-test`: publishes one synthetic message on a real topic, and waits for the engine's receipt.

The message bypasses the ledger: it is marked as a test and belongs to no session, so nothing counts it. It tests the
whole path including the broker's access list and the engine, which a connection or a granted subscription does not.
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

WAIT_S = 10.0  # default wait for a receipt
LONGEST_WAIT_S = 15
_EMPTY_SITE = ReaderSite({}, frozenset(), ServedCaps(), (), no_session, lambda visit: "")

Publish = Callable[[OutgoingMessage], Awaitable[PubAck]]


class What(StrEnum):
    """The kinds of test message."""

    CHARGE = "charge"
    INCREMENT = "increment"
    OBSERVATION = "observation"


class TrialStep(StrEnum):
    """The last step that a test message reached."""

    NOT_CONNECTED = "not-connected"
    NOT_ALLOWED = "not-allowed"
    REFUSED = "refused"
    NOBODY_LISTENS = "nobody-listens"
    TAKEN = "taken"  # the broker took it and reported no missing subscriber; no receipt was waited for
    NOT_ACKNOWLEDGED = "not-acknowledged"
    REJECTED = "rejected"
    ACKNOWLEDGED = "acknowledged"


class TrialResult(msgspec.Struct, frozen=True):
    """The result of a test message. `reason` is the MQTT reason code, where that explains the step."""

    step: TrialStep
    topic: str
    key: str
    detail: str = ""
    reason: int | None = None


class Trial(msgspec.Struct, frozen=True):
    """A test message, and the key that its receipt will name."""

    key: str
    message: OutgoingMessage


def draw_token() -> str:
    """A token that no real session has: it contains an L, which is not among TOKEN_LETTERS."""
    return "TEST" + "".join(secrets.choice(TOKEN_LETTERS) for _ in range(4)) + "L"


class Commissioning:
    """Sends test messages by `publish`, and matches the inbound messages given to `notice` with them."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._waiting: dict[str, asyncio.Future[Receipt]] = {}

    def notice(self, payload: bytes) -> bool:
        """Take an inbound message. True if it is the receipt of a waiting test, and so for nobody else."""
        if not self._waiting:
            return False
        receipt = receipt_in(payload)
        waiting = receipt and self._waiting.get(receipt.for_id.removeprefix(CONTROL_ID_PREFIX))
        if not receipt or waiting is None or waiting.done():
            return False
        if receipt.result != "stored":  # a commit accept (CA); the application accept (AA) follows
            waiting.set_result(receipt)
        return True

    async def send(self, trial: Trial, wait_s: float) -> TrialResult:
        """Publish the test, and wait up to `wait_s` for its receipt; 0: do not wait."""
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
    """The receipt in an inbound message, JSON or HL7; None if the message is not a receipt."""
    if not payload.lstrip(b"\x0b\r\n\t ").startswith(b"MSH"):
        read = read_json(payload, 0, _EMPTY_SITE)
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
