"""Which infusion end starts the count, and what late, corrected and voided ends do (P4-P8, P17-P22, P25, P26)."""

import msgspec
import pytest

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    EndSource,
    FlushEnded,
    FlushStarted,
    InfusionEnded,
    InfusionStarted,
)
from tests.unit.gateway.session.session_timelines import (
    BIOLOGIC,
    agent,
    at,
    begun,
    corrected,
    day,
    ended,
    follow,
    restarted,
    start,
    stop,
    times,
    voided,
)

DAY = "11:16 11:46 12:16"
EMITTED = "emit 1 11:16, emit 2 11:46, emit 3 12:16"


def _check(facts: list[AnyFact], log: str, flags: str, **policy: object) -> None:
    found = follow(facts, **policy)
    assert (found.log, found.flags) == (log, flags)


class TestWhichEnd:
    """The last agent under chemotherapy administration codes (P4-P6)."""

    ANTIBODY = day(*agent("T", "11:00", "11:30", BIOLOGIC))
    HYDRATION = day(*agent("H", "11:00", "11:30", AgentClass.HYDRATION))
    FLUSH = day(*agent("F", "11:00", "11:05", AgentClass.FLUSH))

    def test_an_antibody_under_chemotherapy_codes_delays_the_count(self) -> None:
        _check(self.ANTIBODY, "emit 1 11:46, emit 2 12:16", "")

    def test_by_policy_the_last_drug_that_costs_hair_decides(self) -> None:
        _check(self.ANTIBODY, EMITTED, "", infusion_end_basis="last_alopecia_inducing_agent")

    def test_by_that_policy_an_antibody_alone_is_no_infusion(self) -> None:
        facts = [start("09:00"), *agent("T", "09:30", "11:00", BIOLOGIC), stop("12:30")]
        _check(facts, EMITTED, "")
        _check(facts, "", "infusion_missing", infusion_end_basis="last_alopecia_inducing_agent")

    def test_hydration_and_flush_do_not_delay_the_count(self) -> None:
        _check(self.HYDRATION, EMITTED, "")
        _check(self.FLUSH, EMITTED, "")

    def test_by_policy_the_flush_does(self) -> None:
        _check(self.FLUSH, "emit 1 11:21, emit 2 11:51, emit 3 12:21", "", infusion_end_basis="line_flush_complete")
        _check(self.HYDRATION, EMITTED, "", infusion_end_basis="line_flush_complete")

    def test_flush_events_tell_their_class_by_their_name(self) -> None:
        flush_started = FlushStarted(**times("11:00", None), order="F", patient="P1")
        flush_ended = FlushEnded(**times("11:05", None), order="F", patient="P1")
        _check(
            day(flush_started, flush_ended),
            "emit 1 11:21, emit 2 11:51, emit 3 12:21",
            "",
            infusion_end_basis="line_flush_complete",
        )

    def test_by_policy_everything_that_runs_does(self) -> None:
        _check(self.HYDRATION, "emit 1 11:46, emit 2 12:16", "", infusion_end_basis="all_iv_stop")
        assert follow(self.FLUSH, infusion_end_basis="all_iv_stop").instants == "11:21 11:51 12:21"

    def test_hydration_alone_is_no_infusion(self) -> None:
        facts = [start("09:00"), *agent("H", "09:30", "11:00", AgentClass.HYDRATION), stop("12:30")]
        _check(facts, "", "infusion_missing", infusion_end_basis="all_iv_stop")

    def test_an_end_that_names_no_class_keeps_the_one_that_the_start_told(self) -> None:
        presumed = ended("H", "11:00", AgentClass.CHEMO, presumed=True)
        hydration = [start("09:00"), begun("H", "09:30", AgentClass.HYDRATION), presumed, stop("12:30")]
        _check(hydration, "", "infusion_missing")
        antibody = [start("09:00"), begun("H", "09:30", BIOLOGIC), presumed, stop("12:30")]
        _check(antibody, "", "infusion_missing", infusion_end_basis="last_alopecia_inducing_agent")
        flush = [FlushStarted(**times("09:30", None), order="H", patient="P1"), presumed]
        _check([start("09:00"), *flush, stop("12:30")], "", "infusion_missing")

    def test_a_class_that_is_told_late_overrides_the_presumed_one(self) -> None:
        presumed = ended("H", "11:00", AgentClass.CHEMO, presumed=True)
        late = begun("H", "09:30", AgentClass.HYDRATION, rx="11:30")
        _check([start("09:00"), presumed, late, stop("12:30")], "emit 1 11:16, retract 1 11:30", "infusion_missing")

    def test_a_class_that_nobody_tells_is_presumed_to_be_chemotherapy(self) -> None:
        presumed = ended("H", "11:00", AgentClass.CHEMO, presumed=True)
        _check([start("09:00"), presumed, stop("12:30")], EMITTED, "")

    def test_a_home_pump_is_passed_over_and_flagged(self) -> None:
        facts = day(begun("P", "11:05", AgentClass.AMBULATORY_PUMP))
        _check(facts, EMITTED, "ambulatory_pump_running")
        assert follow(facts, ambulatory_pump_counts_as_infusion=True).instants == ""

    def test_a_home_pump_that_ended_before_the_agent_is_not_flagged(self) -> None:
        _check(day(*agent("P", "09:10", "10:00", AgentClass.AMBULATORY_PUMP)), EMITTED, "")


