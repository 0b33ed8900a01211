"""The state: a running gateway tells what the pure replay of the same facts tells, across restarts, merges and age."""

from collections.abc import Iterator
from datetime import date
from enum import Enum
from pathlib import Path

import msgspec
import pytest

from drivers.reading import Evidence
from gateway.replay.casefile import Case, read_cases
from gateway.replay.replay import record, replay
from gateway.session.assessment import Phase, assess_observed
from gateway.session.cooling import IMPLICIT_STOP
from gateway.session.facts import AgentClass as Agent
from gateway.session.facts import (
    AnyFact,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionStarted,
    PatientBound,
    PatientReassigned,
    PreparationCharted,
    SessionFinalized,
    UnitOffline,
    UnitOnline,
)
from gateway.session.flags import HeldReason
from gateway.session.increments import Change, Op
from gateway.session.outcome import Missing, SessionChange
from gateway.session.policy import Policy
from gateway.session.state import inspect, prune
from tests.unit.gateway.session.live_tracker import Live, Memory, Watched

CASES = read_cases((Path(__file__).parents[3] / "data" / "sessions.json").read_bytes(), "sessions")
APPROVED = Policy(approved_by="J. Ortiz, compliance")
CAP = CapRef("cap-01", 1)
OTHER_CAP = CapRef("cap-02", 1)
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
T0_US = 1_790_000_000_000_000


@pytest.mark.parametrize("memory", Memory)
@pytest.mark.parametrize("threshold", CASES.thresholds)
@pytest.mark.parametrize("case", CASES.cases, ids=lambda case: case.id)
def test_a_running_gateway_tells_what_replay_tells(case: Case, threshold: str, memory: Memory) -> None:
    for changed in (None, *(variant.policy for variant in case.variants)):
        policy = CASES.policy(threshold, case, changed)
        recording = record(case.facts)
        live = Live(policy, memory)
        live.play(case.facts)
        live.observe_until(recording.until_us + 1)
        for patient in case.patients:
            assert live.log_of(patient) == list(replay(recording, patient, policy).log), patient


def test_the_cases_have_something_to_tell() -> None:
    """Guards the comparison above against comparing nothing with nothing."""
    published: list[Change] = []
    for case in CASES.cases:
        live = Live(CASES.policy("midpoint", case))
        live.play(case.facts)
        published += [change for _, change in live.changes]
    assert {change.op for change in published} == set(Op)
    assert len(published) > 100


def minutes(count: float) -> int:
    return T0_US + round(count * MINUTE_US)


def started(at_us: int, cap: CapRef = CAP, evidence: Evidence = Evidence.FLOW) -> CoolingStarted:
    return CoolingStarted(at_us=at_us, known_at_us=at_us, cap=cap, evidence=evidence, serial_number="SN-1")


def stopped(at_us: int, cap: CapRef = CAP) -> CoolingStopped:
    return CoolingStopped(at_us=at_us, known_at_us=at_us, cap=cap)


def infusion(patient: str, start_us: int, end_us: int, known_us: int | None = None) -> list[AnyFact]:
    return [
        InfusionStarted(at_us=start_us, known_at_us=start_us, order="O1", patient=patient, admin=Agent.CHEMO),
        InfusionEnded(at_us=end_us, known_at_us=known_us or end_us, order="O1", patient=patient, admin=Agent.CHEMO),
    ]


def bound(patient: str, at_us: int, cap: CapRef = CAP) -> PatientBound:
    return PatientBound(at_us=at_us, known_at_us=at_us, cap=cap, patient=patient)


def test_a_session_opens_when_coolant_circulates_and_is_held_while_nobody_is_bound() -> None:
    live = Live(APPROVED)
    step = live.learn([started(minutes(0))], minutes(0))
    outcome = step.outcomes[0]
    assert outcome.happened == (SessionChange.OPENED,)
    assert outcome.held == (HeldReason.UNBOUND,)
    assert set(outcome.missing) == set(Missing) - {Missing.SERIAL_NUMBER, Missing.PREPARATION_REASSIGNED}
    assert outcome.record.published is not None
    assert outcome.record.published.phase is Phase.PRE_COOLING


