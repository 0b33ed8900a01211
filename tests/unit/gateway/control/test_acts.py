"""Acts over the control socket: each becomes its fact, and an act that is not possible is refused."""

import json
from datetime import datetime
from typing import TypedDict
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.control.act_context import ActContext, SessionSnapshot
from gateway.control.acts import facts_of
from gateway.control.requests import ACTS, AnyAct, RequestRefused, read_request
from gateway.ledger.access import Actor
from gateway.session import facts
from gateway.session.charges import CorrectionReason
from gateway.session.corrections import CorrectionItem
from gateway.session.facts import AgentClass, AnyFact, CapRef, EndSource, ToleranceFinding, WorkKind
from gateway.session.outcome import SessionState
from gateway.session.policies import policies_of
from gateway.session.state import TrackerState, advance, inspect
from gateway.session.worklist import open_work

CAP, OTHER = CapRef("cap-07", 1), CapRef("cap-07", 2)
TOKEN = "9RX2M7KQ4"
POLICY = 'name = "p"\nrevision = "1"\neffective = 2026-01-01\nfirst_threshold_s = 960\n'
ZONE = ZoneInfo("America/New_York")


def us(text: str) -> int:
    """An instant on the day, in New York."""
    return round(datetime.fromisoformat(f"2026-03-10T{text}-04:00").timestamp() * 1_000_000)


NOW = us("17:00")


class By(TypedDict):
    """Who told it and why, as a fact has it."""

    person: str
    reason: str
    login: str
    role: str


class On(By):
    """The same, with a session's token."""

    token: str


SAID = {"person": "rn-4471", "reason": "as charted"}
BY = By(person="rn-4471", reason="as charted", login="page:r.nurse", role="nurse")
ON = On(**BY, token=TOKEN)


def started(at: str, cap: CapRef = CAP) -> AnyFact:
    return facts.CoolingStarted(at_us=us(at), known_at_us=us(at), cap=cap)


def stopped(at: str, cap: CapRef = CAP) -> AnyFact:
    return facts.CoolingStopped(at_us=us(at), known_at_us=us(at), cap=cap)


def bound(at: str, patient: str = "s(V1)", cap: CapRef = CAP) -> AnyFact:
    return facts.PatientBound(at_us=us(at), known_at_us=us(at), cap=cap, patient=patient)


def infused(order: str, at: str) -> AnyFact:
    return facts.InfusionStarted(at_us=us(at), known_at_us=us(at), order=order, patient="s(V1)", admin=AgentClass.CHEMO)


NO_ORDER = facts.OrderChecked(at_us=us("08:55"), known_at_us=us("08:55"), found=False, patient="s(V1)")
ENDED = (bound("08:50"), NO_ORDER, started("09:00"), infused("RX1", "10:00"), stopped("16:35"))
RUNNING = ENDED[:-1]
COMPLETE = (*ENDED, facts.InfusionEnded(at_us=us("16:00"), known_at_us=us("16:00"), order="RX1", patient="s(V1)"))
NOBODYS = (started("09:00"), stopped("16:35"))


def snapshot(known: tuple[AnyFact, ...] = ENDED, *later: AnyFact) -> SessionSnapshot:
    """The session of the facts `known`, and of those that become known `later`."""
    observed = {"cap-07": NOW}
    opened, _ = advance(TrackerState(policies_of([POLICY])), known, observed, NOW, lambda: TOKEN)
    state, _ = advance(opened, later, observed, NOW, lambda: TOKEN)
    found = inspect(state, TOKEN, observed, NOW)
    assert found is not None
    return SessionSnapshot(*found)


def questioned(charge: str) -> SessionSnapshot:
    """The session, with a charge that no longer agrees with the count."""
    named = snapshot()
    item = CorrectionItem(charge=charge, charged=2, counted=1, patient="s(V1)", reason=CorrectionReason.COUNT)
    release = msgspec.structs.replace(named.outcome.release, items=(item,))
    return SessionSnapshot(named.session, msgspec.structs.replace(named.outcome, release=release))


