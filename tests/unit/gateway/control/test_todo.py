"""What waits for a person, made of what was published of the sessions."""

from gateway.control.todo import TodoKind, todo_items
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.corrections import CorrectionItem
from gateway.session.facts import CapRef
from gateway.session.flags import HeldReason
from gateway.session.outcome import Published, SessionRecord, SessionState
from gateway.session.policy import Policy
from gateway.session.release import ReleaseState


def difference(charge: str, *, refused: bool) -> CorrectionItem:
    return CorrectionItem(
        charge=charge, charged=2, counted=1, patient="p", reason=CorrectionReason.COUNT, refused=refused
    )


def todo_of(*corrections: CorrectionItem) -> list[tuple[TodoKind, tuple[str, ...]]]:
    """What waits of a session that is held after it was charged, with these corrections."""
    published = Published(
        phase=Phase.FINALIZED,
        patient="p",
        closed=True,
        finalised=True,
        release=ReleaseState.HELD,
        held=(HeldReason.NO_ORDER,),
        corrections=corrections,
        recorded_state=SessionState.HELD,
    )
    record = SessionRecord(token="S", cap=CapRef("u1", 1), policy=Policy(), opened_us=0, published=published)
    return [(item.kind, item.reasons) for item in todo_items([record], {}, (), 0, {}, 0)]


HELD = (TodoKind.HELD, (HeldReason.NO_ORDER,))


def test_a_correction_waits_until_it_is_decided() -> None:
    open_, refused = difference("A", refused=False), difference("B", refused=True)
    assert todo_of(refused, open_) == [HELD, (TodoKind.CORRECTION, (CorrectionReason.COUNT,))]


def test_a_refused_correction_waits_for_nobody() -> None:
    assert todo_of(difference("A", refused=True)) == [HELD]