def test_a_session_keeps_its_token_when_its_patient_becomes_known() -> None:
    live = Live(APPROVED)
    live.learn([started(minutes(0))], minutes(0))
    (token,) = live.state.records
    step = live.learn([bound("p1", minutes(5))], minutes(5))
    assert [(each.record.token, each.happened) for each in step.outcomes] == [(token, (SessionChange.BOUND,))]
    assert list(live.state.records) == [token]


def test_increments_of_two_sessions_that_prove_to_be_one_are_told_under_one_token() -> None:
    """A cap nobody claimed turns out to be the second cap of a patient with increments of her own."""
    live = Live(APPROVED)
    live.play([bound("p1", minutes(-10)), started(minutes(0)), *infusion("p1", minutes(10), minutes(60))])
    live.learn([started(minutes(50), OTHER_CAP)], minutes(70))
    live.observe_until(minutes(80))
    first, second = live.state.records
    live.learn([bound("p1", minutes(55), OTHER_CAP)], minutes(80))
    tokens = {
        token: [each for each in record.emitted if not each.retracted] for token, record in live.state.records.items()
    }
    assert [each.index for each in tokens[first]] == [1]
    assert tokens[second] == []


@pytest.mark.requirement("REQ-COUNT-3")
def test_no_increment_is_attained_by_time_alone() -> None:
    live = Live(APPROVED)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), *infusion("p1", minutes(5), minutes(30))])
    live.state, step = live.state, live.learn([], minutes(30))
    assert live.changes == []
    live.observe_until(minutes(46))
    assert live.changes == []
    live.observe_until(minutes(46) + 1)
    assert [(change.index, change.attained_at_us) for _, change in live.changes] == [(1, minutes(46))]
    assert step.outcomes == ()


def test_a_session_closes_half_an_hour_after_its_cooling_and_is_finalised_by_the_window() -> None:
    live = Live(APPROVED)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), *infusion("p1", minutes(5), minutes(30))])
    live.observe_until(minutes(47))
    live.learn([stopped(minutes(47))], minutes(47))
    (record_now,) = live.state.records.values()
    assert record_now.wake_us == minutes(77)
    assert live.learn([], minutes(77)).outcomes[0].happened == (SessionChange.CLOSED,)
    window_us = minutes(47) + 72 * HOUR_US
    assert live.learn([], window_us).outcomes[0].happened == (SessionChange.FINALISED,)


def test_a_signature_finalises_and_names_who_signed() -> None:
    live = Live(APPROVED)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), *infusion("p1", minutes(5), minutes(30))])
    live.learn([stopped(minutes(35))], minutes(35))
    (token,) = live.state.records
    signed = SessionFinalized(at_us=minutes(40), known_at_us=minutes(40), token=token, person="R. Diaz RN")
    (outcome,) = live.learn([signed], minutes(40)).outcomes
    assert SessionChange.FINALISED in outcome.happened
    assert outcome.person == "R. Diaz RN"


def test_a_fact_told_again_later_changes_nothing() -> None:
    live = Live(APPROVED)
    live.learn([started(minutes(0))], minutes(0))
    again = CoolingStarted(
        at_us=minutes(0), known_at_us=minutes(9), cap=CAP, evidence=Evidence.FLOW, serial_number="SN-1"
    )
    assert live.learn([again], minutes(9)).facts == ()


def treated(memory: Memory, policy: Policy = APPROVED) -> Live:
    """A session of one increment whose cooling has ended at minute 50."""
    live = Live(policy, memory)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), *infusion("p1", minutes(5), minutes(30))])
    live.observe_until(minutes(50))
    live.learn([stopped(minutes(50))], minutes(50))
    assert [change.op for _, change in live.changes] == [Op.EMIT]
    return live


@pytest.mark.parametrize("days", [6, 40, 730])
@pytest.mark.parametrize("memory", Memory)
def test_no_age_makes_a_correction_vanish(memory: Memory, days: int) -> None:
    live = treated(memory)
    late_us = minutes(0) + days * 24 * HOUR_US
    live.observe_until(late_us)
    live.learn(infusion("p1", minutes(5), minutes(49), known_us=late_us)[1:], late_us)
    assert [change.op for _, change in live.changes] == [Op.EMIT, Op.RETRACT]