CONTEXT = ActContext(
    by=Actor("page:r.nurse", "nurse"),
    now_us=NOW,
    oldest_us=NOW - 6 * 24 * 3600 * 1_000_000,
    zone=ZONE,
    chairs={"c12": CAP},
    caps=frozenset({CAP, OTHER}),
    serving={CAP: "s(V1)"},
    observed={"cap-07": NOW},
    subject_of=lambda visit: f"s({visit})",
    work=open_work([facts.WorkRaised(at_us=NOW, known_at_us=NOW, what=WorkKind.CHAIR_TAKEN, cap=CAP, patient="s(V2)")]),
)
ITEM = CONTEXT.work[0].id


WITHOUT_TOKEN = {"place", "item", "what"}


def request_of(act: str, /, **fields: object) -> AnyAct:
    named = {} if fields.keys() & WITHOUT_TOKEN else {"token": TOKEN}
    request = read_request(json.dumps({"request": "tell", "act": act, **named, **SAID, **fields}).encode())
    assert isinstance(request, AnyAct)
    return request


def fact_of(
    act: str, named: SessionSnapshot | None = None, context: ActContext = CONTEXT, /, **fields: object
) -> AnyFact:
    """The one fact that an act becomes."""
    request = request_of(act, **fields)
    ((fact,), _) = facts_of(request, named or (None if fields.keys() & WITHOUT_TOKEN else snapshot()), context)
    return fact


def refused(act: str, named: SessionSnapshot | None = None, context: ActContext = CONTEXT, /, **fields: object) -> str:
    """Why an act is refused, and what would be accepted."""
    with pytest.raises(RequestRefused) as refusal:
        fact_of(act, named, context, **fields)
    return f"{refusal.value.error} | {refusal.value.accepted}"


# --- every act becomes the right fact

EVERY_ACT: dict[str, tuple[dict[str, object], AnyFact]] = {
    "finalise": ({}, facts.SessionFinalized(at_us=NOW, known_at_us=NOW, **ON, units=1)),
    "explain": ({}, facts.SessionExplained(at_us=NOW, known_at_us=NOW, **ON, units=1)),
    "lift-hold": (
        {"holds": ["no_order"]},
        facts.HoldLifted(at_us=NOW, known_at_us=NOW, **ON, holds=("no_order",), units=1),
    ),
    "decide-correction": (
        {"charge": f"{TOKEN}00A", "approve": True},
        facts.CorrectionDecided(at_us=NOW, known_at_us=NOW, **ON, charge=f"{TOKEN}00A", approved=True),
    ),
    "prepared": ({"at": "8:55"}, facts.PreparationCharted(at_us=us("08:55"), known_at_us=NOW, **ON)),
    "tolerance": (
        {"comfort": "ok", "scalp": "concern"},
        facts.ToleranceChecked(
            at_us=NOW, known_at_us=NOW, **ON, comfort=ToleranceFinding.OK, scalp=ToleranceFinding.CONCERN
        ),
    ),
    "cap-id": (
        {"cap_id": "SC-M-0431", "lot": "L1"},
        facts.CapIdentified(at_us=NOW, known_at_us=NOW, **ON, cap_id="SC-M-0431", lot="L1"),
    ),
    "note": ({"text": "refitted"}, facts.NoteAdded(at_us=NOW, known_at_us=NOW, **ON, text="refitted")),
    "order-checked": (
        {"found": True, "ordered_post_minutes": 90},
        facts.OrderChecked(at_us=NOW, known_at_us=NOW, **BY, found=True, patient="s(V1)", ordered_post_minutes=90.0),
    ),
    "infusion-ended": (
        {"order": "RX1", "at": "15:00"},
        facts.InfusionEnded(
            at_us=us("15:00"),
            known_at_us=NOW,
            **BY,
            order="RX1",
            patient="s(V1)",
            admin=AgentClass.CHEMO,
            presumed=True,
            source=EndSource.PERSON,
        ),
    ),
    "stop-charted": (
        {"at": "2026-03-10T16:20-04:00"},
        facts.CoolingStopCharted(at_us=us("16:20"), known_at_us=NOW, **BY, patient="s(V1)", source="person"),
    ),
    "cap-removed": (
        {"at": "16:40"},
        facts.CapRemoved(at_us=us("16:40"), known_at_us=NOW, **BY, cap=CAP, patient="s(V1)"),
    ),
    "bind": (
        {"place": "C12", "visit": "V2"},
        facts.PatientBound(at_us=NOW, known_at_us=NOW, **BY, cap=CAP, patient="s(V2)", evidence="person"),
    ),
    "release": (
        {"place": "cap-07:1"},
        facts.PatientReleased(at_us=NOW, known_at_us=NOW, **BY, cap=CAP, patient="s(V1)"),
    ),
    "reassign": (
        {"visit": "V2"},
        facts.PatientReassigned(
            at_us=NOW,
            known_at_us=NOW,
            **BY,
            cap=CAP,
            from_patient="s(V1)",
            to_patient="s(V2)",
            began_before_us=us("16:35"),
        ),
    ),
    "work-done": (
        {"item": ITEM},
        facts.WorkDone(at_us=NOW, known_at_us=NOW, **BY, item=ITEM, cap=CAP, patient="s(V2)"),
    ),
    "assign": (
        {"what": ITEM, "to": "charge"},
        facts.TaskAssigned(at_us=NOW, known_at_us=NOW, **BY, item=ITEM, to="charge"),
    ),
}


