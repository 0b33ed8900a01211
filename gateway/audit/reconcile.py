"""Reconciliation of sessions: each one is in exactly one place (charged, held, ...), with the reason in words."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from gateway.audit.reasons import (
    AnothersCooling,
    AnyReason,
    Continued,
    CooledTooLittle,
    Credited,
    Explained,
    Held,
    NotFinal,
    NothingStands,
    Refused,
    Undecided,
    Unknown,
    Untold,
    words,
)
from gateway.audit.sessions import RecordedSession
from gateway.ledger.deliveries import Proof
from gateway.session.assessment import Phase
from gateway.session.charges import charged_units
from gateway.session.facts import CorrectionDecided
from gateway.session.outcome import Missing, SessionState
from gateway.session.release import ReleaseState, explanation


class SessionPlace(StrEnum):
    """The result of a session, for reconciliation."""

    CHARGED = "charged"
    HELD = "held"  # a person or evidence is needed first
    INCOMPLETE = "incomplete"  # patient or infusion end are unknown, so nothing can be counted
    EXPLAINED = "explained"  # a person stated why nothing is charged
    REJECTED = "rejected"  # nothing to charge
    CORRECTED = "corrected"  # a charge was credited, or is in question
    PROVISIONAL = "provisional"  # not final


class Placed(msgspec.Struct, frozen=True):
    """A session and its place; `attained` and `charged` are units."""

    session: str
    place: SessionPlace
    reasons: tuple[AnyReason, ...]  # none where a plain charge needs none
    attained: int
    charged: int
    proofs: Mapping[str, Proof]  # delivery states of its charges and credits, by key
    opened_us: int

    @property
    def why(self) -> str:
        """The reasons in English words."""
        return words(self.reasons)


class Reconciled(msgspec.Struct, frozen=True):
    """Sessions in their places, and tokens in the ledger that no SessionOpened fact opens."""

    placed: tuple[Placed, ...]
    unopened: tuple[str, ...]

    def count(self, place: SessionPlace) -> int:
        """The number of sessions in that place."""
        return sum(each.place is place for each in self.placed)

    @property
    def proven(self) -> Counter[Proof]:
        """The number of charges and credits by delivery state; those that are not followed are unproven."""
        return Counter(proof for each in self.placed for proof in each.proofs.values())

    @property
    def remainder(self) -> int:
        """Sessions without a place; 0 if all is well."""
        return len(self.placed) + len(self.unopened) - sum(self.count(place) for place in SessionPlace)


def reconcile(
    sessions: Iterable[RecordedSession],
    unopened: Iterable[str],
    proofs_of: Callable[[str], Mapping[str, Proof]] = lambda _: {},
) -> Reconciled:
    """The sessions, each in its place.

    `unopened` are tokens of entries without a session; `proofs_of` gives the delivery states of a session's messages.
    """
    return Reconciled(tuple(place(each, proofs_of(each.token)) for each in sessions), tuple(sorted(unopened)))


def place(session: RecordedSession, proofs: Mapping[str, Proof]) -> Placed:
    """The session's place; `proofs` are the delivery states of its messages."""
    where, *reasons = _place_of(session)
    as_shown = {Proof.ORDERED: Proof.UNPROVEN, Proof.STORED: Proof.PENDING}
    known = {key: as_shown.get(proof, proof) for key, proof in proofs.items()}
    of_charges = {each.key: known.get(each.key, Proof.UNPROVEN) for each in session.charges}
    attained, charged = len(session.increments), charged_units(session.charges)
    return Placed(session.token, where, tuple(reasons), attained, charged, of_charges, session.counted.opened.at_us)


def _place_of(session: RecordedSession) -> tuple[SessionPlace, *tuple[AnyReason, ...]]:
    published = session.published
    if session.counted.replaced_by:
        return SessionPlace.REJECTED, Continued(session.counted.replaced_by)
    in_question = [item for item in published.corrections if not item.refused] if published is not None else []
    if in_question:
        return SessionPlace.CORRECTED, Undecided()
    if any(each.reverses for each in session.charges):
        return SessionPlace.CORRECTED, Credited(), *_refusals(session)
    if session.charges:
        return SessionPlace.CHARGED, *_refusals(session)
    if published is None:
        return SessionPlace.PROVISIONAL, Untold()
    match published.state:
        case SessionState.EXPLAINED:
            said = explanation(session.counted.session.facts)
            return SessionPlace.EXPLAINED, *(() if said is None else (Explained(said.person, said.reason),))
        case SessionState.INCOMPLETE:
            return SessionPlace.INCOMPLETE, Unknown(tuple(_unknown(session)))
        case SessionState.RELEASED:
            return SessionPlace.REJECTED, NothingStands()
        case SessionState.FINAL:
            another = published.phase is Phase.WAITING
            return SessionPlace.REJECTED, AnothersCooling() if another else CooledTooLittle()
        case SessionState.HELD | SessionState.OPEN if published.release is ReleaseState.HELD:
            return SessionPlace.HELD, Held(published.held)
        case SessionState.HELD | SessionState.OPEN:
            return SessionPlace.PROVISIONAL, NotFinal(published.phase)


def _refusals(session: RecordedSession) -> Iterator[Refused]:
    """The corrections of charges that were refused although the count differs."""
    refused = [item for item in session.published.corrections if item.refused] if session.published is not None else []
    for item in refused:
        said = [
            fact
            for fact in session.counted.session.facts
            if isinstance(fact, CorrectionDecided) and fact.charge == item.charge and not fact.approved
        ]
        by = max(said, key=lambda fact: (fact.known_at_us, fact.at_us), default=None)
        whom = ("", None) if by is None else (by.person, by.known_at_us)
        yield Refused(item.charge, item.charged, item.counted, *whom)


def _unknown(session: RecordedSession) -> Iterator[Missing]:
    missing = session.counted.outcome.missing
    yield from (each for each in (Missing.PATIENT, Missing.INFUSION_END) if each in missing)