@pytest.mark.parametrize("memory", Memory)
def test_who_comes_back_under_the_same_visit_number_has_a_session_of_her_own(memory: Memory) -> None:
    live = again(memory)
    late_us = 21 * 24 * HOUR_US + minutes(90)
    moved = InfusionEndCorrected(
        at_us=late_us, known_at_us=late_us, order="O1", patient="p1", version=2, new_end_us=minutes(48)
    )
    live.learn([moved], late_us)
    first, other = live.records
    assert [(token, change.op) for token, change in live.changes] == [
        (first, Op.EMIT),
        (other, Op.EMIT),
        (first, Op.RETRACT),
    ]


def again(memory: Memory) -> Live:
    """As `treated`, and treated again three weeks later under the same visit number."""
    live, later_us = treated(memory), 21 * 24 * HOUR_US
    live.play(
        [
            bound("p1", later_us + minutes(-1)),
            started(later_us + minutes(0)),
            *infusion("p1", later_us + minutes(5), later_us + minutes(30)),
        ]
    )
    live.observe_until(later_us + minutes(50))
    live.learn([stopped(later_us + minutes(50))], later_us + minutes(50))
    return live


@pytest.mark.parametrize("memory", Memory)
def test_a_session_of_weeks_ago_is_reassigned_and_not_the_one_of_today(memory: Memory) -> None:
    live = again(memory)
    first, second = live.records
    now_us = 21 * 24 * HOUR_US + minutes(90)
    moved = PatientReassigned(
        at_us=now_us, known_at_us=now_us, cap=CAP, from_patient="p1", to_patient="p2", began_before_us=minutes(50)
    )
    live.learn([moved], now_us)
    patients = {token: record.patient for token, record in live.records.items()}
    assert patients[second] == "p1"
    assert {patient for token, patient in patients.items() if token not in (first, second)} == {"p2"}
    assert [(token, change.op) for token, change in live.changes[2:]] == [(first, Op.RETRACT)]


@pytest.mark.parametrize("memory", Memory)
def test_a_cap_out_of_sight_for_days_keeps_the_sessions_of_all_who_were_bound_meanwhile(memory: Memory) -> None:
    """Their bindings came when the gateway was back, and nobody had seen the cap stop."""
    live, back_us = Live(APPROVED, memory), minutes(51 * 60)
    live.play([started(minutes(0))])
    for hour in (19, 43, 47):
        binding = msgspec.structs.replace(bound(f"p{hour}", minutes(hour * 60)), known_at_us=back_us + hour)
        live.learn([binding], binding.known_at_us)
    now_us = back_us + MINUTE_US
    live.learn([stopped(now_us)], now_us)
    state = live.whole_state()
    patients = {inspected[0].patient for token in live.records if (inspected := inspect(state, token, {}, now_us))}
    assert patients == {"p19", "p43", "p47"}


@pytest.mark.parametrize("memory", Memory)
def test_a_silence_of_days_counts_for_nobody_who_was_bound_in_it(memory: Memory) -> None:
    live, silent_us, back_us = Live(APPROVED, memory), minutes(10), minutes(53 * 60)
    live.play([bound("p0", minutes(-1)), started(minutes(0))])
    offline = UnitOffline(at_us=silent_us, known_at_us=back_us, device=CAP.device, reason="silence")
    live.learn([offline, UnitOnline(at_us=back_us, known_at_us=back_us, device=CAP.device)], back_us)
    late = [bound("p1", minutes(51 * 60)), *infusion("p1", minutes(51 * 60 + 5), minutes(51 * 60 + 10))]
    for number, fact in enumerate(late, start=1):
        live.learn([msgspec.structs.replace(fact, known_at_us=back_us + number)], back_us + number)
    live.learn([stopped(back_us + 10 * MINUTE_US)], back_us + 10 * MINUTE_US)
    assert [record.patient for record in live.records.values()] == ["p0", "p1"]
    assert live.changes == []


def test_a_binding_of_the_next_patient_proves_no_cooling_before_it() -> None:
    """The gateway was off when the next one was bound, and has the message before the first reading."""
    facts = [
        started(minutes(0)),
        *infusion("p1", minutes(5), minutes(30)),
        msgspec.structs.replace(stopped(minutes(250)), reason=IMPLICIT_STOP, known_at_us=minutes(300)),
    ]
    seen = {until: assess_observed(facts, APPROVED, {CAP.device: minutes(until)}, minutes(300)) for until in (50, 260)}
    assert [len(found.increments) for found in seen.values()] == [1, 7]
    assert [set(found.watched) for found in seen.values()] == [{CAP.device}, set()]


