"""What `ADT` messages become: whom a chair serves, who has left, and what is left to a person."""

import msgspec
import pytest

from gateway.messages.identity import Identity, Merge, Number, NumberKind
from gateway.messages.inbound.answers import ReaderSite, ServedCaps
from gateway.session import facts
from gateway.session.facts import WorkKind
from tests.unit.gateway.messages.hl7_support import (
    EHR_SITE,
    EMPTY,
    VISIT,
    accepted,
    facts_of,
    hl7,
    kinds,
    knowing,
    refusal,
)
from tests.unit.gateway.messages.inbound.inbound_support import CAP, NOW, OTHER_CAP, us

ELSEWHERE = "INFB^BAY9^C99^DEMO"
WHO = Identity(
    VISIT,
    "V770012",
    "90001234",
    "770012",
    visit_authority="DEMO",
    mrn_authority="DEMO",
    account_authority="DEMO",
)
KNOWN = knowing(EHR_SITE, WHO)
TAKEN = msgspec.structs.replace(EMPTY, bound=ServedCaps({CAP: "s(other)"}), treated=frozenset(["s(other)"]))


def work(payload: bytes, site: ReaderSite) -> list[facts.WorkRaised]:
    return [fact for fact in facts_of(payload, site) if isinstance(fact, facts.WorkRaised)]


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
    assert accepted(hl7("adt_a04_register"), EMPTY).identities == (WHO,)


@pytest.mark.parametrize("trigger", ["A01", "A02", "A04"])
def test_a_visit_that_arrives_in_the_suite_without_a_chair_waits(trigger: str) -> None:
    suite = msgspec.structs.replace(EMPTY, words=msgspec.structs.replace(EMPTY.words, location="infa"))
    answer = accepted(hl7("adt_a04_register", MSH_9=f"ADT^{trigger}", PV1_3="INFA^^^DEMO"), suite)
    assert (answer.facts, answer.arrived, answer.identities) == ((), VISIT, (WHO,))
    for place in ("INFB", "INFA^BAY9", "INFA^^C99", "", "^BAY9"):
        assert refusal(hl7("adt_a04_register", MSH_9=f"ADT^{trigger}", PV1_3=place), suite).startswith("ignored"), place
    assert refusal(hl7("adt_a04_register", PV1_3="INFA"), EMPTY).startswith("ignored not-ours"), "no suite is named"
    assert not accepted(hl7("adt_a04_register"), suite).arrived, "it has a chair"


def test_a_chair_binds_nobody_where_its_cap_serves_another() -> None:
    (raised,) = facts_of(hl7("adt_a04_register"), TAKEN)
    assert isinstance(raised, facts.WorkRaised)
    assert (raised.what, raised.cap, raised.patient) == (WorkKind.CHAIR_TAKEN, CAP, VISIT)
    over = msgspec.structs.replace(TAKEN, is_done="s(other)".__eq__)
    assert kinds(hl7("adt_a04_register"), over) == ["PatientBound"], "the other one's cooling is over"
    assert kinds(hl7("adt_a04_register"), EHR_SITE) == [], "bound already, by better evidence"


def test_an_update_binds_whom_no_message_placed_before() -> None:
    assert kinds(hl7("adt_a08_update"), EMPTY) == ["PatientBound"]
    for site in (EHR_SITE, msgspec.structs.replace(EMPTY, was_served={VISIT}.__contains__)):
        assert facts_of(hl7("adt_a08_update"), site) == (), "has it, or had one and has left"
    assert [fact.what for fact in work(hl7("adt_a08_update"), TAKEN)] == [WorkKind.CHAIR_TAKEN]


def test_an_update_moves_nobody_whose_cap_is_elsewhere() -> None:
    (raised,) = work(hl7("adt_a08_update", PV1_3="INFA^BAY3^C13^DEMO"), EHR_SITE)
    assert (raised.what, raised.cap, raised.patient) == (WorkKind.MOVED_ELSEWHERE, OTHER_CAP, VISIT)


