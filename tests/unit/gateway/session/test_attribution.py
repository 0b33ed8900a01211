"""Whose facts are these: caps, patients, bindings, reassignments and units shared by two patients (P23, P24)."""

import msgspec
import pytest

from gateway.session.attribution import Session, sessions
from gateway.session.facts import (
    AnyFact,
    CapIdentified,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    CorrectionDecided,
    HoldLifted,
    NoteAdded,
    PatientBound,
    PatientReassigned,
    PatientReleased,
    PreparationCharted,
    SessionFinalized,
    SessionOpened,
    ToleranceChecked,
)
from gateway.session.policy import Policy
from tests.unit.gateway.session.live_tracker import policy_text
from tests.unit.gateway.session.session_timelines import (
    A1,
    A2,
    B1,
    agent,
    at,
    clock,
    ended,
    fault,
    follow,
    offline,
    online,
    removed,
    start,
    stop,
    times,
)


def _start(t: str, cap: CapRef = A1) -> AnyFact:
    return CoolingStarted(**times(t, None), cap=cap)


def _stop(t: str, cap: CapRef = A1) -> AnyFact:
    return CoolingStopped(**times(t, None), cap=cap)


def _bound(patient: str, t: str, cap: CapRef = A1) -> AnyFact:
    return PatientBound(**times(t, None), cap=cap, patient=patient, evidence="scan")


def _released(patient: str, t: str) -> AnyFact:
    return PatientReleased(**times(t, None), cap=A1, patient=patient)


def _moved(t: str, source: str, to: str, cap: CapRef = A1) -> AnyFact:
    return PatientReassigned(**times(t, None), cap=cap, from_patient=source, to_patient=to)


def _who(facts: list[AnyFact]) -> list[tuple[str, str]]:
    """Every session with cooling: whose it is and since when."""
    return [(each.patient, clock(each.opened_us)) for each in sessions(facts) if each.cooled]


def _session(facts: list[AnyFact], patient: str) -> Session:
    return next(each for each in sessions(facts) if each.patient == patient)


POLICY = policy_text(Policy())


class TestBindings:
    """Readings name nobody; scans and chairs do."""

    def test_cooling_belongs_to_whom_the_cap_was_bound_before(self) -> None:
        assert _who([_bound("P1", "08:55"), _start("09:00"), _stop("12:30")]) == [("P1", "09:00")]

    def test_or_to_the_first_one_bound_while_it_goes_on(self) -> None:
        assert _who([_start("09:00"), _bound("P1", "10:00"), _stop("12:30")]) == [("P1", "09:00")]

    def test_cooling_nobody_claims_is_a_session_of_its_own(self) -> None:
        assert _who([_start("09:00"), _stop("12:30")]) == [("", "09:00")]

    def test_cooling_of_the_day_before_is_not_the_next_patients(self) -> None:
        assert _who([_start("09:00"), _bound("P1", "33:00"), _stop("34:00")]) == [("P1", "09:00")]
        assert _who([_start("09:00"), _bound("P2", "33:01"), _stop("34:00")]) == [("", "09:00"), ("P2", "33:01")]
        assert _who([_start("09:00"), _stop("33:00"), _bound("P2", "33:01"), _start("33:10")]) == [
            ("", "09:00"),
            ("P2", "33:10"),
        ]

    def test_a_binding_does_not_reach_the_cooling_after_the_next(self) -> None:
        facts = [_bound("P1", "08:55"), _start("09:00"), _stop("10:00"), _start("11:00"), _stop("12:00")]
        assert _who(facts) == [("", "11:00"), ("P1", "09:00")]

    def test_a_short_stop_leaves_the_cap_to_its_patient(self) -> None:
        facts = [_bound("P1", "08:55"), _start("09:00"), _stop("10:00"), _start("10:20"), _stop("12:00")]
        assert _who(facts) == [("P1", "09:00")]

    def test_a_binding_is_forgotten_after_hours_without_cooling(self) -> None:
        assert _who([_bound("P1", "04:00"), _start("09:00")]) == [("", "09:00")]

    def test_another_binding_ends_a_session_that_was_never_stopped(self) -> None:
        facts = [_bound("P1", "08:55"), _start("09:00"), _bound("P2", "11:40"), _stop("14:00")]
        assert _who(facts) == [("P1", "09:00"), ("P2", "11:40")]
        assert follow([*facts, *agent("A", "09:30", "11:00")]).instants == "11:16"

    def test_who_goes_and_who_comes_at_one_instant_are_two(self) -> None:
        facts = [_bound("P1", "08:55"), _start("09:00"), _start("11:40"), _bound("P2", "11:40"), _stop("11:40")]
        assert _who([*facts, *agent("A", "09:30", "11:00")]) == [("P1", "09:00"), ("P2", "11:40")]
        assert follow([*facts, *agent("A", "09:30", "11:00")]).flags == ""

    def test_a_released_cap_is_free_at_once(self) -> None:
        facts = [_bound("P1", "08:55"), _start("09:00"), _stop("10:00"), _released("P1", "10:05"), _start("10:20")]
        assert _who(facts) == [("", "10:20"), ("P1", "09:00")]


