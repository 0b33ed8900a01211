"""What becomes of sessions: each has exactly one state, and what waits for a person waits without limit."""

import pytest

from gateway.session.facts import (
    AnyFact,
    CoolingStarted,
    CoolingStopped,
    PatientBound,
    SessionExplained,
    SessionFinalized,
)
from gateway.session.outcome import SessionChange, SessionRecord, SessionState
from tests.unit.gateway.session.live_tracker import Live, Memory
from tests.unit.gateway.session.release_session import (
    APPROVED,
    DRY_RUN,
    TOKEN,
    WINDOW,
    ReleaseSession,
    decided,
    lifted,
    order_check,
    prepared,
    signed,
)
from tests.unit.gateway.session.session_timelines import (
    A1,
    at,
    corrected,
    day,
    ended,
    offline,
    online,
    start,
    stop,
    times,
    voided,
)

MONTHS = f"{24 * 90}:00"


def explained(t: str, units: int = 0) -> AnyFact:
    return SessionExplained(**times(t, None), token=TOKEN, person="cm", reason="a test run", units=units)


def played(*facts: AnyFact, until: str = MONTHS) -> SessionRecord:
    """The one session of the facts, after nothing happened for a long time."""
    live = Live(APPROVED, Memory.FORGETS)
    live.play(facts)
    live.observe_until(at(until))
    return live.records[TOKEN]


NOBODYS = (CoolingStarted(**times("09:00", None), cap=A1), CoolingStopped(**times("12:30", None), cap=A1))


class TestIncomplete:
    @pytest.mark.parametrize(
        "facts",
        [
            day(prepared("08:50"), infusion_end=None),
            day(prepared("08:50"), signed("13:00"), infusion_end=None),
            [start("09:00"), stop("12:30")],
            NOBODYS,
            [*NOBODYS, signed("13:00")],
        ],
        ids=["no end", "no end, signed", "no infusion", "nobody's", "nobody's, signed"],
    )
    def test_patient_or_end_unknown_waits_without_limit(self, facts: list[AnyFact]) -> None:
        record = played(*facts)
        assert (record.state, record.done) == (SessionState.INCOMPLETE, False)

    def test_while_cooling_goes_on_a_session_is_open(self) -> None:
        assert played(*day(infusion_end=None, stopped=None), until="12:00").state is SessionState.OPEN
        assert played(*day(infusion_end=None), until="12:59").state is SessionState.OPEN
        assert played(*day(infusion_end=None), until="13:01").state is SessionState.INCOMPLETE

    def test_the_end_that_is_charted_after_months_is_charged_by_the_window_as_if_in_time(self) -> None:
        live = Live(APPROVED, Memory.FORGETS)
        live.play(day(prepared("08:50"), infusion_end=None))
        live.observe_until(at(MONTHS))
        live.learn([ended("A", "11:00", rx=MONTHS)], at(MONTHS))
        live.observe_until(at(MONTHS) + 1)
        assert [charge.quantity for _, charge in live.charges] == [3]
        assert (live.records[TOKEN].state, live.records[TOKEN].done) == (SessionState.RELEASED, True)

    def test_a_binding_completes_a_session_that_was_nobodys(self) -> None:
        live = Live(APPROVED, Memory.FORGETS)
        live.play([*NOBODYS, ended("A", "11:00", rx="13:00")])
        live.observe_until(at("20:00"))
        assert live.records[TOKEN].state is SessionState.INCOMPLETE
        live.learn([PatientBound(**times("09:00", "21:00"), cap=A1, patient="P1")], at("21:00"))
        assert live.records[TOKEN].state is SessionState.OPEN

    def test_so_does_one_whose_charge_was_credited_since_its_end_was_voided(self) -> None:
        session = ReleaseSession()
        for fact in (signed("13:00"), voided("A", "14:00")):
            session.learn(fact)
        assert session.record.state is SessionState.RELEASED, "the charge in question waits for a person"
        session.learn(decided("14:30", f"{TOKEN}00A"))
        assert (session.record.state, session.record.done) == (SessionState.INCOMPLETE, False)
        session.learn(explained("15:00"))
        assert (session.record.state, session.record.done) == (SessionState.EXPLAINED, True)

    @pytest.mark.parametrize("signature", [(), (signed("09:30"),)], ids=["unsigned", "signed"])
    def test_what_cooled_too_little_is_done(self, signature: tuple[AnyFact, ...]) -> None:
        for patient in ("P1", ""):
            record = played(start("09:00", patient=patient), stop("09:15:59", patient=patient), *signature)
            assert record.done
        assert played(start("09:00"), stop("09:16")).state is SessionState.INCOMPLETE


class TestRemainingOrders:
    HELD = day(prepared("08:50"), ended("A", "11:00", remaining=1), infusion_end=None)

    def test_more_orders_hold_without_limit(self) -> None:
        record = played(*self.HELD)
        assert (record.state, record.charged) == (SessionState.HELD, ())

    @pytest.mark.parametrize("t", ["13:30", f"{24 * 30}:00"], ids=["within the window", "weeks after it"])
    def test_once_a_person_lifted_that_the_window_charges_what_stands(self, t: str) -> None:
        record = played(*self.HELD, lifted(t, "chemo_orders_remain", units=3))
        assert (record.state, [each.quantity for each in record.charged]) == (SessionState.RELEASED, [3])


