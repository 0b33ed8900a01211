"""Release: when the increments of a session become charges. Pure.

Theory of operation. Increments are provisional until the session is final: signed or past the window (P21), with no
readable cap of it still cooling. Then either something holds them, or their charge lines are charged, all at once. The
charges are an append-only log. After the first charge nothing more is charged silently: a later difference in the count
becomes a correction (corrections.py).

Holds are computed anew each time. A person may lift them by their codes, except those of an unknown patient, of a
clock that was wrong and of a policy that nobody approved, that was not in effect or that is a dry run. Lifting, signing
and explaining apply to the number of increments at that time: when there are more of them, the session is held again.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from gateway.session.assessment import Assessment
from gateway.session.charges import Charge, Keys, lines
from gateway.session.corrections import Account, CorrectionItem, corrected
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    EndSource,
    EvidenceLost,
    GatewayHold,
    HoldLifted,
    InfusionEndCorrected,
    InfusionEnded,
    PreparationCharted,
    SessionExplained,
    SessionFinalized,
)
from gateway.session.flags import HeldReason
from gateway.session.increments import LAST_REVISION, Emitted
from gateway.session.infusion import infusions
from gateway.session.lifts import lifts
from gateway.session.policy import Policy, ReleaseMode
from gateway.session.spans import US_PER_S
from gateway.session.statements import InfusionFact

# These follow from the pinned policy, which cannot change: nothing lifts them.
POLICY_HOLDS = frozenset({HeldReason.POLICY_UNAPPROVED, HeldReason.POLICY_NOT_EFFECTIVE, HeldReason.DRY_RUN})
UNLIFTABLE = POLICY_HOLDS | {HeldReason.UNBOUND, HeldReason.CLOCK_WRONG}
_CHEMO_ADMIN = frozenset({AgentClass.CHEMO, AgentClass.BIOLOGIC})


class ReleaseState(StrEnum):
    """Whether a session's increments are charged."""

    PROVISIONAL = "provisional"  # the session is not final
    HELD = "held"  # a person or evidence is needed first
    RELEASED = "released"  # charged, if there is anything to charge


class Release(msgspec.Struct, frozen=True):
    """The release state of a session, and what is charged or credited now."""

    state: ReleaseState
    reasons: tuple[HeldReason, ...] = ()
    charges: tuple[Charge, ...] = ()
    items: tuple[CorrectionItem, ...] = ()

    @property
    def open_items(self) -> tuple[CorrectionItem, ...]:
        """The corrections that wait for a person."""
        return tuple(item for item in self.items if not item.refused)


def release(
    assessment: Assessment,
    facts: Sequence[AnyFact],
    policy: Policy,
    patient: str,
    emitted: Sequence[Emitted],
    account: Account,
    own_holds: Iterable[HeldReason],
    now_us: int,
) -> Release:
    """The release at `now_us` of a session with `assessment` of `facts`; `patient` is "" while unknown.

    `emitted` is the current log of increments, `account` has the charges made of them before, and
    `own_holds` are those of `gateway_holds`.
    """
    final = _is_final(assessment, policy, account, now_us)
    lifted = _lifted(assessment, facts, account, policy, final=final)
    found = [*_holds(assessment, facts, policy, patient, emitted, now_us)]
    if any(isinstance(fact, EvidenceLost) for fact in facts):
        found.append(HeldReason.EVIDENCE_LOST)
    if final:
        found += _final_holds(assessment, facts, policy)
        if not account.charged and _is_signed_for_less(assessment, facts, policy):
            found.append(HeldReason.SIGNED_BEFORE)
    reasons = (*(reason for reason in found if reason not in lifted), *sorted(own_holds))
    if not final:
        return Release(ReleaseState.HELD if reasons else ReleaseState.PROVISIONAL, reasons)
    state = ReleaseState.HELD if reasons else ReleaseState.RELEASED
    releasable = [] if reasons else list(lines(assessment, policy, patient, account.token, emitted))
    if account.charged:
        charges, items = corrected(
            account, releasable, assessment.intervals, facts, policy, patient, held=bool(reasons)
        )
        return Release(state, reasons, charges, items)
    keys = Keys(account.token, ())
    return Release(state, reasons, tuple(Charge(key=key, line=line) for line in releasable if (key := keys.draw())))


def gateway_holds(facts: Sequence[AnyFact], policy: Policy, token: str) -> frozenset[HeldReason]:
    """Why the gateway itself holds the session of that token: what nobody has lifted since it found it last."""
    found = (fact for fact in facts if isinstance(fact, GatewayHold))
    own = [fact for fact in (*found, *lifts(facts, policy)) if fact.token == token]
    since_us: dict[HeldReason, int] = {}
    for fact in sorted(own, key=lambda fact: (fact.known_at_us, isinstance(fact, GatewayHold))):
        match fact:
            case GatewayHold():
                since_us[fact.hold] = fact.known_at_us
            case HoldLifted():
                lifted = set(fact.holds) - UNLIFTABLE
                since_us = {hold: at_us for hold, at_us in since_us.items() if hold not in lifted}
    return frozenset(since_us)


