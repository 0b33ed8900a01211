"""What cooling counts: thresholds, interruptions, ends, continuity (P1-P3, P9-P16, P23, P28, P31)."""

import pytest

from gateway.session.facts import AnyFact, CapLoss, NoteAdded, UnitOnline
from tests.unit.gateway.session.session_timelines import (
    A1,
    A2,
    B1,
    agent,
    bound,
    charted_stop,
    cleared,
    day,
    ended,
    fault,
    follow,
    left,
    offline,
    online,
    pause,
    removed,
    resume,
    start,
    stop,
    times,
)


def _check(facts: list[AnyFact], instants: str, flags: str, **policy: object) -> None:
    found = follow(facts, **policy)
    assert (found.instants, found.flags) == (instants, flags)


@pytest.mark.requirement("REQ-COUNT-2")
@pytest.mark.parametrize(
    ("stopped", "midpoint", "strict", "complete"),
    [
        ("11:15", "", "", ""),
        ("11:15:01", "", "11:15:01", ""),
        ("11:15:59", "", "11:15:01", ""),
        ("11:16", "11:16", "11:15:01", ""),
        ("11:29:59", "11:16", "11:15:01", ""),
        ("11:30", "11:16", "11:15:01", "11:30"),
        ("11:45", "11:16", "11:15:01", "11:30"),
        ("11:46", "11:16 11:46", "11:15:01 11:45:01", "11:30"),
        ("12:00", "11:16 11:46", "11:15:01 11:45:01", "11:30 12:00"),
    ],
)
def test_a_unit_is_attained_at_its_threshold_and_the_remainder_is_dropped(
    stopped: str, midpoint: str, strict: str, complete: str
) -> None:
    facts = day(stopped=stopped)
    _check(facts, midpoint, "")
    _check(facts, strict, "", first_threshold_s=901)
    _check(facts, complete, "", first_threshold_s=1800)


def test_chart_minutes_cut_the_seconds_off_both_ends() -> None:
    facts = day(infusion_end="11:00:40", stopped="11:16:10")
    _check(facts, "", "")
    _check(facts, "11:16", "", timestamp_resolution="chart_minutes")


def test_chart_minutes_are_told_once_the_clock_shows_them() -> None:
    facts = day(infusion_end="11:00:40", stopped="11:30")
    assert follow(facts, timestamp_resolution="chart_minutes").log == "emit 1 11:16"