class TestSeveralAgents:
    """Gaps between agents are cooling during the infusion (P7, P8)."""

    def test_the_count_begins_at_the_last_end_whatever_the_order_of_starts(self) -> None:
        _check(day(*agent("B", "09:20", "11:30")), "emit 1 11:46, emit 2 12:16", "")

    def test_a_later_agent_takes_back_what_was_told_in_the_gap(self) -> None:
        facts = day(*agent("B", "11:20", "11:40"))
        _check(facts, "emit 1 11:16, retract 1 11:20, emit 1 11:56, emit 2 12:26", "")

    def test_the_same_order_restarted_is_an_interruption(self) -> None:
        facts = day(restarted("A", "11:20"), ended("A", "11:40"))
        _check(facts, "emit 1 11:16, retract 1 11:20, emit 1 11:56, emit 2 12:26", "infusion_interrupted")

    def test_a_restart_without_an_end_leaves_the_infusion_running(self) -> None:
        facts = day(restarted("A", "11:20"))
        _check(facts, "emit 1 11:16, retract 1 11:20", "infusion_end_missing infusion_interrupted")

    def test_an_end_at_the_instant_of_a_restart_ends_what_ran_before(self) -> None:
        facts = day(restarted("A", "11:00"))
        _check(facts, "", "infusion_end_missing infusion_interrupted")
        _check([*facts, ended("A", "11:40")], "emit 1 11:56, emit 2 12:26", "infusion_interrupted")

    def test_a_restart_at_the_threshold_wins(self) -> None:
        _check(day(restarted("A", "11:16"), ended("A", "11:40")), "emit 1 11:56, emit 2 12:26", "infusion_interrupted")

    def test_a_correction_of_the_first_part_does_not_move_the_end(self) -> None:
        facts = day(restarted("A", "11:20"), ended("A", "11:40"), corrected("A", "11:50", "11:05"))
        _check(facts, "emit 1 11:16, retract 1 11:20, emit 1 11:56, emit 2 12:26", "infusion_interrupted")

    def test_an_order_that_never_ended_holds_the_count(self) -> None:
        _check(day(begun("B", "10:00")), "", "infusion_end_missing")


