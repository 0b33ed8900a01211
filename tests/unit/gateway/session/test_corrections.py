"""Corrections: what becomes of a charge once the count says otherwise (P22)."""

import msgspec
import pytest

from gateway.session.charges import CorrectionReason, charged_units
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    InfusionEnded,
    PatientBound,
    PatientReassigned,
    PreparationCharted,
)
from gateway.session.outcome import SessionChange
from gateway.session.policy import Policy
from tests.unit.gateway.session.live_tracker import Live, Memory
from tests.unit.gateway.session.release_session import (
    APPROVED,
    PER_INCREMENT,
    TOKEN,
    ReleaseSession,
    decided,
    lifted,
    order_check,
    prepared,
    signed,
    text,
)
from tests.unit.gateway.session.session_timelines import (
    A1,
    at,
    begun,
    clock,
    corrected,
    day,
    ended,
    start,
    stop,
    times,
    voided,
)


class TestCorrections:
    def released(self, policy: Policy = APPROVED) -> ReleaseSession:
        session = ReleaseSession(policy)
        session.learn(signed("13:00"))
        return session

    def test_the_story_of_a_late_correction(self) -> None:
        session = self.released()
        outcome = session.learn(corrected("A", "14:00", "11:30"))
        assert (session.state, session.charges) == ("released; 00A: 3 -> 2", ["00A x3"])
        assert SessionChange.CORRECTION in outcome.happened
        assert "correction_after_release" in outcome.assessment.flags
        outcome = session.learn(decided("15:00", f"{TOKEN}00A"))
        assert (session.state, session.charges) == ("released", ["00A x3", "A0A x3 for 00A", "00B x2"])
        assert outcome.happened == (SessionChange.CORRECTION,)
        assert [each.reason for each in session.record.charged] == [None, CorrectionReason.COUNT, None]
        assert session.record.charged[2].line.increments == (f"{TOKEN}01B", f"{TOKEN}02B")

    def test_a_refusal_closes_the_item_while_the_difference_is_the_same(self) -> None:
        session = self.released()
        session.learn(corrected("A", "14:00", "11:30"))
        outcome = session.learn(decided("15:00", f"{TOKEN}00A", approved=False))
        assert outcome.happened == (SessionChange.CORRECTION,)
        assert (session.state, session.charges) == ("released", ["00A x3"])
        session.learn(corrected("A", "15:30", "11:31", version=3))
        assert session.state == "released", "two units as before"
        session.learn(corrected("A", "16:00", "11:50", version=4))
        assert session.state == "released; 00A: 3 -> 1"
        session.learn(decided("17:00", f"{TOKEN}00A"))
        assert session.charges == ["00A x3", "A0A x3 for 00A", "00B x1"]

    def test_who_refused_may_still_approve(self) -> None:
        session = self.released()
        session.learn(corrected("A", "14:00", "11:30"))
        session.learn(decided("15:00", f"{TOKEN}00A", approved=False))
        session.learn(decided("15:05", f"{TOKEN}00A"))
        assert session.charges == ["00A x3", "A0A x3 for 00A", "00B x2"]

    def test_a_decision_is_about_what_was_open_when_it_was_told(self) -> None:
        session = self.released()
        assert session.live.learn([decided("13:30", f"{TOKEN}00A")], at("13:30")).outcomes == ()
        session.learn(corrected("A", "14:00", "11:30"))
        assert (session.state, session.charges) == ("released; 00A: 3 -> 2", ["00A x3"])

    def test_a_decision_told_together_with_the_correction_is_not_about_it(self) -> None:
        session = self.released()
        session.learn(corrected("A", "14:00", "11:30"), decided("14:00", f"{TOKEN}00A"))
        assert session.state == "released; 00A: 3 -> 2"

    def test_a_difference_that_goes_away_needs_no_decision(self) -> None:
        session = self.released()
        session.learn(corrected("A", "14:00", "11:30"))
        session.learn(corrected("A", "15:00", "11:00", version=3))
        assert (session.state, session.charges) == ("released", ["00A x3"])

    def test_increments_that_merely_move_are_charged_rightly(self) -> None:
        session = self.released()
        outcome = session.learn(corrected("A", "14:00", "11:05"))
        assert [change.op for change in outcome.changes] == ["amend", "amend", "amend"]
        assert (session.state, session.charges) == ("released", ["00A x3"])

    def test_two_treatments_of_one_session_put_the_charge_of_the_first_in_question(self) -> None:
        """As many units stand, and no second of the time that was charged."""
        session = self.released()
        afternoon = [start("14:00"), begun("B", "14:30"), ended("B", "16:00"), stop("17:30")]
        for fact in afternoon:
            session.live.learn([fact], fact.known_at_us)
        session.live.observe_until(at("18:30"))
        assert (session.state, session.charges) == ("released; 00A: 3 -> 3", ["00A x3"])
        assert session.record.published is not None
        assert session.record.published.corrections[0].reason is CorrectionReason.TIME
        session.learn(decided("18:40", f"{TOKEN}00A"))
        assert (session.state, session.charges) == ("released", ["00A x3", "A0A x3 for 00A", "00B x3"])
        line = session.record.charged[2].line
        assert (clock(line.start_us), clock(line.end_us)) == ("16:00", "17:30")

    def test_a_charge_may_be_credited_to_nothing_and_charged_again(self) -> None:
        session = self.released()
        session.learn(voided("A", "14:00"))
        assert session.state == "released; 00A: 3 -> 0"
        session.learn(decided("14:30", f"{TOKEN}00A"))
        assert (session.state, session.charges) == ("released", ["00A x3", "A0A x3 for 00A"])
        session.learn(ended("A", "11:01", rx="15:00"))
        assert session.state == "released; 00B: 0 -> 3", "what is wanting has the key that it would have"
        session.learn(decided("15:30", f"{TOKEN}00B"))
        assert (session.state, session.charges[2:]) == ("released", ["00B x3"])

    def test_a_hold_that_comes_late_puts_the_charge_in_question_and_is_never_settled_automatically(self) -> None:
        for policy in (APPROVED, msgspec.structs.replace(APPROVED, automatic_credit=True)):
            session = self.released(policy)
            session.learn(order_check("14:00", found=False))
            assert (session.state, session.charges) == ("held: no_order; 00A: 3 -> 0", ["00A x3"])
            session.learn(lifted("14:10", "no_order"))
            assert (session.state, session.charges) == ("released", ["00A x3"])

    def test_a_charge_in_question_for_a_hold_may_be_credited(self) -> None:
        session = self.released()
        session.learn(order_check("14:00", found=False))
        session.learn(decided("14:30", f"{TOKEN}00A"))
        assert (session.state, session.charges) == ("held: no_order", ["00A x3", "A0A x3 for 00A"])
        assert session.record.charged[1].reason is CorrectionReason.HELD

    def test_another_patient_is_charged_under_a_token_of_her_own(self) -> None:
        session = self.released()
        session.live.learn([PreparationCharted(**times("08:50", "13:30"), patient="P2")], at("13:30"))
        moved = PatientReassigned(**times("14:00", None), cap=A1, from_patient="P1", to_patient="P2")
        session.live.learn([moved], at("14:00"))
        assert (session.state, session.charges) == ("released; 00A: 3 -> 0", ["00A x3"])
        session.learn(decided("14:30", f"{TOKEN}00A"))
        credit = session.record.charged[1]
        assert (credit.reverses, credit.line.patient) == (f"{TOKEN}00A", "P1")

    def test_the_credit_goes_to_whom_the_charge_went_though_the_session_proves_to_be_anothers(self) -> None:
        live = Live(APPROVED, Memory.FORGETS)
        cap = CapRef("SC-A", 1)
        evidence = [
            PreparationCharted(**times("08:50", None), token=TOKEN),
            InfusionEnded(**times("11:00", None), order="A", patient="P1", admin=AgentClass.CHEMO),
            InfusionEnded(**times("11:00", None), order="A", patient="P2", admin=AgentClass.CHEMO),
        ]
        first = PatientBound(**times("09:30", None), cap=cap, patient="P1")
        cooled = [CoolingStarted(**times("09:00", None), cap=cap), CoolingStopped(**times("12:30", None), cap=cap)]
        live.play([*cooled, first, *evidence, signed("13:00")])
        assert [(text(charge), charge.line.patient) for _, charge in live.charges] == [("00A x3", "P1")]
        live.learn([PatientBound(**times("09:10", "14:00"), cap=cap, patient="P2")], at("14:00"))
        record = live.records[TOKEN]
        assert record.published is not None
        assert [(each.charge[9:], each.reason) for each in record.published.corrections] == [
            ("00A", CorrectionReason.PATIENT)
        ]
        live.learn([decided("14:30", f"{TOKEN}00A")], at("14:30"))
        assert [(text(charge), charge.line.patient) for _, charge in live.charges[1:]] == [("A0A x3 for 00A", "P1")]
        assert live.records[TOKEN].patient == "P2"


