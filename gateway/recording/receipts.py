"""What the engine's receipts settle, and what people order to be sent again: judged here, recorded by the pipeline.

A receipt is matched by id: the key of a message, or the control id that an HL7 message carries the key in. A repeat,
which has the id and the verdict of an earlier receipt, is not taken again. That the engine stored a message settles
nothing: its application's last answer does. Where that is the contrary of the one before, and the message was not sent
again between them, a person is to look at it.
"""

import re
from collections.abc import Sequence

import msgspec

from gateway.ledger.bodies import Order
from gateway.ledger.deliveries import Followed, Proof, Said
from gateway.ledger.outbox import Outbox
from gateway.ledger.receipt_plan import ReceiptPlan
from gateway.messages.inbound.answers import Accepted, Answer, Ignored, Receipt, Rejected
from gateway.messages.outbound.hl7_segments import CONTROL_ID_PREFIX
from gateway.session.keys import session_of
from gateway.session.outcome import SessionRecord

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}")  # longer or with blanks, it is words

_CONTRARY = {(Proof.ACKNOWLEDGED, "rejected"), (Proof.REJECTED, "accepted")}
_SAYS_NO_MORE = {
    Proof.ACKNOWLEDGED: ("stored", "accepted"),
    Proof.REJECTED: ("stored",),
    Proof.STORED: ("stored",),
}


class Settled(msgspec.Struct, frozen=True):
    """One message that a receipt settles."""

    key: str
    receipt: Receipt

    @property
    def session(self) -> str:
        """The session that the message is of."""
        return session_of(self.key)

    @property
    def accepted(self) -> bool:
        """Whether the engine has it."""
        return self.receipt.result == "accepted"

    @property
    def code(self) -> str:
        """The engine's code; "" for none, or where it is words, which may name a patient."""
        return self.receipt.code if _CODE.fullmatch(self.receipt.code) else ""

    @property
    def text(self) -> str:
        """What the engine says beside the code."""
        return self.receipt.text if self.code else " ".join(filter(None, (self.receipt.code, self.receipt.text)))

    @property
    def said(self) -> Said:
        """What tells this answer from others about the same message."""
        return Said(self.key, self.receipt.message_id, self.receipt.result, self.code)


class Judged(msgspec.Struct, frozen=True):
    """What a receipt comes to: the answer to it, and the messages that it settles.

    `disputed` is the message of which the engine said the contrary before, and that was not sent again since.
    """

    answer: Answer
    settled: tuple[Settled, ...] = ()
    disputed: str = ""


class OrderRefused(Exception):
    """The message is not sent again; `accepted` says what could be."""

    def __init__(self, error: str, accepted: str) -> None:
        super().__init__(error)
        self.accepted = accepted


async def judge(outbox: Outbox, receipt: Receipt) -> Judged:
    """What the receipt settles."""
    message = await _named(outbox, receipt.for_id)
    if message is None:
        return Judged(Ignored(receipt.message_id, "unknown-message", "no message of this gateway has that id"))
    if receipt.result in _SAYS_NO_MORE.get(message.proof, ()):
        return Judged(Ignored(receipt.message_id, "known-receipt", "that is known of the message already"))
    if await outbox.knows_receipt(Settled(message.key, receipt).said):
        return Judged(Ignored(receipt.message_id, "known-receipt", "this receipt was taken before"))
    disputed = message.key if (message.proof, receipt.result) in _CONTRARY else ""
    if receipt.sequence is None or receipt.result == "stored":
        return _judged(receipt, [message.key], disputed)
    if receipt.sequence != message.seq:
        text = "data.sequence: not that of the message that data.for names; accepted: its own, or none"
        return Judged(Rejected(receipt.message_id, "wrong-sequence", text))
    return _judged(receipt, [*await outbox.followed_up_to(message), message.key], disputed)


async def check_order(outbox: Outbox, order: Order) -> None:
    """Raises OrderRefused for a message that is not known, or that the engine has."""
    message = await outbox.followed(order.key)
    if message is None:
        raise OrderRefused("no message has that key", "the key of a charge, as capgate outbox list shows it")
    if message.proof is Proof.ACKNOWLEDGED:
        raise OrderRefused("the engine acknowledged it", "a message that is pending, unproven or rejected")


async def is_delivered(
    outbox: Outbox, plan: ReceiptPlan, token: str, record: SessionRecord | None, accepted: frozenset[str] = frozenset()
) -> bool:
    """Whether nothing more is to come of a session and the engine has all that came.

    `accepted` are keys whose receipts came this very moment. A session without `record` can change no more.
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
    """The message that a receipt is for. Control ids begin with a prefix of letters; a key may begin so as well."""
    for key in (for_id, for_id.removeprefix(CONTROL_ID_PREFIX)):
        if (message := await outbox.followed(key)) is not None:
            return message
    return None