class TestOrdersRemain:
    """`remaining_chemo_orders` holds everything back (P7, reading 5)."""

    HELD = day(ended("A", "11:00", remaining=1), infusion_end=None)

    def test_while_orders_remain_nothing_is_told(self) -> None:
        _check(self.HELD, "", "infusion_end_missing")
        _check(self.HELD, EMITTED, "", hold_when_orders_remain=False)

    def test_the_cancellation_tells_all_at_once(self) -> None:
        facts = [*self.HELD, ended("A", "11:00", rx="11:50", remaining=0)]
        _check(facts, "emit 1 11:50 for 11:16, emit 2 11:50 for 11:46, emit 3 12:16", "")

    def test_the_end_of_another_agent_does_not_lift_the_hold(self) -> None:
        _check([*self.HELD, *agent("B", "11:10", "11:20")], "", "infusion_end_missing")
        _check([*self.HELD, *agent("H", "11:10", "11:20", AgentClass.HYDRATION)], "", "infusion_end_missing")

    def test_the_last_agents_end_lifts_it(self) -> None:
        facts = [*self.HELD, begun("B", "11:10"), ended("B", "11:20", remaining=0)]
        _check(facts, "emit 1 11:36, emit 2 12:06", "")


class TestLateAndCorrected:
    """The chart may come late, change, and be withdrawn (P17, P18, P22)."""

    def test_a_late_end_is_told_on_arrival_with_its_true_instants(self) -> None:
        facts = day(ended("A", "11:00", rx="11:50"), infusion_end=None)
        _check(facts, "emit 1 11:50 for 11:16, emit 2 11:50 for 11:46, emit 3 12:16", "")

    def test_an_end_after_the_stop_is_a_late_entry(self) -> None:
        facts = day(ended("A", "11:00", rx="13:00"), infusion_end=None)
        _check(facts, "emit 1 13:00 for 11:16, emit 2 13:00 for 11:46, emit 3 13:00 for 12:16", "late_entry")

    def test_a_later_end_takes_back_from_the_top_and_amends_the_rest(self) -> None:
        _check(
            day(corrected("A", "12:40", "11:20")),
            f"{EMITTED}, retract 3 12:40, amend 1 12:40 for 11:36, amend 2 12:40 for 12:06",
            "",
        )

    def test_an_earlier_end_amends_and_adds(self) -> None:
        _check(
            day(corrected("A", "12:40", "10:40")),
            f"{EMITTED}, amend 1 12:40 for 10:56, amend 2 12:40 for 11:26, amend 3 12:40 for 11:56, "
            "emit 4 12:40 for 12:26",
            "",
        )

    def test_the_highest_version_wins_whatever_came_first(self) -> None:
        facts = day(corrected("A", "12:40", "11:20", version=3), corrected("A", "12:50", "10:00", version=2))
        assert follow(facts).instants == "11:36 12:06"

    def test_a_correction_may_come_before_the_end_itself(self) -> None:
        facts = day(corrected("A", "11:10", "11:05"), ended("A", "11:00", rx="11:12"), infusion_end=None)
        _check(facts, "emit 1 11:21, emit 2 11:51, emit 3 12:21", "")

    def test_a_correction_of_an_unknown_order_waits_for_its_class(self) -> None:
        facts = [start("09:00"), corrected("A", "11:05", "11:00"), stop("12:30")]
        _check(facts, "", "infusion_missing")
        _check(
            [*facts, begun("A", "09:30", rx="12:40")],
            EMITTED.replace("1 11:16", "1 12:40 for 11:16")
            .replace("2 11:46", "2 12:40 for 11:46")
            .replace("3 12:16", "3 12:40 for 12:16"),
            "",
        )

    def test_a_void_takes_the_end_away_until_another_is_charted(self) -> None:
        facts = day(voided("A", "11:20"), ended("A", "11:25", rx="11:30"))
        _check(facts, "emit 1 11:16, retract 1 11:20, emit 1 11:41, emit 2 12:11", "")

    def test_a_void_without_a_version_takes_later_instants_too(self) -> None:
        facts = day(ended("A", "11:40", rx="11:05"), voided("A", "11:20"), infusion_end=None)
        _check(facts, "", "infusion_end_missing")

    def test_a_void_leaves_nothing_of_an_end_for_good(self) -> None:
        _check(
            day(voided("A", "12:40")),
            f"{EMITTED}, retract 3 12:40, retract 2 12:40, retract 1 12:40",
            "infusion_end_missing",
        )

    def test_a_void_of_a_version_yields_to_a_higher_one_whatever_came_first(self) -> None:
        correction, void = corrected("A", "12:40", "11:20", version=4), voided("A", "12:50", version=3)
        assert follow(day(correction, void)).instants == "11:36 12:06"
        lower = corrected("A", "12:40", "11:20", version=2)
        assert follow(day(lower, void)).instants == ""
        assert follow(day(corrected("A", "12:40", "11:20", version=3), void)).instants == ""
        assert follow(day(lower, voided("A", "12:35", version=3))).instants == ""

    def test_the_same_fact_told_twice_was_known_the_first_time(self) -> None:
        _check(day(ended("A", "11:00", rx="13:00")), EMITTED, "")

    def test_an_end_before_its_start_is_rejected(self) -> None:
        facts = day(ended("A", "09:10", rx="11:05"), infusion_end=None)
        _check(facts, "", "infusion_end_before_start")

    def test_a_correction_before_the_start_leaves_the_end_as_it_was(self) -> None:
        _check(day(corrected("A", "11:05", "09:10")), EMITTED, "infusion_end_before_start")