@pytest.mark.parametrize("visit", ["V770012", ""])
def test_what_changes_of_a_person_is_told_to_the_sessions_under_way(visit: str) -> None:
    changed = hl7("adt_a08_update", MSH_9="ADT^A31^ADT_A05", PV1_3="", PV1_19=visit, PID_18="")
    site = msgspec.structs.replace(
        KNOWN, words=msgspec.structs.replace(EHR_SITE.words, kept=frozenset({"mrn", "name"}))
    )
    answer = accepted(changed, site)
    assert answer.facts == ()
    assert [(each.subject, each.visit, each.name) for each in answer.identities] == [
        (VISIT, "V770012", "TESTPATIENT^ALPHA")
    ]
    other = hl7("adt_a08_update", MSH_9="ADT^A31^ADT_A05", PV1_3="", PV1_19="", PID_3="1^^^DEMO^MR", PID_18="")
    assert refusal(other, site).startswith("ignored not-ours")


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


def changing(trigger: str, mrg: str, **changes: str) -> bytes:
    return hl7("adt_a08_update", MSH_9=f"ADT^{trigger}", **changes) + f"MRG|{mrg}\r".encode()


def change(kind: NumberKind, old: str, new: str, by: NumberKind | None = None, of: str = "DEMO") -> Merge:
    return Merge(kind, Number(old, of), Number(new, "DEMO"), by or kind)


OLD_MRN = "80000001^^^DEMO^MR"
MRN, ACCOUNT = change("mrn", "80000001", "90001234"), change("account", "660012", "770012")
NEW_VISIT = change("visit", "V1", "V770012")


@pytest.mark.parametrize(
    "trigger", ["A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A43", "A46", "A47", "A49"]
)
def test_numbers_that_change_are_told(trigger: str) -> None:
    assert accepted(changing(trigger, OLD_MRN), EMPTY).merges == (MRN,)
    both = accepted(changing(trigger, f"{OLD_MRN}||660012^^^DEMO"), EMPTY)
    assert (both.merges, both.facts) == ((MRN, ACCOUNT), ())
    shy = msgspec.structs.replace(EMPTY, words=msgspec.structs.replace(EMPTY.words, kept=frozenset()))
    assert accepted(changing(trigger, OLD_MRN), shy).merges == ()
    assert refusal(changing(trigger, "90001234^^^DEMO^MR"), EMPTY).startswith("rejected bad-data: MRG-1")


@pytest.mark.parametrize("trigger", ["A42", "A50", "A06", "A07"])
def test_a_visit_that_gets_another_number_stays_the_same_visit(trigger: str) -> None:
    answer = accepted(changing(trigger, "90001234^^^DEMO^MR||||V1^^^DEMO"), EHR_SITE)
    assert (answer.merges, answer.facts) == ((NEW_VISIT,), ())
    alternate = msgspec.structs.replace(EHR_SITE.words, visit_from=("PV1-50", "PV1-19"))
    renamed = changing("A51", "90001234^^^DEMO^MR|||||ALT1^^^DEMO", PV1_50="ALT2^^^DEMO")
    site = msgspec.structs.replace(EHR_SITE, words=alternate)
    assert accepted(renamed, site).merges == (change("visit", "ALT1", "ALT2"),)


def test_a_visit_that_becomes_inpatient_moves_under_its_new_number() -> None:
    payload = changing("A06", "90001234^^^DEMO^MR||||V770012^^^DEMO", PV1_19="V9", PV1_3="INFA^BAY3^C13^DEMO")
    answer = accepted(payload, EHR_SITE)
    assert answer.merges == (Merge("visit", Number("V770012", "DEMO"), Number("V9"), "visit"),)
    assert [(type(fact).__name__, getattr(fact, "patient", "")) for fact in answer.facts] == [
        ("PatientReleased", VISIT),
        ("PatientBound", VISIT),
    ]
    assert kinds(hl7("adt_a04_register", MSH_9="ADT^A07", PV1_3="INFA^BAY3^C13^DEMO")) == [
        "PatientReleased",
        "PatientBound",
    ]