class TestTwoPatients:
    """Identity is unit and channel."""

    SHARED = (
        start("09:00"),
        start("09:10", A2, "P2"),
        *agent("A", "09:30", "11:00"),
        stop("12:00"),
        stop("12:50", A2, "P2"),
    )

    def test_infusions_reach_their_own_patient_alone(self) -> None:
        assert follow(list(self.SHARED), "P1").instants == "11:16 11:46"
        assert follow(list(self.SHARED), "P2").instants == ""

    def test_what_happens_to_the_unit_happens_to_both(self) -> None:
        facts = [*self.SHARED, fault("10:00"), offline("10:10"), online("10:20")]
        for patient in ("P1", "P2"):
            names = {type(fact).__name__ for fact in _session(facts, patient).facts}
            assert {"UnitFaulted", "UnitOffline", "UnitOnline"} <= names

    def test_the_next_patient_on_the_channel_closes_the_session(self) -> None:
        facts = [start("09:00"), *agent("A", "09:30", "11:00"), start("11:40", A1, "P2"), stop("14:00", A1, "P2")]
        found = follow(facts, "P1")
        assert (found.instants, found.flags) == ("11:16", "implicit_stop")

    def test_after_a_proper_stop_the_next_patient_closes_nothing(self) -> None:
        facts = [start("09:00"), *agent("A", "09:30", "11:00"), stop("11:40"), start("11:40", A1, "P2")]
        assert follow(facts, "P1").flags == ""

    def test_a_patients_cooling_half_a_day_later_is_another_session(self) -> None:
        facts = [_bound("P1", "05:55"), _start("06:00"), _stop("07:00"), _bound("P1", "19:55"), _start("20:00")]
        assert _who(facts) == [("P1", "06:00"), ("P1", "20:00")]

    def test_a_patients_caps_make_one_session(self) -> None:
        facts = [start("09:00"), stop("10:00"), start("10:30", B1), stop("12:00", B1)]
        assert _who(facts) == [("P1", "09:00")]


class TestReassignments:
    """All of a channel's session moves (reading 14)."""

    def test_the_removal_of_the_cap_moves_too(self) -> None:
        facts = [start("09:00"), ended("A", "11:00"), removed("11:40"), stop("12:00"), _moved("12:30", "P1", "P2")]
        assert _who(facts) == [("P2", "09:00")]
        assert "CapRemoved" in {type(fact).__name__ for fact in _session(facts, "P2").facts}

    def test_the_last_of_several_stands(self) -> None:
        facts = [start("09:00"), stop("12:00"), _moved("12:30", "P1", "P2"), _moved("12:40", "P2", "P3")]
        assert _who(facts) == [("P3", "09:00")]

    def test_whoever_was_not_on_the_cap_loses_nothing(self) -> None:
        facts = [start("09:00"), stop("12:00"), _moved("12:30", "P2", "P3")]
        assert _who(facts) == [("P1", "09:00")]

    def test_who_lost_the_cooling_keeps_a_session_to_take_back_from(self) -> None:
        facts = [start("09:00"), stop("12:00"), _moved("12:30", "P1", "P2")]
        assert [each.patient for each in sessions(facts)] == ["P1", "P2"]
        assert not _session(facts, "P1").cooled


