"""The sessions of days, each in exactly one place: opened = charged + held + rejected + corrected + provisional."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import msgspec

from gateway.audit.sessions import RecordedSession
from gateway.ledger.deliveries import Proof
from gateway.session.charges import charged_units
from gateway.session.release import ReleaseState


class SessionPlace(StrEnum):
    """What became of a session."""

    CHARGED = "charged"
    HELD = "held"  # a person or evidence is needed first
    REJECTED = "rejected"  # final, and nothing to charge
    CORRECTED = "corrected"  # credited, or a charge of it is in question
    PROVISIONAL = "provisional"  # not final


class Placed(msgspec.Struct, frozen=True):
    """A session and its place; `attained` and `charged` are units."""

    session: str
    place: SessionPlace
    reason: str
    attained: int
    charged: int
    proofs: Mapping[str, Proof]  # of its charges and credits, by key
    opened_us: int


class Reconciled(msgspec.Struct, frozen=True):
    """Sessions in their places, and those that the ledger names without ever opening them."""

    placed: tuple[Placed, ...]
    unopened: tuple[str, ...]

    def count(self, place: SessionPlace) -> int:
        """How many sessions have that place."""
        return sum(each.place is place for each in self.placed)

    @property
    def proven(self) -> Counter[Proof]:
        """Charges and credits of them by whether the engine has them; what it was never asked about is unproven."""
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

    `unopened` are tokens that entries have and no session; `proofs_of` gives what is known of a session's messages to
    the engine.
    """
    return Reconciled(tuple(_place(each, proofs_of(each.token)) for each in sessions), tuple(sorted(unopened)))


def _place(session: RecordedSession, proofs: Mapping[str, Proof]) -> Placed:
    place, reason = _place_of(session)
    known = {key: Proof.UNPROVEN if proof is Proof.ORDERED else proof for key, proof in proofs.items()}
    of_charges = {each.key: known.get(each.key, Proof.UNPROVEN) for each in session.charges}
    attained, charged = len(session.standing), charged_units(session.charges)
    return Placed(session.token, place, reason, attained, charged, of_charges, session.counted.opened.at_us)


def _place_of(session: RecordedSession) -> tuple[SessionPlace, str]:
    published = session.published
    if session.counted.replaced_by:
        return SessionPlace.REJECTED, f"goes on as {session.counted.replaced_by}"
    in_question = [item for item in published.corrections if not item.refused] if published is not None else []
    if in_question:
        return SessionPlace.CORRECTED, "a person must decide"
    if any(each.reverses for each in session.charges):
        return SessionPlace.CORRECTED, "credited"
    if session.charges:
        return SessionPlace.CHARGED, ""
    if published is None:
        return SessionPlace.PROVISIONAL, "nothing was told of it"
    if published.finalised and not session.standing:
        return SessionPlace.REJECTED, "no increment stands"
    if published.release is ReleaseState.HELD:
        return SessionPlace.HELD, ", ".join(published.held)
    return SessionPlace.PROVISIONAL, published.phase