@pytest.mark.parametrize("memory", Memory)
def test_what_is_said_of_who_took_over_a_cap_in_a_long_silence_finds_its_beginning(memory: Memory) -> None:
    """She was bound when the unit was silent for a week, so that her session rests on the last start seen before."""
    live, day_us = Live(APPROVED, memory), 8 * 24 * HOUR_US
    live.play([bound("p0", minutes(-1)), started(minutes(0))])
    live.learn([UnitOffline(at_us=minutes(9), known_at_us=minutes(10), device=CAP.device)], minutes(10))
    live.play(
        [
            bound("p1", day_us + minutes(0)),
            *infusion("p1", day_us + minutes(10), day_us + minutes(60)),
            UnitOnline(at_us=day_us + minutes(20), known_at_us=day_us + minutes(20), device=CAP.device),
        ]
    )
    live.observe_until(day_us + minutes(90))
    live.learn([stopped(day_us + minutes(90))], day_us + minutes(90))
    live.play([bound("p2", day_us + minutes(200)), started(day_us + minutes(210))])
    live.learn([stopped(day_us + minutes(300))], day_us + minutes(300))
    live.observe_until(day_us + minutes(400))
    patients = {token: record.patient for token, record in live.records.items()}
    token = next(token for token, patient in patients.items() if patient == "p1")
    signed_us = day_us + minutes(24 * 60)
    signed = SessionFinalized(at_us=signed_us, known_at_us=signed_us, token=token, person="R. Diaz RN", units=1)
    live.learn([signed], signed_us)
    assert list(patients.values()) == ["p0", "p1", "p2"]
    assert {token: record.patient for token, record in live.records.items()} == patients
    assert [(of, change.op) for of, change in live.changes] == [(token, Op.EMIT)]


def test_a_unit_that_is_back_takes_nothing_back_that_another_proves() -> None:
    """The patient went on on another cap; the first answers again, and one reading alone shows it stopped."""
    silent = UnitOffline(at_us=minutes(34), known_at_us=minutes(36), device=CAP.device)
    facts = [
        started(minutes(0)),
        *infusion("p1", minutes(5), minutes(30)),
        silent,
        started(minutes(40), OTHER_CAP),
        stopped(minutes(110), OTHER_CAP),
    ]
    back = UnitOnline(at_us=minutes(150), known_at_us=minutes(150), device=CAP.device)
    observed = {CAP.device: minutes(34), OTHER_CAP.device: minutes(150)}
    away = assess_observed(facts, APPROVED, observed, minutes(149))
    seen = assess_observed([*facts, back], APPROVED, observed, minutes(150))
    assert [each.index for each in away.increments] == [1, 2]
    assert seen.increments == away.increments
    assert seen.watched == {CAP.device}


def test_a_unit_that_never_comes_back_fills_no_memory() -> None:
    """Whoever is bound to its cap meanwhile waits for a person, and only the record of that is in memory."""
    live, kept = Live(APPROVED), list[int]()
    live.play([bound("p0", minutes(-1)), started(minutes(0))])
    live.learn([UnitOffline(at_us=minutes(9), known_at_us=minutes(10), device=CAP.device)], minutes(10))
    for day in range(1, 31):
        morning_us = day * 24 * HOUR_US
        live.play(
            [
                bound(f"p{day}", morning_us + minutes(0)),
                *infusion(f"p{day}", morning_us + minutes(5), morning_us + minutes(30)),
            ]
        )
        live.state = prune(live.state, morning_us + minutes(60))
        kept.append(sum(len(facts) for facts in live.state.facts.by_key.values()))
    assert kept[29] == kept[9]
    assert len(live.records) == 31


@pytest.mark.parametrize("memory", Memory)
def test_a_session_that_proves_to_be_none_is_found_all_the_same(memory: Memory) -> None:
    """Who was bound while the unit was out of sight was not cooled: the cap had stopped long before."""
    live = Live(APPROVED, memory)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), bound("p2", minutes(5 * 24 * 60))])
    now_us = minutes(6 * 24 * 60)
    live.learn([msgspec.structs.replace(stopped(minutes(40)), known_at_us=now_us)], now_us)
    assert len(live.records) == 2
    assert [token for token in live.records if inspect(live.whole_state(), token, {}, now_us) is None] == []


