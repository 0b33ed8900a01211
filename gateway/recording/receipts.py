"""Evaluates the interface engine's receipts, and orders to send a message again; the pipeline records the results.

A receipt is matched by id: a message's key, or the HL7 control id that contains the key. A repeat, with the id and
result of an earlier receipt, is ignored. "stored" only says that the engine keeps the message; the application's last
answer settles it. If that contradicts the one before, and the message was not sent again in between, it becomes a work
item.
"""

import re
from collections.abc import Sequence

import msgspec

from gateway.ledger.bodies import Order
from gateway.ledger.deliveries import Followed, Proof, ReceiptContent
from gateway.ledger.outbox import Outbox
from gateway.ledger.receipt_plan import ReceiptPlan
from gateway.messages.inbound.answers import Accepted, Answer, Ignored, Receipt, Rejected
from gateway.messages.outbound.hl7_segments import CONTROL_ID_PREFIX
from gateway.session.keys import session_of
from gateway.session.outcome import SessionRecord

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}")  # anything longer or with blanks is free text

_CONTRARY = {(Proof.ACKNOWLEDGED, "rejected"), (Proof.REJECTED, "accepted")}
_SAYS_NO_MORE = {
    Proof.ACKNOWLEDGED: ("stored", "accepted"),
    Proof.REJECTED: ("stored",),
    Proof.STORED: ("stored",),
}


class Settled(msgspec.Struct, frozen=True):
    """One message and the receipt that settles it."""

    key: str
    receipt: Receipt

    @property
    def session(self) -> str:
        """The token of the message's session."""
        return session_of(self.key)

    @property
    def accepted(self) -> bool:
        """Whether the engine accepted it."""
        return self.receipt.result == "accepted"

    @property
    def code(self) -> str:
        """The engine's code; "" for none, or for free text, which may name a patient."""
        return self.receipt.code if _CODE.fullmatch(self.receipt.code) else ""

    @property
    def text(self) -> str:
        """The engine's text, with a code that is free text."""
        return self.receipt.text if self.code else " ".join(filter(None, (self.receipt.code, self.receipt.text)))

    @property
    def content(self) -> ReceiptContent:
        """The answer's identity among those about the same message, by which a repeat is recognised."""
        return ReceiptContent(self.key, self.receipt.message_id, self.receipt.result, self.code)


class Judged(msgspec.Struct, frozen=True):
    """The evaluation of a receipt: the answer to it, and the messages that it settles.

    `disputed` is the key of the message, if the receipt contradicts an earlier one and it was not sent again since.
    """

    answer: Answer
    settled: tuple[Settled, ...] = ()
    disputed: str = ""


class OrderRefused(Exception):
    """An order to send a message again that is refused; `accepted` names what can be ordered."""

    def __init__(self, error: str, accepted: str) -> None:
        super().__init__(error)
        self.accepted = accepted


async def judge(outbox: Outbox, receipt: Receipt) -> Judged:
    """Evaluate the receipt against the outbox."""
    message = await _named(outbox, receipt.for_id)
    if message is None:
        return Judged(Ignored(receipt.message_id, "unknown-message", "no message of this gateway has that id"))
    if receipt.result in _SAYS_NO_MORE.get(message.proof, ()):
        return Judged(Ignored(receipt.message_id, "known-receipt", "that is known of the message already"))
    if await outbox.knows_receipt(Settled(message.key, receipt).content):
        return Judged(Ignored(receipt.message_id, "known-receipt", "this receipt was taken before"))
    disputed = message.key if (message.proof, receipt.result) in _CONTRARY else ""
    if receipt.sequence is None or receipt.result == "stored":
        return _judged(receipt, [message.key], disputed)
    if receipt.sequence != message.seq:
        text = "data.sequence: not that of the message that data.for names; accepted: its own, or none"
        return Judged(Rejected(receipt.message_id, "wrong-sequence", text))
    return _judged(receipt, [*await outbox.followed_up_to(message), message.key], disputed)


async def check_order(outbox: Outbox, order: Order) -> None:
    """Raises OrderRefused for a message that is unknown, or that the engine acknowledged."""
    message = await outbox.followed(order.key)
    if message is None:
        raise OrderRefused("no message has that key", "the key of a charge, as capgate outbox list shows it")
    if message.proof is Proof.ACKNOWLEDGED:
        raise OrderRefused("the engine acknowledged it", "a message that is pending, unproven or rejected")
    if message.purged:
        raise OrderRefused("what it said was purged", "a message that is younger than [retention] messages_days")


async def is_delivered(
    outbox: Outbox, plan: ReceiptPlan, token: str, record: SessionRecord | None, accepted: frozenset[str] = frozenset()
) -> bool:
    """Whether a session can change no more and the engine has acknowledged all of its messages.

    `accepted` are keys whose receipts are being recorded now. A session without `record` can change no more.
    """
    if plan.expected is None:
        return False
    if record is not None and not record.done:
        return False
    proofs = await outbox.proofs_of(token)
    return all(proof is Proof.ACKNOWLEDGED or key in accepted for key, proof in proofs.items())


def _judged(receipt: Receipt, keys: Sequence[str], disputed: str) -> Judged:
    note = "noted" if len(keys) == 1 else f"noted, for {len(keys)} messages"
    if disputed:
        note += "; the engine said the contrary before, so a person is to look at it"
    return Judged(Accepted(receipt.message_id, (), note=note), tuple(Settled(key, receipt) for key in keys), disputed)


async def _named(outbox: Outbox, for_id: str) -> Followed | None:
    """The message that a receipt is for: by key, or by control id, which is a prefix of letters and the key."""
    for key in (for_id, for_id.removeprefix(CONTROL_ID_PREFIX)):
        if (message := await outbox.followed(key)) is not None:
            return message
    return None
