"""From the [receipts] table to what the gateway expects of the engine."""

from collections.abc import Sequence

from gateway.config.problems import Problems
from gateway.config.tables import ReceiptForm, ReceiptsTable
from gateway.ledger.deliveries import ResendRules
from gateway.ledger.receipt_plan import ReceiptPlan, Thing
from gateway.messages.notation import Notation


def resolve_receipts(problems: Problems, table: ReceiptsTable, sent: Sequence[Notation]) -> ReceiptPlan:
    """The plan, where charges are `sent` in these forms; what contradicts itself is found as an error."""
    if table.longest_resend_s < table.first_resend_s:
        problems.error(("receipts", "longest_resend_s"), "shorter than first_resend_s, accepted: at least as long")
    if Thing.INCREMENT in table.of and table.expected is ReceiptForm.HL7:
        problems.error(("receipts", "of"), 'increments are sent as JSON alone, accepted with expected = "hl7": charge')
    expected = None if table.expected is ReceiptForm.NONE else Notation(table.expected)
    form = _form(expected, sent)
    if form is None:
        wanted = "hl7" if expected is Notation.HL7 else "json or fhir"
        problems.error(("receipts", "expected"), f"charges.formats has no {wanted}, accepted: a form that is sent")
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