@pytest.mark.parametrize("memory", Memory)
@pytest.mark.parametrize("days", [3, 20])
def test_a_stop_that_is_told_late_is_heeded_by_all_who_were_bound_since(memory: Memory, days: int) -> None:
    """A unit died, patients were bound to its cap and cooled elsewhere, and days later it tells that it had stopped."""
    live, day_us = Live(APPROVED, memory), minutes(2 * 24 * 60)
    live.play([started(minutes(0)), UnitOffline(at_us=minutes(50), known_at_us=minutes(51), device=CAP.device)])
    live.play(
        [
            bound("p1", day_us),
            *infusion("p1", day_us + 5 * MINUTE_US, day_us + 60 * MINUTE_US),
            bound("p1", day_us + 30 * MINUTE_US, OTHER_CAP),
            started(day_us + 31 * MINUTE_US, OTHER_CAP),
            stopped(day_us + 120 * MINUTE_US, OTHER_CAP),
            bound("p2", day_us + 300 * MINUTE_US),
        ]
    )
    counted = [(token, change.index) for token, change in live.changes]
    back_us = day_us + days * 24 * HOUR_US
    live.observe_until(back_us)
    live.learn([msgspec.structs.replace(stopped(minutes(40)), known_at_us=back_us)], back_us)
    assert [record.patient for record in live.records.values()] == ["", "p1", "p2"]
    assert [(token, change.index) for token, change in live.changes] == counted != []
    state = live.whole_state()
    for token, told in live.records.items():
        found = inspect(state, token, Watched(back_us), back_us)
        assert found is not None
        assert found[1].record.published == told.published


def test_cooling_that_a_binding_alone_began_is_not_continued_on_another_cap() -> None:
    """Bound to a cap that is out of sight for good: no reading shows that it cooled at the end of the infusion."""
    live = Live(APPROVED)
    lost = UnitOffline(at_us=minutes(30), known_at_us=minutes(31), device=CAP.device, reason="timeout")
    live.play([bound("p1", minutes(-1)), started(minutes(0)), lost, bound("p2", minutes(35))])
    live.play([*infusion("p2", minutes(40), minutes(80)), bound("p2", minutes(85), OTHER_CAP)])
    live.play([started(minutes(90), OTHER_CAP), stopped(minutes(150), OTHER_CAP)])
    assert live.changes == []


@pytest.mark.parametrize("memory", Memory)
def test_what_nobody_claimed_is_reassigned_weeks_later_and_stays_so(memory: Memory) -> None:
    live = Live(APPROVED, memory)
    live.play([started(minutes(0)), stopped(minutes(60))])
    (token,) = live.records
    now_us = minutes(0) + 21 * 24 * HOUR_US
    moved = PatientReassigned(
        at_us=now_us, known_at_us=now_us, cap=CAP, from_patient="", to_patient="p2", began_before_us=minutes(60)
    )
    live.learn([moved, *infusion("p2", minutes(5), minutes(30), known_us=now_us)], now_us)
    live.learn([PreparationCharted(at_us=now_us + 1, known_at_us=now_us + 1, token=token)], now_us + 1)
    opened = list(live.records)
    assert [record.patient for record in live.records.values()][-1] == "p2"
    assert [(of, change.op) for of, change in live.changes] == [(opened[-1], Op.EMIT)]


def other_policies() -> Iterator[Policy]:
    """The policy with each key changed alone."""
    other: dict[str, object] = {
        "timezone": "Asia/Tokyo",
        "approved_by": "",
        "effective": date(2030, 1, 1),
        "max_gap_s": 7.0,
    }
    for name in Policy.__struct_fields__:
        value = getattr(APPROVED, name)
        match value:
            case bool():
                changed: object = not value
            case Enum():
                changed = next((each for each in type(value) if each is not value), value)
            case int():
                changed = value + 120 if name == "session_idle_s" else value + 7
            case _:
                changed = other.get(name, value)
        yield msgspec.structs.replace(APPROVED, **{name: changed, "revision": "other"})
    yield msgspec.structs.replace(APPROVED, session_idle_s=60, finalise_after_h=1, revision="other")


