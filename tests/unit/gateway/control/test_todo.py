"""What waits for a person, made of what was published of the sessions."""

from gateway.control.todo import Rejected, TodoKind, todo_items
from gateway.session.assessment import Phase
from gateway.session.charges import CorrectionReason
from gateway.session.corrections import CorrectionItem
from gateway.session.facts import AnyFact, CapRef, HoldLifted, TaskAssigned, WorkKind, WorkRaised
from gateway.session.flags import HeldReason
from gateway.session.increments import Emitted
from gateway.session.known_facts import KnownFacts
from gateway.session.outcome import Published, SessionRecord, SessionState
from gateway.session.policies import policies_of
from gateway.session.policy import Policy
from gateway.session.release import ReleaseState
from gateway.session.session_index import SessionIndex
from gateway.session.state import TrackerState
from gateway.session.worklist import REJECTED, open_work

CAP = CapRef("u1", 1)


def state_of(*records: SessionRecord, facts: tuple[AnyFact, ...] = ()) -> TrackerState:
    """The tracker's state with these sessions."""
    return TrackerState(policies_of(()), KnownFacts().added(facts), SessionIndex().updated(records))


def waiting(
    token: str, state: SessionState, opened_us: int = 0, units: int = 0, policy: Policy | None = None
) -> SessionRecord:
    """A session of so many units that waits in that state."""
    emitted = tuple(Emitted(index=index, revision="A", attained_at_us=1) for index in range(units))
    held = (HeldReason.NO_ORDER,)
    published = Published(phase=Phase.ENDED, closed=True, release=ReleaseState.HELD, held=held, recorded_state=state)
    return SessionRecord(
        token=token, cap=CAP, policy=policy or Policy(), opened_us=opened_us, emitted=emitted, published=published
    )


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
    return [(item.kind, item.reasons) for item in todo_items(state_of(record), {}, Rejected(), {}, 0)]


HELD = (TodoKind.HELD, (HeldReason.NO_ORDER,))


def test_a_correction_waits_until_it_is_decided() -> None:
    open_, refused = difference("A", refused=False), difference("B", refused=True)
    assert todo_of(refused, open_) == [HELD, (TodoKind.CORRECTION, (CorrectionReason.COUNT,))]


def test_a_refused_correction_waits_for_nobody() -> None:
    assert todo_of(difference("A", refused=True)) == [HELD]


def test_incomplete_sessions_come_first_then_what_costs_most_and_what_waits_longest() -> None:
    state = state_of(
        waiting("YOUNG", SessionState.HELD, opened_us=9_000_000, units=2),
        waiting("OLD", SessionState.HELD, opened_us=8_000_000, units=2),
        waiting("DEAR", SessionState.HELD, opened_us=9_000_000, units=3),
        waiting("UNKNOWN", SessionState.INCOMPLETE, opened_us=9_000_000),
        facts=(WorkRaised(at_us=1, known_at_us=1, what=WorkKind.CHAIR_TAKEN, cap=CAP),),
    )
    found = todo_items(state, {}, Rejected(4, oldest_us=5_000_000), {CAP: "c01"}, 10)
    assert [item.token or item.kind for item in found] == [
        "UNKNOWN", "DEAR", "OLD", "YOUNG", TodoKind.CONTRADICTION, TodoKind.REJECTED
    ]  # fmt: skip
    assert found[-1].since == "1970-01-01T00:00:05.000Z"


def test_rejected_messages_say_of_which_chairs_they_are_as_far_as_that_is_known() -> None:
    state = state_of(waiting("S", SessionState.RELEASED), waiting("T", SessionState.RELEASED))
    for sessions, chair in (({"S", "T", "LEFT"}, "c01"), ({"LEFT"}, None)):
        rejected = Rejected(3, oldest_us=5_000_000, sessions=frozenset(sessions))
        (item,) = todo_items(state, {}, rejected, {CAP: "c01"}, 10)
        assert (item.kind, item.reasons, item.chair) == (TodoKind.REJECTED, ("3",), chair)


def test_who_sees_to_rejected_messages_sees_not_to_those_that_came_later() -> None:
    said = TaskAssigned(at_us=6_000_000, known_at_us=6_000_000, item=REJECTED, to="biomed", person="cm-7")
    for oldest_us, to in ((5_000_000, "biomed"), (7_000_000, None)):
        (item,) = todo_items(state_of(facts=(said,)), {}, Rejected(3, oldest_us=oldest_us), {}, 10)
        assert (item.item, item.assigned and item.assigned.to) == (REJECTED, to)


def test_an_item_says_who_sees_to_it_and_whose_lift_waits_for_a_second_person() -> None:
    raised = WorkRaised(at_us=1, known_at_us=1, what=WorkKind.CHAIR_TAKEN, cap=CAP)
    (work,) = open_work([raised])
    said = (
        raised,
        TaskAssigned(at_us=2, known_at_us=2, item=work.id, to="biomed", person="cm-7"),
        TaskAssigned(at_us=3, known_at_us=3, token="S", to="charge", person="rn-1"),
        HoldLifted(at_us=4, known_at_us=4, token="S", holds=("no_order",), units=1, person="cm-7", login="page:cm-7"),
    )
    for asks, seconds in ((True, [("no_order", "cm-7")]), (False, [])):
        policy = Policy(second_person=asks)
        record = waiting("S", SessionState.HELD, units=1, policy=policy)
        held, contradiction = todo_items(state_of(record, facts=said), {}, Rejected(), {}, 10)
        assert [(each.hold, each.person) for each in held.seconds] == seconds
        assert held.assigned is not None
        assert contradiction.assigned is not None
        assert [(each.to, each.person) for each in (held.assigned, contradiction.assigned)] == [
            ("charge", "rn-1"), ("biomed", "cm-7")
        ]  # fmt: skip
