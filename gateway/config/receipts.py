"""From the [receipts] table to what the gateway expects of the engine."""

from collections.abc import Sequence

import msgspec

from gateway.config.problems import Problems
from gateway.config.tables import ReceiptForm, ReceiptsTable, Thing
from gateway.ledger.deliveries import ResendRules
from gateway.mqtt.topics import Notation


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


def resolve_receipts(findings: Problems, table: ReceiptsTable, sent: Sequence[Notation]) -> ReceiptPlan:
    """The plan, where charges are `sent` in these forms; what contradicts itself is found as an error."""
    if table.longest_resend_s < table.first_resend_s:
        findings.error(("receipts", "longest_resend_s"), "shorter than first_resend_s, accepted: at least as long")
    if Thing.INCREMENT in table.of and table.expected is ReceiptForm.HL7:
        findings.error(("receipts", "of"), 'increments are sent as JSON alone, accepted with expected = "hl7": charge')
    expected = None if table.expected is ReceiptForm.NONE else Notation(table.expected)
    form = _form(expected, sent)
    if form is None:
        wanted = "hl7" if expected is Notation.HL7 else "json or fhir"
        findings.error(("receipts", "expected"), f"charges.formats has no {wanted}, accepted: a form that is sent")
    rules = ResendRules(table.first_resend_s, table.longest_resend_s)
    return ReceiptPlan(expected, frozenset(table.of), form or Notation.JSON, rules)


def _form(expected: Notation | None, sent: Sequence[Notation]) -> Notation | None:
    """The form of a charge that the engine answers: an ACK answers HL7 alone, a JSON receipt what is no HL7."""
    match expected:
        case Notation.HL7:
            accepted = [Notation.HL7]
        case Notation.JSON:
            accepted = [Notation.JSON, Notation.FHIR]
        case _:
            accepted = [Notation.JSON, Notation.HL7, Notation.FHIR]
    return next((form for form in accepted if form in sent), None)
