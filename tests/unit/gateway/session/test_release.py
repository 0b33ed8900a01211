"""Release: what is charged when, and what holds it."""

from typing import Any

import msgspec
import pytest

from gateway.session.facts import (
    AgentClass,
    CapIdentified,
    CoolingStarted,
    CoolingStopped,
    EndSource,
    InfusionEndCorrected,
    InfusionEnded,
    PatientReassigned,
    PreparationCharted,
    ToleranceChecked,
)
from gateway.session.flags import HeldReason
from gateway.session.outcome import Missing, Outcome, SessionChange, SessionState
from gateway.session.policy import Policy
from gateway.session.release import ReleaseState
from gateway.session.state import inspect
from tests.unit.gateway.session.live_tracker import Live, Memory, Watched
from tests.unit.gateway.session.release_session import (
    APPROVED,
    DRY_RUN,
    TOKEN,
    WINDOW,
    ReleaseSession,
    lifted,
    order_check,
    prepared,
    signed,
)
from tests.unit.gateway.session.session_timelines import A1, at, begun, clock, day, ended, start, stop, times


class TestWhenASessionIsFinal:
    def test_nothing_is_charged_before(self) -> None:
        session = ReleaseSession()
        session.live.observe_until(at(WINDOW))
        assert (session.state, session.charges) == ("provisional", [])

    def test_the_window_releases_one_line_of_three_units(self) -> None:
        session = ReleaseSession()
        session.live.observe_until(at(WINDOW) + 1)
        assert (session.state, session.charges) == ("released", ["00A x3"])
        (charge,) = session.record.charged
        line = charge.line
        assert line.increments == (f"{TOKEN}01A", f"{TOKEN}02A", f"{TOKEN}03A")
        assert (clock(line.start_us), clock(line.end_us), line.net_us) == ("11:00", "12:30", 90 * 60_000_000)
        assert (line.patient, line.service_date.isoformat()) == ("P1", "2026-04-14")

    def test_so_does_a_signature(self) -> None:
        session = ReleaseSession()
        outcome = session.learn(signed("13:00"))
        assert (session.state, session.charges) == ("released", ["00A x3"])
        assert SessionChange.FINALISED in outcome.happened

    def test_a_signature_while_cap_and_count_go_on_waits_for_the_stop(self) -> None:
        session = ReleaseSession(APPROVED, stopped=None)
        session.learn(signed("11:50"))
        assert (session.state, session.charges) == ("provisional", [])
        session.live.observe_until(at("12:20"))
        session.learn(stop("12:20"))
        assert (session.state, session.charges) == ("released", ["00A x3"])

    def test_without_an_end_nothing_is_charged_until_one_is_charted_and_looked_at(self) -> None:
        session = ReleaseSession()
        session.live = Live(APPROVED, Memory.FORGETS)
        session.live.play(day(prepared("08:50"), signed("12:40"), infusion_end=None))
        assert (session.state, session.record.state, session.charges) == ("provisional", SessionState.INCOMPLETE, [])
        session.learn(ended("A", "11:00", rx="14:00"))
        assert (session.state, session.charges) == ("held: signed_before", []), "whoever signed had no increment to see"
        session.learn(lifted("14:10", "signed_before", units=3))
        assert (session.state, session.charges) == ("released", ["00A x3"])