def test_the_table_of_acts_leaves_none_out() -> None:
    assert set(EVERY_ACT) == set(ACTS)


@pytest.mark.parametrize("act", ACTS)
def test_every_act_becomes_its_fact_with_who_told_it_and_why(act: str) -> None:
    fields, fact = EVERY_ACT[act]
    named = snapshot(COMPLETE) if act in ("finalise", "lift-hold", "explain") else None
    named = questioned(f"{TOKEN}00A") if act == "decide-correction" else named
    assert fact_of(act, named, **fields) == fact
    assert facts.decode_fact(facts.encode_fact(fact)) == fact


@pytest.mark.requirement("REQ-ACCESS-1")
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("field", ["person", "reason"])
@pytest.mark.parametrize("value", [None, "", "   ", "x" * 201, "a\nb", 7])
def test_no_act_goes_without_a_person_and_a_reason(act: str, field: str, value: object) -> None:
    with pytest.raises(RequestRefused, match=field):
        request_of(act, **EVERY_ACT[act][0], **{field: value})


def test_identifiers_travel_beside_the_facts() -> None:
    request = request_of("bind", place="c12", visit="V2", mrn="M2", account="A2")
    (fact,), (identity,) = facts_of(request, None, CONTEXT)
    assert (identity.subject, identity.visit, identity.mrn, identity.account) == ("s(V2)", "V2", "M2", "A2")
    assert b"V2" not in facts.encode_fact(fact).replace(b"s(V2)", b"")


# --- what cannot be meant is refused


def test_a_session_is_signed_once_and_not_while_cooling_goes_on() -> None:
    assert "cooling goes on" in refused("finalise", snapshot(RUNNING))
    signed = facts.SessionFinalized(at_us=us("16:50"), known_at_us=us("16:50"), token=TOKEN, person="rn-1")
    assert "already" in refused("finalise", snapshot(ENDED, signed))


def test_what_waits_of_a_session_is_assigned_to_somebody_and_to_nobody_again() -> None:
    for to in ("m.curie", ""):
        fields = {"to": to} if to else {}
        assert fact_of("assign", snapshot(), CONTEXT, what=TOKEN, **fields) == facts.TaskAssigned(
            at_us=NOW, known_at_us=NOW, **ON, to=to
        )
    rejected = fact_of("assign", None, CONTEXT, what="rejected", to="biomed")
    assert rejected == facts.TaskAssigned(at_us=NOW, known_at_us=NOW, **BY, item="rejected", to="biomed")
    assert f"no such item | {ITEM}" in refused("assign", None, CONTEXT, what="000000000000", to="m.curie")


def test_of_a_session_that_is_done_nothing_is_assigned() -> None:
    named = snapshot(COMPLETE)
    assert named.outcome.record.published is not None
    published = msgspec.structs.replace(named.outcome.record.published, recorded_state=SessionState.EXPLAINED)
    record = msgspec.structs.replace(named.outcome.record, published=published)
    done = SessionSnapshot(named.session, msgspec.structs.replace(named.outcome, record=record))
    assert "nothing of the session waits" in refused("assign", done, CONTEXT, what=TOKEN, to="me")