class TestExplained:
    def test_an_explanation_ends_an_incomplete_session_and_charges_nothing(self) -> None:
        record = played(*day(infusion_end=None), explained("14:00"))
        assert (record.state, record.done, record.charged) == (SessionState.EXPLAINED, True, ())

    def test_so_it_does_a_held_one_and_one_that_waits_for_its_window(self) -> None:
        held = played(*day(order_check("08:00", found=False), signed("13:00")), explained("14:00", units=3))
        waiting = played(*day(prepared("08:50")), explained("14:00", units=3))
        assert [each.state for each in (held, waiting)] == [SessionState.EXPLAINED] * 2
        assert held.charged == waiting.charged == ()

    def test_more_units_than_were_explained_are_held_until_a_person_decides(self) -> None:
        session = ReleaseSession()
        session.live = Live(APPROVED, Memory.FORGETS)
        session.live.play(day(prepared("08:50"), infusion_end=None))
        session.learn(explained("14:00"))
        session.learn(ended("A", "11:00", rx="15:00"))
        assert (session.record.state, session.charges) == (SessionState.HELD, [])
        session.learn(lifted("15:10", "explained", units=3))
        session.live.observe_until(at(WINDOW) + 1)
        assert (session.record.state, session.charges) == (SessionState.RELEASED, ["00A x3"])

    def test_who_lifted_an_explanation_may_explain_again(self) -> None:
        session = ReleaseSession()
        session.learn(explained("14:00", units=3))
        session.learn(lifted("14:10", "explained", units=3))
        session.learn(explained("14:20", units=3))
        session.live.observe_until(at(MONTHS))
        assert (session.record.state, session.charges) == (SessionState.EXPLAINED, [])


class TestALostUnit:
    def lost(self) -> ReleaseSession:
        session = ReleaseSession(APPROVED, stopped=None)
        session.live.observe_until(at("11:50"))
        session.live.learn([offline("11:50")], at("11:50"))
        return session

    def test_it_is_held_after_the_idle_time_and_waits_without_limit(self) -> None:
        session = self.lost()
        session.live.observe_until(at("12:20"))
        assert session.record.state is SessionState.OPEN
        session.live.observe_until(at("12:20") + 1)
        assert (session.state, session.record.state) == ("held: unit_lost", SessionState.HELD)
        session.live.observe_until(at(MONTHS))
        assert (session.state, session.charges) == ("held: unit_lost", [])

    def test_a_person_signs_it_and_lifts_the_hold(self) -> None:
        session = self.lost()
        session.learn(SessionFinalized(**times("12:00", None), token=TOKEN, person="rn", units=2))
        assert (session.state, session.record.state) == ("held: unit_lost", SessionState.HELD)
        session.learn(lifted("12:10", "unit_lost", units=2))
        assert (session.state, session.charges) == ("released", ["00A x2"])
        assert session.record.done

    def test_lifting_alone_leaves_it_held_for_nobody_closed_it(self) -> None:
        session = self.lost()
        session.live.learn([lifted("12:40", "unit_lost", units=2)], at("12:40"))
        session.live.observe_until(at(MONTHS))
        assert (session.state, session.charges) == ("held: unit_lost", [])

    def test_the_next_patient_on_its_cap_shows_nobody_how_cooling_ended(self) -> None:
        session = self.lost()
        session.live.observe_until(at("15:00"))
        session.live.learn([PatientBound(**times("15:00", None), cap=A1, patient="P2", evidence="scan")], at("15:00"))
        session.live.observe_until(at(MONTHS))
        assert (session.state, session.charges) == ("held: unit_lost", [])
        session.learn(lifted(MONTHS, "unit_lost", units=2))
        assert (session.state, session.charges) == ("released", ["00A x2"])

    def test_the_next_patient_on_a_cap_in_sight_ends_the_cooling(self) -> None:
        session = ReleaseSession(APPROVED, stopped=None)
        session.live.observe_until(at("12:20"))
        session.live.learn([PatientBound(**times("12:20", None), cap=A1, patient="P2", evidence="scan")], at("12:20"))
        session.live.observe_until(at(MONTHS))
        assert (session.state, session.charges) == ("released", ["00A x3"])

    def test_a_unit_that_comes_back_goes_on(self) -> None:
        session = self.lost()
        session.live.observe_until(at("12:25"))
        outcome = session.learn(online("12:25", proven=True))
        assert SessionChange.RELEASE in outcome.happened
        assert (session.state, session.record.state) == ("provisional", SessionState.OPEN)


class TestDone:
    def test_a_dry_run_is_done_once_nothing_else_holds_it(self) -> None:
        session = ReleaseSession(DRY_RUN)
        session.learn(signed("13:00"))
        assert (session.state, session.record.done) == ("held: dry_run", True)

    def test_time_alone_changes_nothing_about_it(self) -> None:
        record = played(*day(prepared("08:50"), signed("12:40")), until="12:50")  # before its idle time is over
        assert (record.state, record.done, record.awake) == (SessionState.RELEASED, True, False)

    def test_a_charge_in_question_is_not(self) -> None:
        session = ReleaseSession()
        session.learn(signed("13:00"))
        assert session.record.done
        session.learn(corrected("A", "14:00", "11:30"))
        assert (session.record.state, session.record.done) == (SessionState.RELEASED, False)
