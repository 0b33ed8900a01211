"""Each hold reason: lifting it charges the units that would be attained without its cause, or is refused."""

from datetime import date

import pytest

from gateway.session.facts import (
    AgentClass,
    CoolingStarted,
    CoolingStopped,
    GatewayHold,
    HoldLifted,
    InfusionEnded,
    SessionExplained,
    SessionFinalized,
)
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionState
from gateway.session.policy import Policy
from tests.unit.gateway.control.held_sessions import LIFTED, READY, Site, policy
from tests.unit.gateway.session.release_session import APPROVED, DRY_RUN, TOKEN, order_check
from tests.unit.gateway.session.session_timelines import (
    A1,
    at,
    begun,
    corrected,
    day,
    ended,
    offline,
    start,
    stop,
    times,
)


class TestEachHold:
    @pytest.mark.parametrize("reason", LIFTED)
    def test_lifting_it_charges_what_stands_without_its_cause(self, reason: HeldReason) -> None:
        site = Site(*LIFTED[reason][:1], *LIFTED[reason][1])
        site.finalise()
        assert (site.held, site.charged) == ((reason,), 0)
        site.lift(reason)
        assert (site.held, site.charged) == ((), LIFTED[reason][2])
        assert site.live.records[TOKEN].done

    def test_a_lost_unit_is_lifted_once_a_person_closed_it(self) -> None:
        site = Site(APPROVED, *day(*READY, stopped=None), offline("11:50"))
        assert site.held == (HeldReason.UNIT_LOST,)
        assert "finalise it" in site.refused("lift", "unit_lost")
        site.finalise()
        site.lift("unit_lost")
        assert (site.held, site.charged) == ((), 2)

    def test_an_explanation_is_lifted_like_any_other(self) -> None:
        site = Site(APPROVED, *day(*READY))
        site.explain()
        assert (site.held, site.snapshot.outcome.record.state) == ((HeldReason.EXPLAINED,), SessionState.EXPLAINED)
        assert "nothing is left" in site.refused("explain")
        site.finalise()
        assert site.charged == 0
        site.lift("explained")
        assert (site.held, site.charged) == ((), 3)
        assert "it is charged" in site.refused("explain")

    def test_a_signature_covers_the_units_that_stood(self) -> None:
        """Cooling was not running at the end that was charted first: no unit."""
        site = Site(APPROVED, *day(*READY, infusion_end="12:40"))
        site.finalise()
        assert (site.snapshot.outcome.record.state, site.charged) == (SessionState.RELEASED, 0)
        site.now_us = at("14:30")
        site.live.learn([corrected("A", "14:30", "11:30")], site.now_us)
        assert (site.held, site.charged) == ((HeldReason.SIGNED_BEFORE,), 0)
        site.lift("signed_before")
        assert (site.held, site.charged) == ((), 2)

    @pytest.mark.parametrize(
        ("reason", "under", "act"),
        [
            (HeldReason.POLICY_UNAPPROVED, Policy(), "explain"),
            (HeldReason.POLICY_NOT_EFFECTIVE, policy(effective=date(2026, 4, 15)), "explain"),
            (HeldReason.DRY_RUN, DRY_RUN, "nothing"),
        ],
    )
    def test_what_the_policy_holds_nobody_lifts(self, reason: HeldReason, under: Policy, act: str) -> None:
        site = Site(under, *day(*READY))
        site.finalise()
        assert site.held == (reason,)
        assert f"{reason}: {act}" in site.refused("lift", reason)
        site.explain()
        assert site.snapshot.outcome.record.state is SessionState.EXPLAINED

    def test_a_session_without_patient_is_bound_and_not_lifted(self) -> None:
        cooled = [CoolingStarted(**times("09:00", None), cap=A1), CoolingStopped(**times("12:30", None), cap=A1)]
        site = Site(APPROVED, *cooled)
        assert "unbound: bind" in site.refused("lift", "unbound")
        assert site.refused("finalise") == (
            "unknown: the patient, the infusion's end | bind, infusion-ended; or explain, with why nothing is charged"
        )

    def test_where_a_start_disagreed_a_person_lets_go_what_stands_now(self) -> None:
        site = Site(APPROVED, *day(*READY))
        site.live.learn(
            [GatewayHold(**times("13:40", None), token=TOKEN, hold=HeldReason.START_DISAGREES)], at("13:40")
        )
        site.now_us = at("13:40")
        before = site.live.records[TOKEN].emitted
        site.live.learn([corrected("A", "13:41", "12:29")], at("13:41"))
        assert site.live.records[TOKEN].emitted == before
        site.finalise()
        assert (site.held, site.charged) == ((HeldReason.START_DISAGREES,), 0)
        assert site.snapshot.outcome.record.state is SessionState.HELD
        site.lift("start_disagrees")
        assert (site.held, site.charged) == ((), 0)
        assert all(each.retracted for each in site.live.records[TOKEN].emitted)

    def test_nothing_lifts_a_clock_that_was_wrong_and_an_explanation_ends_it(self) -> None:
        site = Site(APPROVED, *day(*READY))
        wrong = GatewayHold(**times("13:40", None), token=TOKEN, hold=HeldReason.CLOCK_WRONG)
        site.live.learn([wrong], at("13:40"))
        site.now_us = at("13:41")
        site.finalise()
        assert (site.held, site.charged) == ((HeldReason.CLOCK_WRONG,), 0)
        assert "clock_wrong: explain" in site.refused("lift", "clock_wrong")
        site.explain()
        assert (site.snapshot.outcome.record.state, site.charged) == (SessionState.EXPLAINED, 0)

    def test_where_earlier_cooling_has_no_time_a_person_lets_go_what_is_proven(self) -> None:
        site = Site(APPROVED, *day(*READY))
        unknown = GatewayHold(**times("13:40", None), token=TOKEN, hold=HeldReason.TIME_UNKNOWN)
        site.live.learn([unknown], at("13:40"))
        site.now_us = at("13:41")
        site.finalise()
        assert (site.held, site.charged) == ((HeldReason.TIME_UNKNOWN,), 0)
        site.lift("time_unknown")
        assert site.held == ()
        assert site.charged > 0

    def test_every_reason_is_tried_here(self) -> None:
        others = {
            "start_disagrees",
            "identity_purged",
            "clock_wrong",
            "time_unknown",
            "unit_lost",
            "explained",
            "signed_before",
            "policy_unapproved",
            "policy_not_effective",
            "dry_run",
        }
        assert {*LIFTED, *others, "unbound"} == set(HeldReason)


