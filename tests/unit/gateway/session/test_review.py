"""What a reviewer is shown beside the count: limits, orders, clocks, dates, finalisation, hints (P21-P30)."""

import pytest

from gateway.session.facts import (
    AnyFact,
    ClockStepped,
    DevicePostTimerStarted,
    OrderChecked,
    PatientReassigned,
    SessionFinalized,
)
from tests.unit.gateway.session.session_timelines import (
    A1,
    at,
    charted_stop,
    clock,
    corrected,
    day,
    ended,
    follow,
    offline,
    start,
    stop,
    times,
)


def _flags(facts: list[AnyFact], **policy: object) -> str:
    return follow(facts, **policy).flags


def finalised(t: str) -> AnyFact:
    return SessionFinalized(**times(t, None), patient="P1", person="jd")


def order_check(t: str, *, found: bool, minutes: float | None = None) -> AnyFact:
    return OrderChecked(**times(t, None), found=found, patient="P1", ordered_post_minutes=minutes)


def post_timer(t: str) -> AnyFact:
    return DevicePostTimerStarted(**times(t, None), cap=A1, patient="P1")


@pytest.mark.parametrize(
    ("facts", "flags"),
    [
        pytest.param(day(stopped="13:46"), "", id="six units are within the limit"),
        pytest.param(day(stopped="14:16"), "beyond_auto_release_limit", id="a seventh is beyond it"),
        pytest.param(day(order_check("08:00", found=True, minutes=90)), "", id="as long as ordered"),
        pytest.param(
            day(order_check("08:00", found=True, minutes=90), stopped="12:30:01"),
            "beyond_ordered_duration",
            id="a second longer than ordered",
        ),
        pytest.param(day(order_check("08:00", found=False)), "no_order", id="no order"),
        pytest.param(
            day(order_check("08:00", found=False), order_check("12:00", found=True)), "", id="an order found later"
        ),
        pytest.param(day(post_timer("11:02")), "", id="the unit's own timer close to the charted end"),
        pytest.param(day(post_timer("11:05")), "", id="the unit's own timer just as far off as it may be"),
        pytest.param(day(post_timer("11:05:01")), "device_timer_hint", id="the unit's own timer further off"),
        pytest.param(
            day(post_timer("11:02"), infusion_end=None),
            "device_timer_hint infusion_end_missing",
            id="the unit's own timer without a charted end",
        ),
        pytest.param(
            day(ClockStepped(**times("11:10", None), source="gateway", step_s=-300)), "clock_step", id="a clock step"
        ),
    ],
)
def test_flags(facts: list[AnyFact], flags: str) -> None:
    assert _flags(facts) == flags


def test_the_limit_is_policy() -> None:
    assert _flags(day(), auto_release_limit_units=2) == "beyond_auto_release_limit"


class TestFinalisation:
    """By a person, or after the window, and not before all is there (P21, P22)."""

    def test_a_correction_within_the_window_is_an_ordinary_one(self) -> None:
        assert _flags(day(corrected("A", "84:30", "10:50"))) == ""

    def test_a_correction_after_the_window_is_flagged_and_counted(self) -> None:
        found = follow(day(corrected("A", "84:31", "10:40")))
        assert found.flags == "correction_after_release"
        assert found.instants == "10:56 11:26 11:56 12:26"

    def test_a_person_may_close_it_earlier(self) -> None:
        assert _flags(day(finalised("13:00"), corrected("A", "13:01", "10:50"))) == "correction_after_release"
        assert _flags(day(finalised("13:00"), charted_stop("12:00", rx="14:00"))) == (
            "correction_after_release stop_conflict"
        )

    def test_a_session_without_an_end_stays_open_beyond_the_window(self) -> None:
        late_end = ended("A", "11:00", rx="90:00")
        assert _flags(day(late_end, infusion_end=None)) == "late_entry"
        facts = day(late_end, corrected("A", "91:00", "10:50"), infusion_end=None)
        assert _flags(facts) == "correction_after_release late_entry"

    def test_the_window_is_policy(self) -> None:
        assert _flags(day(corrected("A", "14:31", "10:50")), finalise_after_h=2) == "correction_after_release"

    def test_the_assessment_says_when(self) -> None:
        assert clock(follow(day()).assessment.finalised_us or 0) == "84:30"
        assert follow(day(stopped=None)).assessment.finalised_us is None


class TestCalendar:
    """The service date is where post-infusion cooling began, by the site's calendar (P27)."""

    LATE = (start("21:00"), *(day()[1:2]), ended("A", "23:40"), stop("24:40"))

    def test_cooling_over_midnight_is_flagged_and_keeps_its_date(self) -> None:
        found = follow(list(self.LATE))
        assert found.flags == "crosses_midnight no_precooling_before_infusion"
        assert str(found.assessment.service_date) == "2026-04-14"

    def test_midnight_is_the_sites_own(self) -> None:
        found = follow(list(self.LATE), timezone="America/New_York")
        assert found.flags == "no_precooling_before_infusion"

    def test_cooling_that_stops_at_midnight_does_not_cross_it(self) -> None:
        assert "crosses_midnight" not in _flags([*self.LATE[:3], stop("24:00")])


class TestReassigned:
    """The session belonged to another patient all along."""

    FACTS = day(
        PatientReassigned(**times("12:40", None), cap=A1, from_patient="P1", to_patient="P2"),
    )

    def test_it_leaves_the_first_patient_nothing(self) -> None:
        found = follow(self.FACTS, "P1")
        assert (found.instants, found.flags) == ("", "patient_reassigned")
        assert found.log.endswith("retract 3 12:40, retract 2 12:40, retract 1 12:40")

    def test_and_the_other_all_of_the_cooling_but_none_of_the_infusions(self) -> None:
        found = follow(self.FACTS, "P2")
        assert (found.instants, found.flags) == ("", "infusion_missing patient_reassigned")


def test_a_session_of_a_lost_unit_is_never_final_by_itself() -> None:
    assert follow(day(offline("11:20"), stopped=None)).assessment.finalised_us is None


def test_an_instant_reads_back() -> None:
    assert [clock(at(text)) for text in ("09:30", "09:30:05", "84:30")] == ["09:30", "09:30:05", "84:30"]