@pytest.mark.parametrize(
    ("facts", "instants", "flags"),
    [
        pytest.param(
            day(pause("11:05"), resume("11:10"), pause("11:20"), resume("11:29")),
            "11:30 12:00 12:30",
            "",
            id="two short pauses are both taken off",
        ),
        pytest.param(
            day(pause("11:05"), resume("11:16")),
            "11:27 11:57 12:27",
            "pause_exceeded_tolerance",
            id="a longer pause is taken off and flagged, the segments add up",
        ),
        pytest.param(
            day(pause("10:50"), resume("11:05")),
            "11:21 11:51 12:21",
            "pause_exceeded_tolerance",
            id="a long pause across the infusion end counts from the resume",
        ),
        pytest.param(
            day(pause("10:00"), resume("10:20")),
            "11:16 11:46 12:16",
            "",
            id="a pause before the infusion end is nothing",
        ),
        pytest.param(day(pause("11:20")), "11:16", "paused_until_stop", id="a pause that lasts until the stop"),
        pytest.param(
            day(pause("11:20"), stop("11:35"), start("11:40")),
            "11:16 12:06",
            "pause_exceeded_tolerance",
            id="a pause, a stop and a start within the tolerance of the stop",
        ),
        pytest.param(
            day(pause("11:20"), stop("11:25"), start("11:40")),
            "11:16",
            "paused_until_stop post_infusion_restart",
            id="a pause, a stop and a start too late after the stop",
        ),
        pytest.param(
            day(stop("11:20"), start("11:30")), "11:16 11:56 12:26", "", id="a stop of exactly the tolerance is a pause"
        ),
        pytest.param(
            day(stop("11:20"), start("11:30:01")), "11:16", "post_infusion_restart", id="a longer stop closes the count"
        ),
        pytest.param(
            day(stop("10:55"), start("11:05")), "11:21 11:51 12:21", "", id="a short stop across the end is a pause"
        ),
        pytest.param(
            day(stop("10:50"), start("11:05")),
            "",
            "cooling_not_running_at_infusion_end post_infusion_restart",
            id="a long stop across the end leaves nothing to continue",
        ),
        pytest.param(
            day(stop("10:55")),
            "",
            "cooling_not_running_at_infusion_end",
            id="cooling that stopped before the end leaves nothing to continue",
        ),
        pytest.param(
            day(stop("10:00"), start("10:30")),
            "11:16 11:46 12:16",
            "",
            id="a long stop before the infusion end is over by then",
        ),
        pytest.param(
            [start("11:00"), *agent("A", "09:30", "11:00"), stop("12:30")],
            "",
            "cooling_not_running_at_infusion_end no_precooling_before_infusion",
            id="cooling that starts exactly at the end is not continued",
        ),
        pytest.param(
            [start("11:05"), *agent("A", "09:30", "11:00"), stop("12:30")],
            "",
            "cooling_not_running_at_infusion_end no_precooling_before_infusion",
            id="cooling that starts after the end is not continued",
        ),
        pytest.param(
            [start("10:00"), *agent("A", "09:30", "11:00"), stop("12:30")],
            "11:16 11:46 12:16",
            "no_precooling_before_infusion",
            id="cooling that starts during the infusion counts after it",
        ),
        pytest.param(
            agent("A", "09:30", "11:00"),
            "",
            "cooling_not_running_at_infusion_end",
            id="a patient who was never cooled",
        ),
        pytest.param([start("09:00"), stop("09:30")], "", "infusion_missing", id="no infusion at all"),
    ],
)
def test_interruptions(facts: list[AnyFact], instants: str, flags: str) -> None:
    # Where a timeline of its own has a stop, the day's stop at 12:30 finds nothing running or ends the later run.
    _check(facts, instants, flags)


def test_without_continuity_a_fresh_start_counts() -> None:
    facts = day(stop("11:10"), start("11:30"))
    _check(facts, "11:36 12:06", "post_infusion_restart", continuity_required=False)


class TestGrossWithinTolerance:
    """`pause_counting = gross_within_tolerance` (P9)."""

    def test_a_unit_inside_an_open_pause_waits_for_the_resume(self) -> None:
        found = follow(day(pause("11:10"), resume("11:20")), pause_counting="gross_within_tolerance")
        assert found.log == "emit 1 11:20 for 11:16, emit 2 11:46, emit 3 12:16"

    def test_a_pause_that_ends_in_the_stop_never_counts(self) -> None:
        _check(day(pause("11:10"), stopped="11:18"), "", "paused_until_stop", pause_counting="gross_within_tolerance")

    def test_faults_and_short_stops_are_pauses(self) -> None:
        facts = day(fault("11:05"), cleared("11:10"), stop("11:20"), start("11:25"), stopped="11:46")
        _check(facts, "11:16 11:46", "fault_during_post_infusion", pause_counting="gross_within_tolerance")

    def test_time_out_of_sight_never_counts(self) -> None:
        facts = day(offline("11:05"), online("11:10"))
        _check(facts, "11:21 11:51 12:21", "unobserved_gap", pause_counting="gross_within_tolerance")

    def test_a_longer_pause_is_left_out_whole(self) -> None:
        facts = day(pause("11:05"), resume("11:15:01"))
        _check(facts, "11:26:01 11:56:01 12:26:01", "pause_exceeded_tolerance", pause_counting="gross_within_tolerance")