def test_only_what_holds_can_be_lifted_and_not_all_of_it() -> None:
    assert refused("lift-hold", holds=["weak_evidence"]).endswith("| no_order")
    assert "| no_order; policy_unapproved: explain" in refused("lift-hold", holds=["policy_unapproved"]), (
        "nobody answers"
    )


def test_only_a_charge_in_question_is_decided() -> None:
    assert "no charge" in refused("decide-correction", charge=f"{TOKEN}00A", approve=True)
    assert f"{TOKEN}00A" in refused("decide-correction", questioned(f"{TOKEN}00A"), charge=f"{TOKEN}00B", approve=True)


def test_a_check_that_checked_nothing_is_none() -> None:
    assert "nothing was checked" in refused("tolerance")


def test_an_unknown_order_needs_its_class_so_that_a_slip_adds_none() -> None:
    assert "RX1" in refused("infusion-ended", order="RX7", at="15:00")
    fact = fact_of("infusion-ended", order="RX7", at="15:00", agent="hydration")
    assert isinstance(fact, facts.InfusionEnded)
    assert (fact.admin, fact.presumed) == (AgentClass.HYDRATION, False)
    assert "RX1" in refused("infusion-ended", order="RX7", at="15:00", agent="chemo", correct=True)


def test_a_correction_by_a_person_is_the_next_version_of_the_order() -> None:
    fact = fact_of("infusion-ended", order="RX1", at="15:10", correct=True)
    assert isinstance(fact, facts.InfusionEndCorrected)
    assert (fact.version, fact.new_end_us, fact.at_us, fact.source) == (2, us("15:10"), NOW, EndSource.PERSON)
    engines = facts.InfusionEndCorrected(
        at_us=NOW, known_at_us=NOW, order="RX1", patient="s(V1)", version=7, new_end_us=us("15:05")
    )
    fact = fact_of("infusion-ended", snapshot((*ENDED, engines)), order="RX1", at="15:10", correct=True)
    assert isinstance(fact, facts.InfusionEndCorrected)
    assert fact.version == 8


@pytest.mark.parametrize(
    ("act", "fields"), [("infusion-ended", {"order": "RX1", "at": "15:00"}), ("order-checked", {"found": True})]
)
def test_what_belongs_to_a_patient_needs_one(act: str, fields: dict[str, object]) -> None:
    assert "bind" in refused(act, snapshot(NOBODYS), **fields)


def test_a_session_that_is_nobodys_is_bound_from_its_beginning() -> None:
    fact = fact_of("bind", snapshot(NOBODYS), place=TOKEN, visit="V2")
    assert isinstance(fact, facts.PatientBound)
    assert (fact.at_us, fact.cap) == (us("09:00"), CAP)
    assert "reassign" in refused("bind", snapshot(), place=TOKEN, visit="V2")


def test_the_end_of_nobodys_cooling_names_its_cap() -> None:
    fact = fact_of("stop-charted", snapshot(NOBODYS), at="16:00")
    assert isinstance(fact, facts.CoolingStopCharted)
    assert (fact.cap, fact.patient) == (CAP, "")


def test_of_several_caps_the_one_that_came_off_must_be_named() -> None:
    swap = (bound("12:00", cap=OTHER), started("12:00", OTHER), stopped("16:00", OTHER))
    named = snapshot((*ENDED, *swap))
    assert "cap-07:1, cap-07:2" in refused("cap-removed", named)
    fact = fact_of("cap-removed", named, cap="cap-07:2")
    assert isinstance(fact, facts.CapRemoved)
    assert fact.cap == OTHER
    moves, _ = facts_of(request_of("reassign", visit="V9"), named, CONTEXT)
    assert {move.cap for move in moves if isinstance(move, facts.PatientReassigned)} == {CAP, OTHER}


