"""Reconciliation of sessions: each one is in exactly one place (charged, held, ...), with the reason in words."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from gateway.audit.sessions import RecordedSession
from gateway.ledger.deliveries import Proof
from gateway.messages.instants import rfc3339
from gateway.session.assessment import Phase
from gateway.session.charges import charged_units
from gateway.session.facts import CorrectionDecided
from gateway.session.flags import HeldReason
from gateway.session.held_texts import HELD_TEXTS
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
    reason: str
    attained: int
    charged: int
    proofs: Mapping[str, Proof]  # delivery states of its charges and credits, by key
    opened_us: int

    @property
    def why(self) -> str:
        """The reason in words; "" where a plain charge needs none."""
        if self.place is not SessionPlace.HELD:
            return self.reason
        return "; ".join(HELD_TEXTS[HeldReason(code)] for code in self.reason.split(", "))


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
    where, reason = _place_of(session)
    as_shown = {Proof.ORDERED: Proof.UNPROVEN, Proof.STORED: Proof.PENDING}
    known = {key: as_shown.get(proof, proof) for key, proof in proofs.items()}
    of_charges = {each.key: known.get(each.key, Proof.UNPROVEN) for each in session.charges}
    attained, charged = len(session.increments), charged_units(session.charges)
    return Placed(session.token, where, reason, attained, charged, of_charges, session.counted.opened.at_us)


def _place_of(session: RecordedSession) -> tuple[SessionPlace, str]:
    published = session.published
    if session.counted.replaced_by:
        return SessionPlace.REJECTED, f"goes on as {session.counted.replaced_by}"
    in_question = [item for item in published.corrections if not item.refused] if published is not None else []
    if in_question:
        return SessionPlace.CORRECTED, "a person must decide"
    if any(each.reverses for each in session.charges):
        return SessionPlace.CORRECTED, "; ".join(["credited", *_refusals(session)])
    if session.charges:
        return SessionPlace.CHARGED, "; ".join(_refusals(session))
    if published is None:
        return SessionPlace.PROVISIONAL, "nothing was told of it"
    match published.state:
        case SessionState.EXPLAINED:
            said = explanation(session.counted.session.facts)
            return SessionPlace.EXPLAINED, "" if said is None else f"by {said.person}: {said.reason}"
        case SessionState.INCOMPLETE:
            return SessionPlace.INCOMPLETE, f"unknown: {', '.join(_unknown(session))}"
        case SessionState.RELEASED:
            return SessionPlace.REJECTED, "no increment stands"
        case SessionState.FINAL:
            another = published.phase is Phase.WAITING
            return SessionPlace.REJECTED, "its cooling is another's" if another else "it cooled too little"
        case SessionState.HELD | SessionState.OPEN if published.release is ReleaseState.HELD:
            return SessionPlace.HELD, ", ".join(published.held)
        case SessionState.HELD | SessionState.OPEN:
            return SessionPlace.PROVISIONAL, published.phase


def _refusals(session: RecordedSession) -> Iterator[str]:
    """By whom and when a correction of a charge was refused although the count differs."""
    refused = [item for item in session.published.corrections if item.refused] if session.published is not None else []
    for item in refused:
        said = [
            fact
            for fact in session.counted.session.facts
            if isinstance(fact, CorrectionDecided) and fact.charge == item.charge and not fact.approved
        ]
        by = max(said, key=lambda fact: (fact.known_at_us, fact.at_us), default=None)
        whom = "" if by is None else f" by {by.person} at {rfc3339(by.known_at_us)}"
        yield f"{item.charge}: {item.charged} charged, {item.counted} counted, difference refused{whom}"


def _unknown(session: RecordedSession) -> Iterator[str]:
    missing = session.counted.outcome.missing
    yield from (each for each in (Missing.PATIENT, Missing.INFUSION_END) if each in missing)