class TestWhatALiftCovers:
    @pytest.mark.parametrize("reason", [each for each in LIFTED if each != HeldReason.REVISIONS_EXHAUSTED])
    def test_more_units_than_were_let_go_are_held_again(self, reason: HeldReason) -> None:
        under, facts, units = LIFTED[reason]
        site = Site(under, *facts)
        lift = site.lift(reason) if reason in site.held else None
        assert lift is None or (isinstance(lift, HoldLifted) and lift.units == units)
        if lift is None:  # asked for once the session is final: nothing is charged before
            return
        site.live.learn([corrected("A", "13:40", "10:20")], at("13:40"))
        site.now_us = at("13:40")
        assert len(site.snapshot.outcome.assessment.increments) == units + 1
        assert reason in site.held
        site.finalise()
        assert site.charged == 0
        site.lift(reason)
        assert site.charged == units + 1

    def test_a_lift_counts_for_fewer_units_too(self) -> None:
        site = Site(APPROVED, *day(*READY, order_check("08:40", found=False)))
        site.lift("no_order")
        site.now_us = at("13:40")
        site.live.learn([corrected("A", "13:40", "11:30")], at("13:40"))
        site.finalise()
        assert site.charged == 2

    def test_after_the_charge_a_correction_asks_and_the_lift_stays(self) -> None:
        site = Site(policy(auto_release_limit_units=2), *day(*READY))
        site.finalise()
        site.lift("beyond_auto_release_limit")
        site.now_us = at("13:40")
        site.live.learn([corrected("A", "13:40", "10:20")], at("13:40"))
        assert (site.held, site.charged) == ((), 3)
        assert [(each.charged, each.counted) for each in site.snapshot.outcome.release.items] == [(3, 4)]

    def test_an_automatic_credit_takes_no_more_than_was_lifted(self) -> None:
        site = Site(policy(auto_release_limit_units=2, automatic_credit=True), *day(*READY))
        site.finalise()
        site.lift("beyond_auto_release_limit")
        site.now_us = at("13:40")
        site.live.learn([corrected("A", "13:40", "10:20")], at("13:40"))
        assert (site.held, site.charged) == ((HeldReason.BEYOND_AUTO_RELEASE_LIMIT,), 3)

    def test_orders_that_are_charted_after_the_lift_hold_anew(self) -> None:
        site = Site(APPROVED, *day(*READY, ended("A", "11:00", remaining=1), infusion_end=None))
        site.lift("chemo_orders_remain")
        site.now_us = at("13:40")
        site.live.learn([ended("B", "11:20", rx="13:40", remaining=1)], at("13:40"))
        site.finalise()
        assert (site.held, site.charged) == ((HeldReason.CHEMO_ORDERS_REMAIN,), 0)

    def test_an_agent_that_still_runs_is_not_lifted_away(self) -> None:
        remain = ended("A", "11:00", remaining=1)
        site = Site(APPROVED, *day(*READY, remain, begun("B", "11:30"), infusion_end=None))
        assert "infusion-ended" in site.refused("lift", "chemo_orders_remain")

    def test_without_units_there_is_nothing_to_let_go(self) -> None:
        site = Site(APPROVED, *day(*READY, order_check("08:40", found=False), infusion_end=None))
        assert site.refused("lift", "no_order") == (
            "holds: no unit stands that this would let go | infusion-ended first; or explain"
        )


class TestIncomplete:
    def test_a_signature_needs_the_end_or_a_reason(self) -> None:
        site = Site(APPROVED, *day(*READY, infusion_end=None))
        assert site.refused("finalise") == (
            "unknown: the infusion's end | infusion-ended; or explain, with why nothing is charged"
        )
        said = site.explain()
        assert isinstance(said, SessionExplained)
        assert (said.units, said.reason) == (0, "a study")
        assert site.snapshot.outcome.record.state is SessionState.EXPLAINED

    def test_what_cooled_too_little_is_signed_as_it_is(self) -> None:
        site = Site(APPROVED, start("09:00"), stop("09:10"))
        fact = site.finalise()
        assert isinstance(fact, SessionFinalized)
        assert fact.units == 0

    def test_while_cooling_goes_on_nothing_is_explained(self) -> None:
        site = Site(APPROVED, *day(stopped=None))
        assert "cooling goes on" in site.refused("explain")


def test_two_agents_of_unknown_class_leave_the_others_to_count() -> None:
    unknown = [InfusionEnded(**times("11:10", None), order=name, patient="P1") for name in ("X", "Y")]
    site = Site(APPROVED, *day(*READY, *unknown, begun("B", "10:00", AgentClass.BIOLOGIC), ended("B", "11:20")))
    site.finalise()
    site.lift("agent_class_unknown")
    assert site.charged == 2