class TestTokens:
    """A token finds the session that it was drawn for."""

    FACTS = (
        start("09:00"),
        stop("12:00"),
        SessionOpened(at_us=at("09:00"), known_at_us=at("09:00"), token="9RX2M7KQ4", cap=A1, policy=POLICY, patient=""),
    )

    def test_by_cap_and_instant(self) -> None:
        assert _session(list(self.FACTS), "P1").tokens == ("9RX2M7KQ4",)

    def test_and_a_signature_by_the_token(self) -> None:
        signed = SessionFinalized(**times("13:00", None), token="9RX2M7KQ4", person="jd")
        assert signed in _session([*self.FACTS, signed], "P1").facts

    def test_it_stays_with_whom_a_binding_drew_it_for_though_the_cap_had_stopped_before(self) -> None:
        opened = [
            SessionOpened(**times(t, None), token=token, cap=A1, policy=POLICY, patient="")
            for t, token in (("09:00", "T00000001"), ("33:30", "T00000002"))
        ]
        facts = [_start("09:00"), _bound("P1", "33:30"), start("33:45", B1), stop("35:00", B1), *opened]
        assert [each.tokens for each in sessions(facts)] == [("T00000001",), ("T00000002",)]
        facts.append(_stop("10:00"))  # told by the unit, which was out of sight for long
        assert [(each.patient, each.tokens) for each in sessions(facts)] == [
            ("", ("T00000001",)),
            ("P1", ("T00000002",)),
        ]

    def test_it_stays_with_whom_it_was_told_for(self) -> None:
        facts = [*self.FACTS, _moved("12:30", "P1", "P2")]
        assert _session(facts, "P1").tokens == ("9RX2M7KQ4",)
        assert _session(facts, "P2").tokens == ()


_OF_ONE: tuple[AnyFact, ...] = (
    SessionFinalized(**times("12:00", None), patient="P2", token="T00000001"),
    HoldLifted(**times("12:00", None), patient="P2", token="T00000001", holds=("no_order",)),
    CorrectionDecided(**times("12:00", None), patient="P2", token="T00000001", charge="T0000000100A", approved=True),
    PreparationCharted(**times("12:00", None), patient="P2", token="T00000001"),
    ToleranceChecked(**times("12:00", None), patient="P2", token="T00000001"),
    CapIdentified(**times("12:00", None), patient="P2", token="T00000001", cap_id="C-1"),
    NoteAdded(**times("12:00", None), patient="P2", token="T00000001", text="seen"),
)


class TestWhatIsToldOfASession:
    """Facts about a session as a whole find it by its token where they name one, otherwise by the patient."""

    SUITE = (
        start("09:00"),
        start("09:00", B1, "P2"),
        SessionOpened(**times("09:00", None), token="T00000001", cap=A1, policy=POLICY),
    )

    @pytest.mark.parametrize("fact", _OF_ONE, ids=lambda fact: type(fact).__name__)
    def test_a_token_comes_before_a_patient(self, fact: AnyFact) -> None:
        assert fact in _session([*self.SUITE, fact], "P1").facts
        assert fact not in _session([*self.SUITE, fact], "P2").facts

    @pytest.mark.parametrize("fact", _OF_ONE, ids=lambda fact: type(fact).__name__)
    def test_without_a_token_the_patient_decides(self, fact: AnyFact) -> None:
        without_token = msgspec.structs.replace(fact, token="")
        assert without_token in _session([*self.SUITE, without_token], "P2").facts
        assert without_token not in _session([*self.SUITE, without_token], "P1").facts