@pytest.mark.requirement("REQ-COUNT-6")
@pytest.mark.parametrize("policy", list(other_policies()), ids=(*Policy.__struct_fields__, "windows"))
@pytest.mark.parametrize("at_minute", [-5, 20, 40, 47, 55, 90, 6000])
def test_a_restart_under_another_policy_changes_nothing_of_a_session(policy: Policy, at_minute: int) -> None:
    facts = [
        bound("p1", minutes(-10)),
        started(minutes(-8)),
        *infusion("p1", minutes(5), minutes(30)),
        stopped(minutes(50)),
        started(minutes(60)),
        stopped(minutes(80)),
        PreparationCharted(at_us=minutes(85), known_at_us=minutes(85), patient="p1"),
    ]
    undisturbed, restarted = Live(APPROVED), Live(APPROVED)
    undisturbed.play(facts)
    restarted.play([fact for fact in facts if fact.known_at_us < minutes(at_minute)])
    restarted.observe_until(minutes(at_minute))
    restarted.restart(minutes(at_minute), policy)
    restarted.play([fact for fact in facts if fact.known_at_us >= minutes(at_minute)])
    for live in (undisturbed, restarted):
        live.observe_until(minutes(100 * 60))
    assert len(restarted.charges) == 1
    assert (restarted.changes, restarted.published, restarted.charges) == (
        undisturbed.changes,
        undisturbed.published,
        undisturbed.charges,
    )


@pytest.mark.parametrize("policy", list(other_policies()), ids=(*Policy.__struct_fields__, "windows"))
def test_what_is_reassigned_under_another_policy_keeps_the_one_it_was_counted_by(policy: Policy) -> None:
    """It was cooling when the former policy was in force: only whose it is was wrong."""
    wrong = [bound("p1", minutes(-10)), started(minutes(-8)), stopped(minutes(40)), started(minutes(50))]
    facts = [*wrong, stopped(minutes(80))]
    now_us = minutes(0) + 4 * 24 * HOUR_US
    moved = PatientReassigned(
        at_us=now_us, known_at_us=now_us, cap=CAP, from_patient="p1", to_patient="p2", began_before_us=minutes(80)
    )
    undisturbed, restarted = Live(APPROVED), Live(APPROVED)
    for live in (undisturbed, restarted):
        live.play([*facts, *infusion("p2", minutes(5), minutes(30))])
        live.observe_until(minutes(200))
    restarted.restart(minutes(300), policy)
    for live in (undisturbed, restarted):
        live.learn([moved], now_us)
        live.observe_until(now_us + 100 * HOUR_US)
    assert [change.op for _, change in undisturbed.changes] == [Op.EMIT]
    assert (restarted.changes, restarted.published, restarted.charges) == (
        undisturbed.changes,
        undisturbed.published,
        undisturbed.charges,
    )


def test_a_correction_within_the_window_still_moves_the_increment() -> None:
    live = Live(APPROVED)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), *infusion("p1", minutes(5), minutes(30))])
    live.observe_until(minutes(50))
    live.learn([stopped(minutes(50))], minutes(50))
    late_us = minutes(0) + 70 * HOUR_US
    live.learn(infusion("p1", minutes(5), minutes(49), known_us=late_us)[1:], late_us)
    assert [change.op for _, change in live.changes] == [Op.EMIT, Op.RETRACT]


def test_a_binding_that_nobody_released_ends_with_its_session() -> None:
    live = Live(APPROVED)
    live.play([bound("p1", minutes(-1)), started(minutes(0)), *infusion("p1", minutes(5), minutes(300))])
    live.observe_until(minutes(301))
    assert live.state.serving(minutes(301)) == {CAP: "p1"}
    live.learn([stopped(minutes(302))], minutes(302))
    live.learn([], minutes(340))
    assert live.state.serving(minutes(340)) == {}


def test_sessions_of_other_units_are_left_alone() -> None:
    live = Live(APPROVED)
    live.learn([started(minutes(0), OTHER_CAP)], minutes(0))
    other = next(iter(live.state.records.values()))
    step = live.learn([started(minutes(1))], minutes(1))
    assert [outcome.record.cap for outcome in step.outcomes] == [CAP]
    assert live.state.records[other.token] is other