def test_a_patient_is_released_from_the_cap_that_a_swap_has_put_in_the_place_of_the_first() -> None:
    named = snapshot((*ENDED, bound("12:00", cap=OTHER), started("12:00", OTHER)))
    swapped = msgspec.structs.replace(CONTEXT, serving={OTHER: "s(V1)"})
    fact = fact_of("release", named, swapped, place=TOKEN)
    assert isinstance(fact, facts.PatientReleased)
    assert (fact.cap, fact.patient) == (OTHER, "s(V1)")
    others = msgspec.structs.replace(CONTEXT, serving={OTHER: "s(V2)"})
    assert "bound" in refused("release", named, others, place=TOKEN)


def test_a_patient_is_released_between_a_swap_and_the_first_cooling_on_the_other_unit() -> None:
    swapped = msgspec.structs.replace(CONTEXT, serving={OTHER: "s(V1)"})
    fact = fact_of("release", snapshot(RUNNING), swapped, place=TOKEN)
    assert isinstance(fact, facts.PatientReleased)
    assert (fact.cap, fact.patient) == (OTHER, "s(V1)")
    twice = msgspec.structs.replace(CONTEXT, serving={OTHER: "s(V1)", CapRef("cap-09", 1): "s(V1)"})
    assert "bound" in refused("release", snapshot(RUNNING), twice, place=TOKEN)
    assert "bound" in refused("release", snapshot(NOBODYS), CONTEXT, place=TOKEN)


def test_places_and_patients_that_do_not_fit_are_refused_with_those_that_do() -> None:
    assert "c12, cap-07:1, cap-07:2" in refused("bind", place="c99", visit="V1")
    assert "bound" in refused("release", place="cap-07:2")
    assert "another visit" in refused("reassign", visit="V1")


# --- time


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("15:00", us("15:00")),
        ("9:05", us("09:05")),
        ("17:05", us("17:05")),
        ("2026-03-10T19:00:00Z", us("15:00")),
        ("2026-03-09T23:50-04:00", us("00:00") - 600_000_000),
    ],
)
def test_times_are_of_today_or_carry_an_offset(text: str, at: int) -> None:
    assert fact_of("prepared", at=text).at_us == at


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("17:06", "future"),
        ("2026-03-10T17:06-04:00", "future"),
        ("2025-03-10T15:00-04:00", "too long ago"),
        ("2026-03-10T15:00", "offset"),
        ("2026-03-10", "date alone"),
        ("24:00", "at:"),
        ("quarter past", "at:"),
    ],
)
def test_no_other_time_is_taken(text: str, word: str) -> None:
    assert word in refused("prepared", at=text)


def test_without_a_time_zone_a_time_of_day_is_refused() -> None:
    assert "time_zone" in refused("prepared", None, msgspec.structs.replace(CONTEXT, zone=None), at="15:00")


def test_an_end_in_the_repeated_hour_keeps_both_readings() -> None:
    now_us = round(datetime.fromisoformat("2026-11-01T03:00-05:00").timestamp() * 1_000_000)
    autumn = msgspec.structs.replace(CONTEXT, now_us=now_us, oldest_us=0)
    fact = fact_of("infusion-ended", None, autumn, order="RX1", at="01:20")
    assert isinstance(fact, facts.InfusionEnded)
    assert fact.ambiguous
    assert fact.other_reading_us == fact.at_us - 3_600_000_000
    assert fact_of("stop-charted", None, autumn, at="01:20").at_us == fact.other_reading_us


# --- refusals


def test_only_what_is_on_the_work_list_can_be_done() -> None:
    assert refused("work-done", item="000000000000") == f"no such item | {ITEM}"


def test_a_refusal_repeats_nothing_of_what_was_sent() -> None:
    with pytest.raises(RequestRefused) as refusal:
        request_of("bind", place="c12", visit="V770012" * 12, Doe="Jane")
    assert "V77" not in f"{refusal.value.error}{refusal.value.accepted}"
    assert "Doe" not in f"{refusal.value.error}{refusal.value.accepted}"


def test_every_field_of_every_act_says_what_is_accepted() -> None:
    for act in ACTS:
        fields = EVERY_ACT[act][0]
        request = request_of(act, **fields)
        missing = [name for name, field in type(request).model_fields.items() if not field.description]
        assert set(missing) <= {"request", "act"}
