"""Release: when the increments of a session become charges. Pure.

Theory of operation. Increments are provisional until the session is final: signed or past the window (P21), and no
readable cap of it still cooling. Then either something holds them, or the lines that they make are charged, all at
once. The charges are a log that only grows. Once there is any of it, nothing more is charged silently: what the count
gives later is a correction (corrections.py).

Holds are found anew each time and a person may lift them by their codes, except those of an unknown patient and of an
unapproved or dry-run policy.
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
    HoldLifted,
    InfusionEndCorrected,
    InfusionEnded,
    PreparationCharted,
)
from gateway.session.flags import HeldReason
from gateway.session.increments import LAST_REVISION, Emitted
from gateway.session.infusion import INFUSION_FACTS
from gateway.session.policy import Policy, ReleaseMode

POLICY_HOLDS = frozenset({HeldReason.POLICY_UNAPPROVED, HeldReason.DRY_RUN})  # pinned: nothing lifts them
UNLIFTABLE = POLICY_HOLDS | {HeldReason.UNBOUND}
_CHEMO_ADMIN = frozenset({AgentClass.CHEMO, AgentClass.BIOLOGIC})


class ReleaseState(StrEnum):
    """Whether increments become charges."""

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
    now_us: int,
) -> Release:
    """What `assessment` of `facts` releases at `now_us`; `patient` is "" while nobody is known.

    `emitted` is the log of increments as it stands, `account` what was charged of them before.
    """
    final = _is_final(assessment, account, now_us)
    lifted = {code for fact in facts if isinstance(fact, HoldLifted) for code in fact.holds} - UNLIFTABLE
    found = [*_holds(assessment, patient, emitted)]
    if final:
        found += _final_holds(assessment, facts, policy)
    reasons = tuple(reason for reason in found if reason not in lifted)
    if not final:
        return Release(ReleaseState.HELD if reasons else ReleaseState.PROVISIONAL, reasons)
    state = ReleaseState.HELD if reasons else ReleaseState.RELEASED
    releasable = [] if reasons else list(lines(assessment, policy, patient, account.token, emitted))
    if account.charged:
        charges, items = corrected(account, releasable, facts, policy, patient, held=bool(reasons))
        return Release(state, reasons, charges, items)
    keys = Keys(account.token, ())
    return Release(state, reasons, tuple(Charge(key=key, line=line) for line in releasable if (key := keys.draw())))


def _is_final(assessment: Assessment, account: Account, now_us: int) -> bool:
    """P21; also where the cooling proved to be another's after it was charged."""
    over = assessment.finalised_us is not None and assessment.finalised_us <= now_us
    emptied = bool(account.charged) and assessment.started_us is None
    return (over or emptied) and not assessment.watched


def _holds(assessment: Assessment, patient: str, emitted: Iterable[Emitted]) -> Iterator[HeldReason]:
    """What holds increments from the first on."""
    if not patient:
        yield HeldReason.UNBOUND
    yield from assessment.held
    if any(each.revision == LAST_REVISION for each in emitted):
        yield HeldReason.REVISIONS_EXHAUSTED


def _final_holds(assessment: Assessment, facts: Sequence[AnyFact], policy: Policy) -> Iterator[HeldReason]:
    """What a claim needs besides, asked for once the session is final."""
    if assessment.increments:
        if policy.require_preparation and not any(isinstance(fact, PreparationCharted) for fact in facts):
            yield HeldReason.PREPARATION_MISSING
        if policy.require_administration and not _administered(facts):
            yield HeldReason.ADMINISTRATION_MISSING
    if policy.release is ReleaseMode.DRY_RUN:
        yield HeldReason.DRY_RUN


def _administered(facts: Iterable[AnyFact]) -> bool:
    """Whether another source than a pump reports the end of an agent given under chemotherapy administration codes.

    An agent whose class is only presumed is counted like one, and is no evidence of one.
    """
    infusion = [fact for fact in facts if isinstance(fact, INFUSION_FACTS)]
    named = {fact.order for fact in infusion if fact.admin in _CHEMO_ADMIN and not fact.presumed}
    ends = [fact for fact in infusion if isinstance(fact, InfusionEnded | InfusionEndCorrected)]
    return any(fact.order in named and fact.source is not EndSource.PUMP for fact in ends)