class TestMissing:
    """Nothing is inferred (P19, P20)."""

    def test_an_infusion_that_nobody_ended(self) -> None:
        _check(day(infusion_end=None), "", "infusion_end_missing")

    def test_an_end_without_a_time(self) -> None:
        _check(day(ended("A", "11:00", no_time=True), infusion_end=None), "", "infusion_end_without_time")

    def test_an_end_without_a_time_that_is_completed(self) -> None:
        facts = day(ended("A", "11:00", no_time=True), corrected("A", "11:30", "11:00"), infusion_end=None)
        _check(facts, "emit 1 11:30 for 11:16, emit 2 11:46, emit 3 12:16", "")

    def test_an_end_in_the_future_is_waited_for(self) -> None:
        facts = day(ended("A", "11:30", rx="11:05"), infusion_end=None)
        _check(facts, "emit 1 11:46, emit 2 12:16", "infusion_end_in_future")

    def test_a_pumps_word_is_no_end(self) -> None:
        end = InfusionEnded(
            **times("11:00", None), order="A", admin=AgentClass.CHEMO, patient="P1", source=EndSource.PUMP
        )
        _check(day(end, infusion_end=None), "", "infusion_end_missing")

    def test_an_end_that_comes_before_its_start_is_told(self) -> None:
        facts = [start("09:00"), ended("A", "11:00"), begun("A", "09:30", rx="11:25"), stop("12:30")]
        _check(facts, EMITTED, "")

    def test_an_order_of_unknown_class_is_disregarded_and_holds_the_increments(self) -> None:
        facts = day(begun("X", "10:00", None))
        assert follow(facts).instants == DAY
        assert "agent_class_unknown" in follow(facts).assessment.held


@pytest.mark.parametrize(
    ("skew_s", "flags"), [(60.0, ""), (61.0, "clock_skew_corrected"), (-90.0, "clock_skew_corrected")]
)
def test_a_clock_skew_beyond_a_minute_is_flagged(skew_s: float, flags: str) -> None:
    end = InfusionEnded(**times("11:00", None), order="A", admin=AgentClass.CHEMO, patient="P1", skew_s=skew_s)
    _check(day(end, infusion_end=None), EMITTED, flags)


def test_an_ambiguous_local_time_is_flagged() -> None:
    end = msgspec.structs.replace(ended("A", "11:00"), ambiguous=True)
    _check(day(end, infusion_end=None), EMITTED, "ambiguous_local_time")


def test_a_second_word_on_the_start_does_not_hide_the_end() -> None:
    second = InfusionStarted(
        at_us=at("09:35"), known_at_us=at("09:36"), order="A", admin=AgentClass.CHEMO, patient="P1"
    )
    _check(day(second), EMITTED, "")