def may_count(assessment: Assessment, policy: Policy) -> bool:
    """Whether the cooling is long enough for an increment, if all of it came after the infusion's end."""
    return assessment.cooled_us >= policy.first_threshold_s * US_PER_S


def lacks_end(assessment: Assessment, policy: Policy) -> bool:
    """Whether cooling that may count cannot be counted, because the infusion's end is unknown."""
    return assessment.infusion_end is None and not assessment.orders_remain and may_count(assessment, policy)


def explanation(facts: Iterable[AnyFact]) -> SessionExplained | None:
    """The last statement of a person why nothing is charged."""
    said = [fact for fact in facts if isinstance(fact, SessionExplained)]
    return max(said, key=lambda fact: (fact.known_at_us, fact.at_us), default=None)


def _is_final(assessment: Assessment, policy: Policy, account: Account, now_us: int) -> bool:
    """P21; also if charged cooling proved to be another patient's. A signature replaces no missing infusion end."""
    if assessment.watched:
        return False
    over = assessment.finalised_us is not None and assessment.finalised_us <= now_us
    if account.charged:
        return over or assessment.started_us is None
    return over and not lacks_end(assessment, policy)


def _holds(
    assessment: Assessment,
    facts: Sequence[AnyFact],
    policy: Policy,
    patient: str,
    emitted: Iterable[Emitted],
    now_us: int,
) -> Iterator[HeldReason]:
    """The reasons that hold increments at any time, final or not."""
    if not patient:
        yield HeldReason.UNBOUND
    yield from assessment.held
    if is_lost(assessment, policy, now_us) and HeldReason.UNIT_LOST not in assessment.held:
        yield HeldReason.UNIT_LOST
    if any(each.revision == LAST_REVISION for each in emitted):
        yield HeldReason.REVISIONS_EXHAUSTED
    if explanation(facts) is not None:
        yield HeldReason.EXPLAINED


def is_lost(assessment: Assessment, policy: Policy, now_us: int) -> bool:
    """Whether its units are offline for `session_idle_s`, or were when it was closed, so the end was not observed."""
    if assessment.lost_us is None:
        return False
    closed = assessment.finalised_us is not None and assessment.finalised_us <= now_us
    return closed or assessment.lost_us + policy.session_idle_s * US_PER_S <= now_us


def _lifted(
    assessment: Assessment, facts: Sequence[AnyFact], account: Account, policy: Policy, *, final: bool
) -> set[str]:
    """The codes that a person lifted when there were at least as many increments as now."""
    units = len(assessment.increments)
    more_is_correction = bool(account.charged) and not policy.automatic_credit  # for a person to decide
    said = explanation(facts)
    lifted: set[str] = set()
    for fact in lifts(facts, policy):
        if more_is_correction or fact.units is None or units <= fact.units:
            before = said is not None and fact.known_at_us <= said.known_at_us
            lifted.update(code for code in fact.holds if not (before and code == HeldReason.EXPLAINED))
    if assessment.orders_remain:  # charted after the hold was lifted
        lifted.discard(HeldReason.CHEMO_ORDERS_REMAIN)
    if not final:  # only a person can close such a session
        lifted.discard(HeldReason.UNIT_LOST)
    return lifted - UNLIFTABLE


def _is_signed_for_less(assessment: Assessment, facts: Sequence[AnyFact], policy: Policy) -> bool:
    """Whether there are more increments than when a person signed, or later lifted a hold."""
    signed = [fact for fact in facts if isinstance(fact, SessionFinalized)]
    if not signed:
        return False
    seen = [fact.units for fact in lifts(facts, policy) if fact.units is not None]
    for fact in signed:
        if fact.units is not None:
            seen.append(fact.units)
        elif infusions((each for each in facts if each.known_at_us <= fact.known_at_us), policy).end is not None:
            return False
    return len(assessment.increments) > max(seen, default=0)


def _final_holds(assessment: Assessment, facts: Sequence[AnyFact], policy: Policy) -> Iterator[HeldReason]:
    """The reasons that hold increments only once the session is final."""
    if assessment.increments:
        if policy.require_preparation and not any(isinstance(fact, PreparationCharted) for fact in facts):
            yield HeldReason.PREPARATION_MISSING
        if policy.require_administration and not _administered(facts):
            yield HeldReason.ADMINISTRATION_MISSING
    if policy.release is ReleaseMode.DRY_RUN:
        yield HeldReason.DRY_RUN


def _administered(facts: Iterable[AnyFact]) -> bool:
    """Whether a source other than a pump reports the end of an agent given under chemotherapy administration codes.

    An agent whose class is only presumed is counted as chemotherapy, but is no evidence of it.
    """
    infusion = [fact for fact in facts if isinstance(fact, InfusionFact)]
    named = {fact.order for fact in infusion if fact.admin in _CHEMO_ADMIN and not fact.presumed}
    ends = [fact for fact in infusion if isinstance(fact, InfusionEnded | InfusionEndCorrected)]
    return any(fact.order in named and fact.source is not EndSource.PUMP for fact in ends)
