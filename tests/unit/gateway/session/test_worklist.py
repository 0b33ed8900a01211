"""What messages leave to a person, listed until somebody has dealt with it; and what the EHR takes back."""

from itertools import count

import msgspec

from gateway.session import facts
from gateway.session.attribution import sessions
from gateway.session.facts import AnyFact, CapRef, WorkKind
from gateway.session.worklist import REJECTED, assignments, open_work, said_of_work
from tests.unit.gateway.session.session_timelines import A1, at, day, follow, left, start

CAP = CapRef("cap-07", 1)


def raised(at_us: int, what: WorkKind = WorkKind.CHAIR_TAKEN) -> facts.WorkRaised:
    return facts.WorkRaised(at_us=at_us, known_at_us=at_us, what=what, cap=CAP, patient="B", msg=f"m{at_us}")


def test_an_item_is_open_until_a_person_has_dealt_with_it() -> None:
    first, second = raised(1), raised(2, WorkKind.VISIT_CANCELLED)
    items = open_work([second, first, msgspec.structs.replace(first, known_at_us=9)])
    assert {item.raised.what for item in items} == {"chair_taken", "visit_cancelled"}
    done = facts.WorkDone(at_us=9, known_at_us=9, item=items[0].id, cap=CAP, patient="B", person="rn-1")
    assert [item.id for item in open_work([first, second, done])] == [items[1].id]
    assert facts.decode_fact(facts.encode_fact(done)) == done


def test_items_whose_earlier_ids_are_equal_are_two() -> None:
    found: dict[str, facts.WorkRaised] = {}
    pair = next(
        (found[item.earlier_id], item.raised)
        for at_us in count(1)
        for item in open_work([raised(at_us)])
        if found.setdefault(item.earlier_id, item.raised) is not item.raised
    )
    one, other = open_work(pair)
    assert one.earlier_id == other.earlier_id
    done = facts.WorkDone(at_us=9, known_at_us=9, item=other.id, cap=CAP, patient="B", person="rn-1")
    assert open_work([*pair, done]) == (one,)


def test_what_ledgers_of_earlier_versions_say_of_an_item_holds() -> None:
    (item,) = open_work([raised(1)])
    assigned = facts.TaskAssigned(at_us=2, known_at_us=2, to="biomed", item=item.earlier_id, person="cm-7")
    assert item.among(assignments([assigned])) == assigned
    assert set(said_of_work([item.raised, assigned])) == {item.raised, assigned}
    done = facts.WorkDone(at_us=9, known_at_us=9, item=item.earlier_id, cap=CAP, patient="B", person="rn-1")
    assert open_work([item.raised, done]) == ()


def test_who_sees_to_rejected_messages_is_known_without_an_item() -> None:
    assigned = facts.TaskAssigned(at_us=2, known_at_us=2, to="biomed", item=REJECTED, person="cm-7")
    assert list(said_of_work([assigned])) == [assigned]


def test_the_last_word_says_who_sees_to_it() -> None:
    def said(at_us: int, to: str, **what: str) -> facts.TaskAssigned:
        return facts.TaskAssigned(at_us=at_us, known_at_us=at_us, to=to, person="cm-7", **what)

    session = said(2, "nurse", token="9RX2M7KQ4")
    known = [
        session,
        said(1, "charge", token="9RX2M7KQ4"),
        said(3, "m.curie", item="a1b2c3"),
        said(4, "", item="a1b2c3"),
    ]
    assert assignments(known) == {"9RX2M7KQ4": session}
    assert (session.concerns, known[2].concerns) == ((("token", "9RX2M7KQ4"),), (("work", ""),))


# --- a departure that was cancelled


def gone(t: str, rx: str, source: str = "adt") -> AnyFact:
    return facts.PatientLeft(at_us=at(t), known_at_us=at(rx), patient="P1", source=source)


def back(t: str, rx: str) -> AnyFact:
    return facts.DepartureCancelled(at_us=at(t), known_at_us=at(rx), patient="P1")


def units(*more: AnyFact) -> int:
    return len(follow(day(*more)).assessment.increments)


def test_a_cancelled_discharge_takes_back_what_the_ehr_told_before_it() -> None:
    assert units() == 3
    assert units(gone("11:20", "11:21")) == 1
    assert units(gone("11:20", "11:21"), back("11:25", "11:25")) == 3
    assert units(gone("11:20", "11:30"), back("11:25", "11:25")) == 1, "told after the cancellation"
    assert units(gone("11:30", "11:30"), back("11:25", "11:31")) == 1, "another departure, after it"
    assert units(gone("11:20", "11:21", source=""), back("11:25", "11:25")) == 1, "a person's word"
    assert units(left("11:20"), back("11:25", "11:25")) == 1


# --- a binding that was voided


def bound(t: str, rx: str, patient: str = "P1") -> AnyFact:
    return facts.PatientBound(at_us=at(t), known_at_us=at(rx), cap=A1, patient=patient)


def void(rx: str, patient: str = "P1") -> AnyFact:
    return facts.BindingVoided(at_us=at(rx), known_at_us=at(rx), cap=A1, patient=patient)


def owners(*received: AnyFact) -> list[str]:
    """Whose the cooling is, session by session."""
    return [session.patient for session in sessions(received) if session.cooled]


def test_a_voided_binding_is_as_if_it_had_never_been_told() -> None:
    cooling = start("09:00", patient="")
    assert owners(bound("08:50", "08:50"), cooling) == ["P1"]
    assert owners(bound("08:50", "08:50"), cooling, void("10:00")) == [""]
    assert owners(bound("08:50", "10:30"), cooling, void("10:00")) == ["P1"], "bound anew"
    assert owners(bound("08:50", "08:50"), cooling, void("10:00", "P2")) == ["P1"]
    assert owners(cooling, bound("08:40", "08:40", "P0"), bound("08:50", "08:50"), void("10:00")) == ["P0"]
