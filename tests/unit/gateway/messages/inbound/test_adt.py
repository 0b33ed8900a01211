"""What `ADT` messages become: whom a chair serves, who has left, and what is left to a person."""

import msgspec
import pytest

from gateway.messages.identity import Identity, Merge
from gateway.messages.inbound.answers import ServedCaps
from gateway.session import facts
from gateway.session.facts import WorkKind
from tests.unit.gateway.messages.hl7_support import EMPTY, VISIT, WARD, accepted, facts_of, hl7, kinds, refusal
from tests.unit.gateway.messages.inbound.inbound_support import CAP, NOW, OTHER_CAP, us

ELSEWHERE = "INFB^BAY9^C99^DEMO"
TAKEN = msgspec.structs.replace(EMPTY, bound=ServedCaps({CAP: "s(other)"}), treated=frozenset(["s(other)"]))


@pytest.mark.parametrize("trigger", ["A01", "A04"])
def test_a_visit_that_opens_at_a_chair_binds_its_cap(trigger: str) -> None:
    assert facts_of(hl7("adt_a04_register", MSH_9=f"ADT^{trigger}"), EMPTY) == (
        facts.PatientBound(
            at_us=us("2026-03-10T12:45:00+00:00"),
            known_at_us=NOW,
            cap=CAP,
            patient=VISIT,
            evidence="ehr",
            msg="EHR|ADT000101",
        ),
    )
    assert accepted(hl7("adt_a04_register"), EMPTY).identities == (Identity(VISIT, "V770012", "90001234", "770012"),)


def test_a_chair_binds_nobody_where_its_cap_serves_another() -> None:
    (raised,) = facts_of(hl7("adt_a04_register"), TAKEN)
    assert isinstance(raised, facts.WorkRaised)
    assert (raised.what, raised.cap, raised.patient) == (WorkKind.CHAIR_TAKEN, CAP, VISIT)
    over = msgspec.structs.replace(TAKEN, is_done="s(other)".__eq__)
    assert kinds(hl7("adt_a04_register"), over) == ["PatientBound"], "the other one's cooling is over"
    assert kinds(hl7("adt_a04_register"), WARD) == [], "bound already, by better evidence"


def test_an_update_tells_identifiers_alone() -> None:
    answer = accepted(hl7("adt_a08_update"), EMPTY)
    assert (answer.facts, answer.identities[0].visit) == ((), "V770012")


def test_a_move_releases_the_old_cap_and_binds_the_new() -> None:
    moved = hl7("adt_a04_register", MSH_9="ADT^A02", PV1_3="INFA^BAY3^C13^DEMO")
    released, bound = facts_of(moved)
    assert isinstance(released, facts.PatientReleased)
    assert isinstance(bound, facts.PatientBound)
    assert (released.cap, bound.cap) == (CAP, OTHER_CAP)
    assert kinds(hl7("adt_a04_register", MSH_9="ADT^A02", PV1_3=ELSEWHERE)) == ["PatientReleased"]


def test_a_visit_that_closes_ends_the_cooling_of_all_its_caps() -> None:
    left, released = facts_of(hl7("adt_a03_end_visit"))
    closed_us = us("2026-03-10T17:25:00+00:00")
    assert left == facts.PatientLeft(at_us=closed_us, known_at_us=NOW, patient=VISIT, source="adt")
    assert isinstance(released, facts.PatientReleased)
    earlier = facts_of(hl7("adt_a03_end_visit", PV1_45="20260310120000-0400"))[0]
    assert earlier.at_us == us("2026-03-10T16:00:00+00:00"), "the discharge, not its recording"


def test_a_closed_visit_opens_again() -> None:
    assert kinds(hl7("adt_a03_end_visit", MSH_9="ADT^A13")) == ["DepartureCancelled"]
    assert kinds(hl7("adt_a03_end_visit", MSH_9="ADT^A13"), EMPTY) == ["DepartureCancelled", "PatientBound"]


def test_a_cancelled_visit_takes_its_bindings_back_and_asks_a_person() -> None:
    void, raised = facts_of(hl7("adt_a04_register", MSH_9="ADT^A11"))
    assert isinstance(void, facts.BindingVoided)
    assert (void.cap, void.patient) == (CAP, VISIT)
    assert isinstance(raised, facts.WorkRaised)
    assert raised.what is WorkKind.VISIT_CANCELLED
    assert refusal(hl7("adt_a04_register", MSH_9="ADT^A11"), EMPTY).startswith("ignored not-ours")


def test_numbers_that_were_joined_are_told() -> None:
    def joined(mrg: str, **changes: str) -> bytes:
        return hl7("adt_a08_update", MSH_9="ADT^A40^ADT_A39", **changes) + f"MRG|{mrg}\r".encode()

    assert accepted(joined("80000001^^^DEMO^MR"), EMPTY).merges == (Merge("mrn", "80000001", "90001234"),)
    both = accepted(joined("80000001^^^DEMO^MR||660012"), EMPTY)
    assert both.merges[1:] == (Merge("account", "660012", "770012"),)
    assert both.facts == ()
    shy = msgspec.structs.replace(EMPTY, words=msgspec.structs.replace(EMPTY.words, kept=frozenset()))
    assert accepted(joined("80000001^^^DEMO^MR"), shy).merges == ()
    assert refusal(joined("90001234^^^DEMO^MR"), EMPTY).startswith("rejected bad-data: MRG-1")


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A04", "A08", "A13"])
def test_patients_of_other_wards_are_none_of_its_business(trigger: str) -> None:
    payload = hl7("adt_a04_register", MSH_9=f"ADT^{trigger}", PV1_3=ELSEWHERE)
    assert refusal(payload, EMPTY).startswith("ignored not-ours")
