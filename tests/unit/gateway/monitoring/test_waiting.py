"""What waits for a person: counted by kind, aged by the oldest, and nothing that is done."""

from gateway.monitoring.waiting import Waiting, holds, waiting_sessions, waiting_work
from gateway.session.assessment import Phase
from gateway.session.facts import CapRef, WorkDone, WorkKind, WorkRaised
from gateway.session.flags import HeldReason
from gateway.session.outcome import Published, SessionRecord, SessionState
from gateway.session.policy import Policy
from gateway.session.worklist import item_id

HOUR_US = 3_600_000_000


def record(token: str, opened_us: int, state: SessionState, *held: HeldReason) -> SessionRecord:
    published = Published(Phase.WAITING, held=held, recorded_state=state)
    return SessionRecord(token=token, cap=CapRef("u1", 1), policy=Policy(), opened_us=opened_us, published=published)


RECORDS = (
    record("A", 1 * HOUR_US, SessionState.HELD, HeldReason.NO_ORDER, HeldReason.UNIT_LOST),
    record("B", 2 * HOUR_US, SessionState.HELD, HeldReason.NO_ORDER),
    record("C", 0, SessionState.RELEASED),
    record("D", 0, SessionState.HELD, HeldReason.DRY_RUN),  # it would have been charged: done
    record("E", 3 * HOUR_US, SessionState.INCOMPLETE),
)


def test_sessions_are_counted_by_state_and_aged_by_the_oldest() -> None:
    assert waiting_sessions(RECORDS, 4 * HOUR_US) == {
        SessionState.HELD: Waiting(2, 3 * 3600.0),
        SessionState.INCOMPLETE: Waiting(1, 3600.0),
    }


def test_each_reason_counts_the_sessions_that_it_holds() -> None:
    assert holds(RECORDS) == {HeldReason.NO_ORDER: 2, HeldReason.UNIT_LOST: 1}


def test_open_items_are_counted_by_kind_until_they_are_done() -> None:
    raised = [
        WorkRaised(at_us=0, known_at_us=hour * HOUR_US, what=what, patient=str(hour))
        for hour, what in enumerate((WorkKind.CHAIR_TAKEN, WorkKind.UNKNOWN_WORD, WorkKind.UNKNOWN_WORD))
    ]
    done = WorkDone(at_us=0, known_at_us=0, item=item_id(raised[0]), person="rn-1", reason="settled")
    assert waiting_work([*raised, done], 3 * HOUR_US) == {WorkKind.UNKNOWN_WORD: Waiting(2, 2 * 3600.0)}
