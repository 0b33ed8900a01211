"""Why increments are held, in words. Pure."""

from gateway.session.flags import HeldReason

HELD_TEXTS = {
    HeldReason.UNBOUND: "no patient is known",
    HeldReason.WEAK_EVIDENCE: "circulation is proven less well than the policy asks",
    HeldReason.POLICY_UNAPPROVED: "nobody has approved the policy",
    HeldReason.POLICY_NOT_EFFECTIVE: "the session began before the policy was in effect",
    HeldReason.UNIT_LOST: "nobody saw the end of cooling",
    HeldReason.AGENT_CLASS_UNKNOWN: "an order does not say what it infuses",
    HeldReason.CHEMO_ORDERS_REMAIN: "more chemotherapy is ordered",
    HeldReason.BEYOND_AUTO_RELEASE_LIMIT: "there are more units than are released without a look",
    HeldReason.BEYOND_ORDERED_DURATION: "cooling went on for longer than ordered",
    HeldReason.NO_ORDER: "an order for scalp cooling was looked for and not found",
    HeldReason.REVISIONS_EXHAUSTED: "a unit has moved too often",
    HeldReason.PREPARATION_MISSING: "nobody has charted the preparation",
    HeldReason.ADMINISTRATION_MISSING: "no report shows that chemotherapy was given",
    HeldReason.EVIDENCE_LOST: "a part of the ledger is lost that may have been about it",
    HeldReason.START_DISAGREES: "a start of the gateway gave other units than were published",
    HeldReason.IDENTITY_PURGED: "the identifiers of the patient are not kept any more",
    HeldReason.UNIT_SHARED: "another gateway read a unit of it too, or served its chair",
    HeldReason.CLOCK_WRONG: "the gateway's clock was wrong while it went on",
    HeldReason.TIME_UNKNOWN: "its cap cooled before while the gateway's clock was wrong, and nobody knows when",
    HeldReason.DRY_RUN: "the policy charges nothing",
    HeldReason.SIGNED_BEFORE: "more units stand than did when it was signed",
    HeldReason.EXPLAINED: "a person explained why nothing is charged",
}