@pytest.mark.parametrize(
    ("back", "instants", "flags"),
    [
        pytest.param("10:40", "11:16 11:46 12:16", "", id="back before the infusion's end"),
        pytest.param("11:05", "", "cooling_not_running_at_infusion_end", id="back after it"),
    ],
)
def test_a_binding_out_of_sight_begins_cooling_that_is_seen_when_the_unit_is_back(
    back: str, instants: str, flags: str
) -> None:
    """Before the silence the cap cooled the patient before; when this one's cooling began, nobody saw."""
    before = [start("08:00", patient="P0"), offline("08:30")]
    after = [bound("09:00"), *agent("A", "09:30", "11:00"), online(back), stop("12:30", patient="")]
    found = follow([*before, *after])
    assert found.instants == instants
    assert [each for each in found.flags.split() if each.startswith("cooling")] == flags.split()


def test_the_tolerance_is_policy() -> None:
    facts = day(stop("11:20"), start("11:26"))
    _check(facts, "11:16", "post_infusion_restart", pause_tolerance_s=300)


class TestNoise:
    """`min_pause_s` and the chatter flag (P31)."""

    CHATTER = day(*(pause(f"11:05:{s:02d}") for s in (0, 10, 20)), *(resume(f"11:05:{s:02d}") for s in (3, 13, 23)))

    def test_three_short_interruptions_are_flagged_and_do_not_count(self) -> None:
        _check(self.CHATTER, "11:16:09 11:46:09 12:16:09", "state_chatter")

    def test_interruptions_under_the_filter_count(self) -> None:
        _check(self.CHATTER, "11:16 11:46 12:16", "state_chatter", min_pause_s=5)

    def test_an_interruption_of_just_the_filter_is_a_pause(self) -> None:
        _check(self.CHATTER, "11:16:09 11:46:09 12:16:09", "state_chatter", min_pause_s=3)


class TestFaults:
    """A fault is a pause from the first bad poll, on every cap of the unit (P14)."""

    def test_a_fault_is_taken_off(self) -> None:
        _check(day(fault("11:05"), cleared("11:10")), "11:21 11:51 12:21", "fault_during_post_infusion")

    def test_a_pause_because_of_a_fault_is_a_fault(self) -> None:
        facts = day(pause("11:05", reason="fault"), resume("11:10"))
        _check(facts, "11:21 11:51 12:21", "fault_during_post_infusion")

    def test_a_fault_before_the_infusion_end_is_not_flagged(self) -> None:
        _check(day(fault("10:05"), cleared("10:10")), "11:16 11:46 12:16", "")
        _check(day(pause("10:05", reason="fault"), resume("10:10")), "11:16 11:46 12:16", "")

    def test_two_faults_at_once_last_until_the_second_is_cleared(self) -> None:
        facts = day(fault("11:05"), fault("11:07", "pump"), cleared("11:10", "coolant_high"), cleared("11:14", "pump"))
        _check(facts, "11:25 11:55 12:25", "fault_during_post_infusion")

    def test_a_long_fault_is_flagged_as_a_long_pause_too(self) -> None:
        facts = day(fault("11:05"), cleared("11:16"))
        _check(facts, "11:27 11:57 12:27", "fault_during_post_infusion pause_exceeded_tolerance")

    def test_a_fault_stops_the_other_cap_as_well(self) -> None:
        other = [start("09:00", A2, "P2"), stop("12:30", A2, "P2")]
        found = follow([*day(fault("11:05"), cleared("11:10")), *other], "P1")
        assert found.instants == "11:21 11:51 12:21"


