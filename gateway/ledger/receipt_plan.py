"""Which messages await an application receipt of the interface engine, and when they are sent again without one."""

from enum import StrEnum

import msgspec

from gateway.ledger.deliveries import ResendRules
from gateway.messages.notation import Notation


class Thing(StrEnum):
    """What receipts are sent for."""

    CHARGE = "charge"  # and credits
    INCREMENT = "increment"


class ReceiptPlan(msgspec.Struct, frozen=True):
    """Which messages are followed to the engine, and what is done for want of a receipt."""

    expected: Notation | None = None  # None: no receipt is expected
    of: frozenset[Thing] = frozenset({Thing.CHARGE})
    form: Notation = Notation.JSON  # of each charge, that is followed
    resends: ResendRules = ResendRules()

    def follows(self, thing: Thing, notation: Notation) -> bool:
        """Whether the engine's word on this very message counts: one form of each charge, increments as JSON."""
        if thing is Thing.INCREMENT:
            return notation is Notation.JSON and self.awaits(thing)
        return notation is self.form

    def awaits(self, thing: Thing) -> bool:
        """Whether a receipt is expected."""
        return self.expected is not None and thing in self.of


NO_RECEIPTS = ReceiptPlan()