class TestHolds:
    def test_the_absence_of_a_preparation_holds_until_it_is_charted(self) -> None:
        session = ReleaseSession()
        session.live = Live(APPROVED, Memory.FORGETS)
        session.live.play(day(signed("13:00")))
        assert (session.state, session.charges) == ("held: preparation_missing", [])
        outcome = session.learn(prepared("13:30"))
        assert (session.state, session.charges) == ("released", ["00A x3"])
        assert outcome.happened == (SessionChange.RELEASE,)

    def test_a_class_that_is_only_presumed_is_no_evidence_of_chemotherapy(self) -> None:
        facts = [start("09:00"), begun("A", "09:30", admin=None), stop("12:30"), prepared("09:00"), signed("13:00")]
        end = InfusionEnded(
            **times("11:00", None), order="A", patient="P1", admin=AgentClass.CHEMO, presumed=True, source=EndSource.MAR
        )
        session = ReleaseSession()
        session.live = Live(APPROVED, Memory.FORGETS)
        session.live.play([*facts, end])
        assert session.state == "held: administration_missing"
        session.learn(ended("A", "11:00", AgentClass.BIOLOGIC, rx="14:00"))
        assert (session.state, session.charges) == ("released", ["00A x3"])

    @pytest.mark.parametrize("key", ["require_preparation", "require_administration"])
    def test_a_site_may_ask_for_less_evidence(self, key: str) -> None:
        facts = [start("09:00"), begun("A", "09:30", admin=None), stop("12:30"), signed("13:00")]
        end = InfusionEnded(**times("11:00", None), order="A", patient="P1", admin=AgentClass.CHEMO, presumed=True)
        changed: dict[str, Any] = {key: False}
        live = Live(msgspec.structs.replace(APPROVED, **changed), Memory.FORGETS)
        live.play([*facts, end])
        (record,) = live.records.values()
        assert record.published is not None
        other = {"require_preparation": "administration_missing", "require_administration": "preparation_missing"}
        assert record.published.held == (other[key],)

    def test_a_person_may_lift_what_is_asked_for(self) -> None:
        session = ReleaseSession(APPROVED, order_check("08:00", found=False))
        session.learn(signed("13:00"))
        assert session.state == "held: no_order"
        assert session.live.learn([lifted("13:10", "preparation_missing")], at("13:10")).outcomes == ()
        session.learn(lifted("13:20", "no_order"))
        assert (session.state, session.charges) == ("released", ["00A x3"])

    @pytest.mark.parametrize(
        ("policy", "hold"),
        [(Policy(), HeldReason.POLICY_UNAPPROVED), (DRY_RUN, HeldReason.DRY_RUN)],
        ids=["a policy nobody signed", "a dry run"],
    )
    def test_some_holds_nobody_can_lift(self, policy: Policy, hold: HeldReason) -> None:
        session = ReleaseSession(policy)
        session.learn(signed("13:00"))
        assert (session.state, session.charges) == (f"held: {hold}", [])
        session.live.learn([lifted("13:20", hold)], at("13:20"))
        assert (session.state, session.charges) == (f"held: {hold}", [])

    def test_nobody_can_charge_nobody(self) -> None:
        live = Live(APPROVED, Memory.FORGETS)
        cooled = [CoolingStarted(**times("09:00", None), cap=A1), CoolingStopped(**times("12:30", None), cap=A1)]
        live.play([*cooled, signed("13:00"), lifted("13:10", "unbound")])
        record = live.records[TOKEN]
        assert record.published is not None
        assert (record.published.release, record.published.held) == (ReleaseState.HELD, (HeldReason.UNBOUND,))
        assert live.charges == []

    @pytest.mark.parametrize("days", [18, 40, 800])
    def test_a_held_session_waits_for_a_person_without_limit(self, days: int) -> None:
        live = Live(APPROVED, Memory.FORGETS)
        live.play([*day(stopped="12:30"), signed("13:00")])
        late_us = at(f"{24 * days}:00")
        step = live.learn([PreparationCharted(at_us=late_us, known_at_us=late_us, token=TOKEN)], late_us)
        assert len(step.outcomes) == len(live.charges) == 1

    @pytest.mark.parametrize("days", [6, 40, 800])
    def test_a_correction_of_a_released_session_is_put_before_a_person_whatever_its_age(self, days: int) -> None:
        session = ReleaseSession()
        session.learn(signed("13:00"))
        assert session.record.done
        late_us = at(f"{24 * days}:00")
        moved = InfusionEndCorrected(
            at_us=late_us, known_at_us=late_us, order="A", patient="P1", version=2, new_end_us=at("11:30")
        )
        session.live.learn([moved], late_us)
        assert session.state == "released; 00A: 3 -> 2"
        assert not session.record.done


def test_what_an_auditor_would_miss_is_listed_until_it_is_there() -> None:
    live = Live(APPROVED, Memory.FORGETS)
    facts = [
        CoolingStarted(**times("09:00", None), cap=A1, patient="P1", serial_number="SN-1"),
        order_check("09:10", found=True),
        prepared("09:20"),
        ToleranceChecked(**times("09:30", None), patient="P1"),
        CapIdentified(**times("09:40", None), patient="P1", cap_id="C-7"),
        ended("A", "11:00"),
    ]
    missing_lists: list[set[Missing]] = []
    for fact in facts:
        live.learn([fact], fact.known_at_us)
        missing_lists.append({*_look(live).missing})
    expected = set(Missing) - {Missing.PATIENT, Missing.SERIAL_NUMBER, Missing.PREPARATION_REASSIGNED}
    for missing, gained in zip(
        missing_lists,
        [
            None,
            Missing.ORDER,
            Missing.PREPARATION,
            Missing.TOLERANCE_CHECK,
            Missing.CAP_IDENTIFIER,
            Missing.INFUSION_END,
        ],
        strict=True,
    ):
        expected -= {gained}
        assert missing == expected


def test_the_missing_list_says_that_a_preparation_stays_with_the_patient_it_was_charted_for() -> None:
    session = ReleaseSession()
    moved = PatientReassigned(**times("13:00", None), cap=A1, from_patient="P1", to_patient="P2")
    step = session.live.learn([moved], at("13:00"))
    missing = {each.record.patient: set(each.missing) for each in step.outcomes}
    assert {Missing.PREPARATION, Missing.PREPARATION_REASSIGNED} <= missing["P2"]
    assert Missing.PREPARATION_REASSIGNED not in missing["P1"]


def _look(live: Live) -> Outcome:
    found = inspect(live.whole_state(), TOKEN, Watched(at("12:00")), at("12:00"))
    if found is None:
        raise AssertionError("no such session")
    return found[1]