class TestEnds:
    """The earliest end of cooling counts (P13, P28)."""

    def test_a_removed_cap_ends_the_count_before_the_machine_stops(self) -> None:
        _check(day(removed("11:40")), "11:16", "stop_after_removal")

    def test_a_cap_removed_after_the_stop_is_the_normal_end(self) -> None:
        _check(day(removed("12:40")), "11:16 11:46 12:16", "")

    def test_thaw_counts_only_by_policy(self) -> None:
        facts = day(removed("11:48"), stopped="11:40")
        _check(facts, "11:16", "")
        _check(facts, "11:16 11:46", "", count_thaw=True)

    def test_a_charted_stop_before_the_machines_ends_the_count(self) -> None:
        facts = day(charted_stop("11:40", rx="12:40"))
        _check(facts, "11:16", "stop_conflict")
        _check(facts, "11:16 11:46 12:16", "stop_conflict", stop_conflict="device")

    def test_a_charted_stop_takes_units_back(self) -> None:
        assert follow(day(charted_stop("11:40", rx="12:40"))).log == (
            "emit 1 11:16, emit 2 11:46, emit 3 12:16, retract 3 12:40, retract 2 12:40"
        )

    def test_a_charted_stop_in_the_machines_minute_is_no_conflict(self) -> None:
        _check(day(charted_stop("12:30"), stopped="12:30:40"), "11:16 11:46 12:16", "")

    def test_a_charted_stop_ends_the_count_of_a_machine_that_never_stops_whatever_the_policy(self) -> None:
        later = NoteAdded(**times("12:30", None), patient="P1", text="the machine runs on")
        facts = day(charted_stop("11:40"), later, stopped=None)
        _check(facts, "11:16", "stop_conflict")
        _check(facts, "11:16", "stop_conflict", stop_conflict="device")

    def test_who_has_left_is_not_cooled(self) -> None:
        facts = day(left("11:25"), stop("11:30"), start("11:35"))
        _check(facts, "11:16", "left_facility_while_cooling")
        _check(facts, "11:16 11:51 12:21", "", count_after_departure=True)

    def test_leaving_after_the_stop_is_nothing(self) -> None:
        _check(day(left("12:35")), "11:16 11:46 12:16", "")

    def test_a_removal_that_is_told_late_ends_only_the_run_it_falls_into(self) -> None:
        facts = day(removed("11:20", rx="13:00"), stop("11:21"), start("11:28"))
        _check(facts, "11:16 11:54 12:24", "stop_after_removal")


