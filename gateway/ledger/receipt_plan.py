"""Which messages await an application receipt of the interface engine, and when they are sent again without one."""

from enum import StrEnum

import msgspec

from gateway.ledger.deliveries import ResendRules
from gateway.messages.notation import Notation


class MessageKind(StrEnum):
    """The kinds of messages that receipts are sent for."""

    CHARGE = "charge"  # and credits
    INCREMENT = "increment"


class ReceiptPlan(msgspec.Struct, frozen=True):
    """Which messages are followed to the engine by their receipts, and when they are sent again without one."""

    expected: Notation | None = None  # None: no receipt is expected
    of: frozenset[MessageKind] = frozenset({MessageKind.CHARGE})
    form: Notation = Notation.JSON  # the notation of each charge that is followed
    resends: ResendRules = ResendRules()

    def follows(self, kind: MessageKind, notation: Notation) -> bool:
        """Whether receipts for this message count: one notation of each charge, and increments as JSON."""
        if kind is MessageKind.INCREMENT:
            return notation is Notation.JSON and self.awaits(kind)
        return notation is self.form

    def awaits(self, kind: MessageKind) -> bool:
        """Whether a receipt is expected."""
        return self.expected is not None and kind in self.of


NO_RECEIPTS = ReceiptPlan()