class TestOneChargeAnIncrement:
    def released(self, policy: Policy = PER_INCREMENT) -> ReleaseSession:
        session = ReleaseSession(policy)
        session.learn(signed("13:00"))
        return session

    def test_each_increment_has_a_charge_of_its_own_with_its_share_of_the_cooling(self) -> None:
        session = self.released()
        assert session.charges == ["00A x1", "00B x1", "00C x1"]
        shares = [(clock(each.line.start_us), clock(each.line.end_us)) for each in session.record.charged]
        assert shares == [("11:00", "11:16"), ("11:16", "11:46"), ("11:46", "12:16")]
        assert [each.line.net_us // 60_000_000 for each in session.record.charged] == [16, 30, 30]

    @pytest.mark.parametrize(
        "amended",
        [corrected("A", "14:00", "11:30"), ended("A", "11:30", rx="14:00")],
        ids=["by a correction", "by another end"],
    )
    def test_an_amended_end_that_takes_one_increment_away_gives_exactly_one_credit(self, amended: AnyFact) -> None:
        session = self.released()
        outcome = session.learn(amended)
        assert session.charges[3:] == ["A0C x1 for 00C"]
        assert session.state == "released"
        assert SessionChange.CORRECTION in outcome.happened

    def test_an_increment_that_comes_back_is_charged_under_its_new_revision(self) -> None:
        session = self.released()
        session.learn(corrected("A", "14:00", "11:30"))
        session.learn(corrected("A", "15:00", "11:00", version=3))
        assert session.charges[3:] == ["A0C x1 for 00C", "00D x1"]

    def test_without_automatic_credit_each_charge_in_question_is_an_item(self) -> None:
        session = self.released(msgspec.structs.replace(PER_INCREMENT, automatic_credit=False))
        session.learn(corrected("A", "14:00", "11:50"))
        assert session.state == "released; 00B: 1 -> 0; 00C: 1 -> 0"
        session.learn(decided("14:30", f"{TOKEN}00C"))
        session.learn(decided("14:40", f"{TOKEN}00B", approved=False))
        assert (session.state, session.charges[3:]) == ("released", ["A0C x1 for 00C"])

    def test_a_person_who_refuses_overrides_the_automatic_credit_of_what_a_hold_put_in_question(self) -> None:
        session = self.released()
        session.learn(order_check("14:00", found=False))
        assert session.state == "held: no_order; 00A: 1 -> 0; 00B: 1 -> 0; 00C: 1 -> 0"
        session.learn(decided("14:30", f"{TOKEN}00A", approved=False))
        assert session.state == "held: no_order; 00B: 1 -> 0; 00C: 1 -> 0"


def test_a_session_that_another_token_replaced_gives_its_charges_up() -> None:
    """A cap nobody claimed, bound and charged by itself, proves to be the second cap of the same patient."""
    live = Live(APPROVED, Memory.FORGETS)
    other = CapRef("SC-B", 1)
    live.play(day(prepared("08:50"), stopped="11:40"))
    live.learn([signed("11:45")], at("11:45"))
    assert [(token, text(charge)) for token, charge in live.charges] == [(TOKEN, "00A x1")]
    second = [
        CoolingStarted(**times("11:42", "12:40"), cap=other),
        CoolingStopped(**times("12:30", "12:40"), cap=other),
    ]
    live.learn(second, at("12:40"))
    live.learn([PatientBound(**times("11:41", "12:50"), cap=other, patient="P1")], at("12:50"))
    tokens = list(live.records)
    assert tokens == [TOKEN, "T00000002"]
    record = live.records[TOKEN]
    assert charged_units(record.charged) == 1
    assert record.published is not None
    assert [(each.charge[9:], each.charged, each.counted) for each in record.published.corrections] == [("00A", 1, 3)]