class TestOutOfSight:
    """Silence counts only on the unit's own proof (P15, P16)."""

    def test_a_loss_within_the_tolerance_is_taken_off_and_a_longer_one_leaves_nothing_of_the_silence(self) -> None:
        for lost_s, log in ((540, "11:16 11:55 12:25"), (660, "11:46 12:16")):
            loss = CapLoss(channel=A1.channel, lost_us=lost_s * 1_000_000)
            back = UnitOnline(**times("11:30", None), device=A1.device, lost=(loss,))
            assert follow(day(offline("10:50"), back)).instants == log

    def test_a_proven_gap_counts_and_is_told_at_the_reconnection(self) -> None:
        found = follow(day(offline("11:10"), online("11:25", proven=True)))
        assert (found.log, found.flags) == ("emit 1 11:25 for 11:16, emit 2 11:46, emit 3 12:16", "")

    def test_an_unproven_gap_is_left_out(self) -> None:
        found = follow(day(offline("11:10"), online("11:25")))
        assert (found.log, found.flags) == ("emit 1 11:31, emit 2 12:01", "unobserved_gap")

    def test_a_bridged_gap_is_told_at_the_reconnection_and_flagged(self) -> None:
        found = follow(day(offline("11:10"), online("11:25")), offline_unproven="bridge")
        assert (found.log, found.flags) == ("emit 1 11:25 for 11:16, emit 2 11:46, emit 3 12:16", "unobserved_gap")

    def test_an_unproven_gap_across_the_infusion_end_counts_from_the_reconnection(self) -> None:
        _check(day(offline("10:50"), online("11:15")), "11:31 12:01", "unobserved_gap")

    def test_an_end_learned_during_a_gap_is_told_for_what_was_attained_before(self) -> None:
        facts = [start("09:00"), *agent("B", "09:10", "09:20"), *day(infusion_end=None)[1:]]
        facts += [offline("11:20"), ended("A", "11:00", rx="11:25"), online("11:40", proven=True)]
        assert follow(facts).log == "emit 1 11:25 for 11:16, emit 2 11:46, emit 3 12:16"

    def test_a_gap_during_the_infusion_changes_nothing(self) -> None:
        _check(day(offline("10:10"), online("10:40")), "11:16 11:46 12:16", "")

    def test_a_stop_inside_a_recovered_gap_counts_to_the_stop(self) -> None:
        facts = day(offline("11:10"), stop("11:20", rx="11:40"), online("11:40", proven=True), stopped=None)
        found = follow(facts)
        assert (found.log, found.flags) == ("emit 1 11:40 for 11:16", "")

    def test_a_unit_that_never_comes_back_counts_to_its_last_reading(self) -> None:
        _check(day(offline("11:20"), stopped=None), "11:16", "unit_lost")

    def test_a_unit_lost_at_the_very_threshold_has_attained_it(self) -> None:
        _check(day(offline("11:16"), stopped=None), "11:16", "unit_lost")

    def test_a_unit_lost_before_the_infusion_end_attains_nothing(self) -> None:
        _check(day(offline("10:30"), stopped=None), "", "unit_lost")

    def test_what_is_unproven_of_one_cap_takes_nothing_of_the_other(self) -> None:
        _check(day(offline("11:10"), online("11:25", unproven=(2,))), "11:16 11:46 12:16", "")
        _check(day(offline("11:10"), online("11:25", unproven=(1,))), "11:31 12:01", "unobserved_gap")

    def test_what_the_counter_shows_as_lost_is_left_out_and_flagged(self) -> None:
        flags = "counter_shows_loss unobserved_gap"
        facts = day(offline("11:10"), online("11:25", lost_s=300))
        _check(facts, "11:16 11:51 12:21", flags)
        _check(facts, "11:16 11:51 12:21", flags, offline_unproven="bridge")

    def test_a_loss_lies_where_it_leaves_the_fewest_minutes(self) -> None:
        """After an infusion's end within the silence, and before an end of cooling within it."""
        flags = "counter_shows_loss unobserved_gap"
        _check(day(offline("10:50"), online("11:15", lost_s=300)), "11:21 11:51 12:21", flags)
        off = [offline("11:10"), removed("11:20"), online("11:40", lost_s=300)]
        _check(day(*off, stopped=None), "", "counter_shows_loss stop_after_removal unobserved_gap")

    def test_a_pause_that_the_counter_alone_shows_is_flagged(self) -> None:
        facts = day(pause("11:10", reason="unconfirmed"), resume("11:12"))
        _check(facts, "11:18 11:48 12:18", "counter_shows_loss")


class TestSwap:
    """One session on two caps: the union of what either proves (P23)."""

    def test_an_overlap_counts_once(self) -> None:
        facts = day(start("11:20", B1), stop("11:46", B1), stopped="11:25")
        _check(facts, "11:16 11:46", "two_devices")

    def test_a_swap_within_the_tolerance_is_a_pause(self) -> None:
        facts = day(start("11:27", B1), stop("12:30", B1), stopped="11:20")
        _check(facts, "11:16 11:53 12:23", "two_devices")

    def test_a_swap_across_the_infusion_end_continues_however_long(self) -> None:
        facts = day(start("11:05", B1), stop("12:30", B1), stopped="10:50")
        _check(facts, "11:21 11:51 12:21", "post_infusion_restart two_devices")

    def test_while_one_cap_cools_a_pause_of_the_other_is_none(self) -> None:
        facts = day(start("10:00", B1), stop("12:30", B1), pause("11:05"), resume("11:25"))
        _check(facts, "11:16 11:46 12:16", "two_devices")

    def test_a_swap_after_the_first_unit_was_lost(self) -> None:
        facts = day(offline("11:20"), start("11:27", B1), stop("12:30", B1), stopped=None)
        _check(facts, "11:16 11:53 12:23", "two_devices unit_lost")