def test_what_moves_to_another_patient_takes_nothing_else_along() -> None:
    visit = accepted(changing("A45", f"{OLD_MRN}||660012^^^DEMO||V1^^^DEMO"), EMPTY).merges
    assert set(visit) == {
        change("mrn", "V1", "90001234", by="visit"),
        change("account", "V1", "770012", by="visit"),
        NEW_VISIT,
        ACCOUNT,
    }
    account = accepted(changing("A44", f"{OLD_MRN}||660012^^^DEMO"), EMPTY).merges
    assert account == (change("mrn", "660012", "90001234", by="account"), ACCOUNT)


def test_every_pair_of_a_message_is_taken() -> None:
    further = "PID|2||90005555^^^DEMO^MR\rMRG|80000005^^^DEMO^MR~80000006^^^DEMO^MR\rPV1|2|O\r"
    payload = changing("A40", OLD_MRN) + further.encode()
    assert accepted(payload, EMPTY).merges == (
        MRN,
        change("mrn", "80000005", "90005555"),
        change("mrn", "80000006", "90005555"),
    )


def test_what_becomes_one_and_is_known_as_two_waits_for_a_person() -> None:
    both = msgspec.structs.replace(KNOWN, mentions={VISIT, "s(V1)"}.__contains__)
    raised = work(changing("A50", "90001234^^^DEMO^MR||||V1^^^DEMO"), both)
    assert [(each.what, each.patient) for each in raised] == [
        (WorkKind.VISITS_JOINED, "s(V1)"),
        (WorkKind.VISITS_JOINED, VISIT),
    ]
    other = Identity("s(V2)", "V2", "80000001", mrn_authority="DEMO")
    two = knowing(EHR_SITE, WHO, other)
    assert [each.patient for each in work(changing("A40", OLD_MRN), two)] == ["s(V2)", VISIT]
    assert work(changing("A40", "80000001^^^ELSEWHERE^MR"), two) == []


def swap(**sites: str) -> bytes:
    def person(visit: str, chair: str) -> str:
        return f"PID|1||90001234^^^DEMO^MR\rPV1|1|O|INFA^BAY3^{chair}||||||||||||||||{visit}\r"

    first = hl7("adt_a08_update", MSH_9="ADT^A17").decode().split("PID|")[0]
    return (first + "".join(person(visit, chair) for visit, chair in sites.items())).encode()


def test_a_bed_swap_binds_both_at_once_unless_somebody_is_cooled() -> None:
    seated = msgspec.structs.replace(EMPTY, bound=ServedCaps({CAP: VISIT, OTHER_CAP: "s(V2)"}))
    updates = [
        (type(f).__name__, f.at_cap, getattr(f, "patient", "")) for f in facts_of(swap(V770012="C13", V2="C12"), seated)
    ]
    assert updates == [
        ("PatientReleased", CAP, VISIT),
        ("PatientReleased", OTHER_CAP, "s(V2)"),
        ("PatientBound", OTHER_CAP, VISIT),
        ("PatientBound", CAP, "s(V2)"),
    ]
    cooled = msgspec.structs.replace(seated, treated=frozenset({VISIT}))
    assert [(each.what, each.patient) for each in work(swap(V770012="C13", V2="C12"), cooled)] == [
        (WorkKind.BEDS_SWAPPED, VISIT)
    ]
    assert refusal(swap(V8="C98", V9="C99"), EMPTY).startswith("ignored not-ours")


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A04", "A08", "A13"])
def test_patients_of_other_wards_are_none_of_its_business(trigger: str) -> None:
    payload = hl7("adt_a04_register", MSH_9=f"ADT^{trigger}", PV1_3=ELSEWHERE)
    assert refusal(payload, EMPTY).startswith("ignored not-ours")
