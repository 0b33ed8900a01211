"""Readings to facts: every edge leans towards fewer minutes."""

from collections.abc import Sequence

import pytest

from drivers.reading import CapReading, Evidence, FaultKind, ReadFault, Reading, RunState, Stamp
from gateway.session.cooling import UNCONFIRMED
from gateway.session.facts import (
    AnyFact,
    CapLoss,
    CapRef,
    Continuity,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopped,
    ObservedUntil,
    TreatmentMark,
    UnitOffline,
    UnitOnline,
)
from gateway.session.observe import (
    CapCondition,
    CapState,
    ObserveRules,
    UnitState,
    marks,
    observe,
    observe_fault,
    observed_until,
    restore,
)

RULES = ObserveRules(confirm_polls=2, max_gap_us=15_000_000, evidence=Evidence.FLOW)
CAP = CapRef("cap-01", 1)
S = 1_000_000
EPOCH = 1_000_000 * S


def at(second: float) -> Stamp:
    return Stamp(EPOCH + round(second * S), round(second * S))


def cap(
    state: RunState = RunState.READY,
    *,
    number: int = 1,
    circulating: bool | None = True,
    connected: bool | None = True,
    treatment: int | None = None,
    elapsed_s: int | None = None,
) -> CapReading:
    return CapReading(number, state, connected, circulating, {}, treatment, elapsed_s)


def reading(second: float, *caps: CapReading) -> Reading:
    return Reading("cap-01", at(second), caps or (cap(),), {}, serial_number="RCU-1")


STOPPED = cap(RunState.STOPPED, circulating=False)
DISCONNECTED = cap(RunState.RUNNING, connected=False, circulating=False)


def play(*readings: Reading | ReadFault, rules: ObserveRules = RULES, caps: int = 1):
    """Feed readings in order; returns the facts, the last observed-until in seconds, and what is seen at the end."""
    seen = UnitState(tuple(CapState() for _ in range(caps)))
    facts: list[AnyFact] = []
    until_s: float | None = None
    for answer in readings:
        outcome = observe(seen, answer, rules) if isinstance(answer, Reading) else observe_fault(seen, answer, rules)
        seen = outcome.state
        facts += outcome.facts
        until_s = None if outcome.observed_until_us is None else (outcome.observed_until_us - EPOCH) / S
    return facts, until_s, seen


def continuity(facts: Sequence[AnyFact]) -> Continuity:
    return next(fact.continuity for fact in facts if isinstance(fact, UnitOnline))


def edges(facts: Sequence[AnyFact]) -> list[tuple[type[AnyFact], int]]:
    return [(type(fact), fact.at_us) for fact in facts if isinstance(fact, CoolingStarted | CoolingStopped)]


def fault(second: float) -> ReadFault:
    return ReadFault("cap-01", at(second), FaultKind.TIMEOUT, "")


def test_cooling_starts_at_the_first_of_two_readings_that_show_it():
    facts, until_s, _ = play(reading(0, STOPPED), reading(5), reading(10))
    assert facts == [
        CoolingStarted(
            at_us=at(5).utc_us, known_at_us=at(10).utc_us, cap=CAP, evidence=Evidence.FLOW, serial_number="RCU-1"
        )
    ]
    assert until_s == 10


def test_one_odd_reading_is_no_change_but_holds_back_what_is_known():
    facts, until_s, _ = play(reading(0), reading(5), reading(10, STOPPED))
    assert [type(fact) for fact in facts] == [CoolingStarted]
    assert until_s == 5
    facts, until_s, _ = play(reading(0), reading(5), reading(10, STOPPED), reading(15))
    assert [type(fact) for fact in facts] == [CoolingStarted]
    assert until_s == 15


def test_cooling_stops_at_the_last_reading_that_showed_it():
    facts, until_s, _ = play(reading(0), reading(5), reading(10, STOPPED), reading(15, STOPPED))
    assert facts[-1] == CoolingStopped(at_us=at(5).utc_us, known_at_us=at(15).utc_us, cap=CAP)
    assert until_s == 15


def test_a_disconnected_cap_is_a_pause_until_it_cools_again():
    facts, _, _ = play(
        reading(0), reading(5), reading(10, DISCONNECTED), reading(15, DISCONNECTED), reading(20), reading(25)
    )
    assert facts[1:] == [
        CoolingPaused(at_us=at(5).utc_us, known_at_us=at(15).utc_us, cap=CAP, reason="disconnected"),
        CoolingResumed(at_us=at(20).utc_us, known_at_us=at(25).utc_us, cap=CAP),
    ]


def test_a_fault_is_a_pause_that_says_so():
    bad = cap(RunState.FAULT, circulating=False)
    facts, _, _ = play(reading(0), reading(5), reading(10, bad), reading(15, bad))
    assert facts[-1] == CoolingPaused(at_us=at(5).utc_us, known_at_us=at(15).utc_us, cap=CAP, reason="fault")


def test_stopped_wins_over_disconnected():
    off = cap(RunState.STOPPED, connected=False, circulating=False)
    facts, _, _ = play(reading(0), reading(5), reading(10, off), reading(15, off))
    assert isinstance(facts[-1], CoolingStopped)


def test_running_without_circulation_is_not_cooling():
    facts, _, _ = play(reading(0, cap(RunState.RUNNING, circulating=False)), reading(5, cap(circulating=False)))
    assert facts == []


def test_a_unit_that_proves_no_circulation_never_starts():
    rules = ObserveRules(confirm_polls=2, max_gap_us=15 * S, evidence=Evidence.NONE)
    assert play(reading(0), reading(5), reading(10), rules=rules)[0] == []


def test_a_silence_within_the_gap_is_no_gap():
    facts, _, _ = play(reading(0), reading(5), fault(10), reading(20))
    assert [type(fact) for fact in facts] == [CoolingStarted]


def test_a_longer_silence_is_unknown_from_the_last_good_reading_to_the_next():
    facts, until_s, _ = play(reading(0), reading(5), fault(12), fault(25), reading(60), reading(65))
    assert facts[1:] == [
        UnitOffline(at_us=at(5).utc_us, known_at_us=at(25).utc_us, device="cap-01", reason="timeout"),
        UnitOnline(at_us=at(60).utc_us, known_at_us=at(60).utc_us, device="cap-01", continuity=Continuity.UNPROVEN),
    ]
    assert until_s == 65


@pytest.mark.parametrize("last", [fault(30), reading(30)], ids=["goes on", "over"])
def test_a_silence_begins_before_a_change_that_it_left_unconfirmed(last: Reading | ReadFault):
    """Whether the cap stopped is never learned: only the reading before shows that it cooled."""
    facts, _, _ = play(reading(0), reading(5), reading(10, STOPPED), last)
    assert [fact.at_us for fact in facts if isinstance(fact, UnitOffline)] == [at(5).utc_us]


def test_a_silence_after_a_silence_begins_where_that_ended():
    """One reading between them shows a stop, which is never confirmed."""
    facts, _, _ = play(reading(0), reading(5), reading(105, STOPPED), reading(205))
    silences = [fact.at_us for fact in facts if isinstance(fact, UnitOffline | UnitOnline)]
    assert silences == [at(second).utc_us for second in (5, 105, 105, 205)]


def test_a_silence_nobody_reported_is_told_when_it_ends():
    facts, _, _ = play(reading(0), reading(5), reading(60))
    assert [type(fact) for fact in facts[1:]] == [UnitOffline, UnitOnline]


def counted(second: float, elapsed_s: int, treatment: int = 7) -> Reading:
    return reading(second, cap(treatment=treatment, elapsed_s=elapsed_s))


@pytest.mark.requirement("REQ-COUNT-4")
def test_the_units_own_counter_proves_a_silence():
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(605, 705))
    assert continuity(facts) is Continuity.PROVEN


def test_a_counter_that_stood_still_for_a_while_proves_nothing():
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(605, 690))
    assert continuity(facts) is Continuity.UNPROVEN


def test_another_treatment_proves_nothing():
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(605, 705, treatment=8))
    assert continuity(facts) is Continuity.UNPROVEN


def test_another_treatment_after_a_silence_is_a_stop_and_a_start():
    """Whoever is cooled now, the cap stood still in between: P12 and P24 judge that as if it had been seen."""
    facts, until_s, _ = play(
        counted(0, 100), counted(5, 105), counted(605, 200, treatment=8), counted(610, 205, treatment=8)
    )
    assert facts[1:] == [
        UnitOffline(at_us=at(5).utc_us, known_at_us=at(605).utc_us, device="cap-01", reason="gateway"),
        UnitOnline(at_us=at(605).utc_us, known_at_us=at(605).utc_us, device="cap-01", continuity=Continuity.UNPROVEN),
        CoolingStopped(at_us=at(5).utc_us, known_at_us=at(605).utc_us, cap=CAP),
        CoolingStarted(
            at_us=at(405).utc_us, known_at_us=at(605).utc_us, cap=CAP, evidence=Evidence.FLOW, serial_number="RCU-1"
        ),
    ]
    assert until_s == 610


def test_a_counter_that_began_anew_is_another_treatment():
    """Some units number none, or begin with the same number after their power came back."""
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(605, 60))
    assert [(type(fact), fact.at_us) for fact in facts[3:]] == [
        (CoolingStopped, at(5).utc_us),
        (CoolingStarted, at(545).utc_us),
    ]


def test_a_paused_cap_that_another_treatment_cools_after_a_silence_was_stopped():
    held = cap(RunState.PAUSED, circulating=False, treatment=7, elapsed_s=105)
    facts, _, _ = play(
        counted(0, 100),
        counted(5, 105),
        *(reading(second, held) for second in (10, 15)),
        *(counted(second, second - 500, treatment=8) for second in (605, 610)),
    )
    kinds = [CoolingStarted, CoolingPaused, UnitOffline, UnitOnline, CoolingStopped, CoolingStarted]
    assert [type(fact) for fact in facts] == kinds


def test_a_cap_found_paused_in_another_treatment_cools_from_its_resume():
    held = cap(RunState.PAUSED, circulating=False, treatment=8, elapsed_s=30)
    facts, _, _ = play(
        counted(0, 100),
        counted(5, 105),
        *(reading(second, held) for second in (605, 610)),
        *(counted(second, second - 580, treatment=8) for second in (615, 620)),
    )
    assert edges(facts)[1:] == [(CoolingStopped, at(5).utc_us), (CoolingStarted, at(615).utc_us)]


def test_a_cap_found_standing_before_another_treatment_was_stopped_in_the_silence():
    """One reading of it is no change yet; the next one tells what the silence hid."""
    facts, _, seen = play(counted(0, 100), counted(5, 105), reading(605, STOPPED))
    back = [(CoolingStopped, at(5).utc_us), (CoolingStarted, at(607).utc_us)]
    again = counted(610, 3, treatment=8)
    assert edges(observe(seen, again, RULES).facts) == back
    restarted = restore([*facts, observed_until(seen, "cap-01", at(5).utc_us, at(606).utc_us)], "cap-01", 1, at(608))
    assert edges(observe(restarted, again, RULES).facts) == back


def test_a_cap_that_stood_before_a_silence_starts_as_ever():
    facts, _, _ = play(
        both(0, of_two(1, 10), of_two(2, 0, cooling=False)),
        both(5, of_two(1, 15), of_two(2, 0, cooling=False)),
        *(both(second, of_two(1, second + 10), of_two(2, second - 595)) for second in (605, 610)),
    )
    assert edges(facts) == [(CoolingStarted, at(0).utc_us), (CoolingStarted, at(605).utc_us)]


def test_another_treatment_that_is_as_old_as_the_silence_stopped_nothing():
    """A number that changes while the cap cools proves no stop; neither does it prove the silence."""
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(605, 705, treatment=8))
    assert [type(fact) for fact in facts] == [CoolingStarted, UnitOffline, UnitOnline]


def test_an_unusable_circulation_is_silence_not_a_stop():
    unknown = cap(circulating=None)
    facts, until_s, _ = play(reading(0), reading(5), reading(10, unknown), reading(15, unknown), reading(25, unknown))
    assert [type(fact) for fact in facts] == [CoolingStarted, UnitOffline]
    assert until_s is None


def test_a_unit_that_does_not_cool_goes_offline_without_a_word():
    facts, _, _ = play(reading(0, STOPPED), fault(30), fault(60), reading(90, STOPPED))
    assert facts == []


def test_the_caps_of_one_unit_are_followed_apart():
    second = cap(RunState.STOPPED, number=2, circulating=False)
    facts, _, seen = play(reading(0, cap(), second), reading(5, cap(), second), caps=2)
    assert [fact.cap.channel for fact in facts if isinstance(fact, CoolingStarted)] == [1]
    assert [cap_seen.condition for cap_seen in seen.caps] == [CapCondition.COOLING, CapCondition.STOPPED]


def test_a_restart_is_a_silence_that_the_counters_may_prove():
    started = CoolingStarted(at_us=at(0).utc_us, known_at_us=at(5).utc_us, cap=CAP)
    mark = ObservedUntil(
        at_us=at(60).utc_us, known_at_us=at(60).utc_us, device="cap-01", marks=(TreatmentMark(1, 7, 160),)
    )
    seen = restore([mark, started], "cap-01", 1, at(100))
    assert seen.caps[0].condition is CapCondition.COOLING
    assert marks(seen, at(60).utc_us) == (TreatmentMark(1, 7, 160),)
    outcome = observe(seen, counted(101, 201), RULES)
    assert outcome.facts[0] == UnitOffline(
        at_us=at(60).utc_us, known_at_us=at(101).utc_us, device="cap-01", reason="silence"
    )
    assert continuity(outcome.facts) is Continuity.PROVEN


def test_a_gap_in_which_nobody_asked_is_the_gateways_and_no_silence_of_the_unit():
    unasked, _, _ = play(reading(0), reading(5), reading(500))
    assert [fact.reason for fact in unasked if isinstance(fact, UnitOffline)] == ["gateway"]
    asked, _, _ = play(reading(0), reading(5), fault(10), reading(500))
    assert [fact.reason for fact in asked if isinstance(fact, UnitOffline)] == ["silence"]


def test_a_unit_without_facts_is_restored_as_never_seen():
    assert restore([], "cap-01", 2, at(0)) == UnitState((CapState(), CapState()))


def back(facts: Sequence[AnyFact]) -> UnitOnline:
    """The fact that ends the only silence."""
    (online,) = [fact for fact in facts if isinstance(fact, UnitOnline)]
    return online


def test_the_counters_are_taken_at_the_instant_when_they_were_read():
    """A restart whose last good reading is younger than the newest recorded counters."""
    known: list[AnyFact] = [
        CoolingStarted(at_us=at(0).utc_us, known_at_us=at(5).utc_us, cap=CAP),
        ObservedUntil(
            at_us=at(60).utc_us,
            known_at_us=at(60).utc_us,
            device="cap-01",
            marks=(TreatmentMark(1, 7, 155, at(55).utc_us),),
        ),
        UnitOffline(at_us=at(110).utc_us, known_at_us=at(130).utc_us, device="cap-01", reason="timeout"),
    ]
    seen = restore(known, "cap-01", 1, at(3000))
    assert back(observe(seen, counted(3600, 3700), RULES).facts).continuity is Continuity.PROVEN
    stood = back(observe(seen, counted(3600, 3690), RULES).facts)
    assert stood.lost == (CapLoss(1, 10 * S),)


def test_old_counters_were_read_at_the_instant_of_their_fact():
    started = CoolingStarted(at_us=at(0).utc_us, known_at_us=at(5).utc_us, cap=CAP)
    mark = ObservedUntil(
        at_us=at(60).utc_us, known_at_us=at(60).utc_us, device="cap-01", marks=(TreatmentMark(1, 7, 160),)
    )
    offline = UnitOffline(at_us=at(110).utc_us, known_at_us=at(130).utc_us, device="cap-01", reason="timeout")
    seen = restore([mark, started, offline], "cap-01", 1, at(3000))
    assert back(observe(seen, counted(3600, 3700), RULES).facts).continuity is Continuity.PROVEN


def test_the_counters_of_a_reading_that_is_no_change_yet_do_not_go_with_the_instant_before_it():
    _, until_s, seen = play(counted(0, 100), counted(5, 105), reading(10, cap(RunState.STOPPED, circulating=False)))
    assert until_s == 5
    assert marks(seen, at(5).utc_us) == (TreatmentMark(1, 7, 105),)


def both(second: float, first: CapReading, other: CapReading) -> Reading:
    return reading(second, first, other)


def of_two(number: int, elapsed_s: int, *, cooling: bool = True, connected: bool = True) -> CapReading:
    return cap(number=number, circulating=cooling, connected=connected, treatment=6 + number, elapsed_s=elapsed_s)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(of_two(2, 400, cooling=False, connected=False), id="uncoupled"),
        pytest.param(of_two(2, 300), id="stood still for minutes"),
        pytest.param(cap(number=2), id="counters unreadable"),
    ],
)
def test_what_one_cap_does_in_a_silence_takes_nothing_of_the_others_proof(other: CapReading):
    facts, _, _ = play(
        both(0, of_two(1, 100), of_two(2, 50)),
        both(5, of_two(1, 105), of_two(2, 55)),
        both(1805, of_two(1, 1905), other),
        caps=2,
    )
    online = back(facts)
    assert online.continuity is Continuity.UNPROVEN
    assert (online.unproven, [loss.channel for loss in online.lost]) in (((2,), []), ((), [2]))


def test_a_cap_that_stays_paused_proves_its_share_too():
    paused = of_two(2, 55, cooling=False, connected=False)
    facts, _, _ = play(
        *(both(5 * i, of_two(1, 100 + 5 * i), of_two(2, 50 + 5 * i)) for i in range(2)),
        *(both(5 * i, of_two(1, 100 + 5 * i), paused) for i in range(2, 5)),
        both(1820, of_two(1, 1920), paused),
        caps=2,
    )
    assert back(facts).continuity is Continuity.PROVEN


@pytest.mark.parametrize(
    ("length_s", "shortfall_s", "lost_s"),
    [(20, 2, 0), (20, 3, 3), (600, 15, 15), (3 * 3600, 4, 0), (3 * 3600, 7, 7), (600, 600, 600), (600, -5, 0)],
)
def test_of_the_silence_and_what_the_counter_says_of_it_the_smaller_counts(
    length_s: int, shortfall_s: int, lost_s: int
):
    """One second at each end and 200 ppm are no loss; a counter that says more proves no more than the silence."""
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(5 + length_s, 105 + length_s - shortfall_s))
    assert back(facts).lost == ((CapLoss(1, lost_s * S),) if lost_s else ())
    assert back(facts).continuity is (Continuity.UNPROVEN if lost_s else Continuity.PROVEN)


def test_small_losses_of_a_flapping_unit_do_not_add_up_unseen():
    """Thirty silences of 20 s, in each of which the cap stood still for a second."""
    facts, _, _ = play(counted(0, 100), *(counted(5 + 20 * i, 105 + 19 * i) for i in range(31)))
    lost_s = sum(loss.lost_us for fact in facts if isinstance(fact, UnitOnline) for loss in fact.lost) / S
    assert 30 - 2 <= lost_s <= 30


UNSEEN = reading(10, cap(RunState.STOPPED, circulating=False, treatment=7, elapsed_s=107))


def test_a_stop_that_one_poll_sees_and_the_counter_shows_is_a_pause():
    facts, until_s, _ = play(counted(0, 100), counted(5, 105), UNSEEN, counted(15, 109))
    assert facts[1:] == [
        CoolingPaused(at_us=at(9).utc_us, known_at_us=at(15).utc_us, cap=CAP, reason=UNCONFIRMED),
        CoolingResumed(at_us=at(15).utc_us, known_at_us=at(15).utc_us, cap=CAP, reason=UNCONFIRMED),
    ]
    assert until_s == 15


def test_it_is_none_if_the_counter_went_on_and_is_counted_once():
    facts, _, _ = play(counted(0, 100), counted(5, 105), UNSEEN, counted(15, 114), counted(20, 119))
    assert [type(fact) for fact in facts] == [CoolingStarted]
    again = reading(25, cap(RunState.STOPPED, circulating=False, treatment=7, elapsed_s=114))
    facts, _, _ = play(
        counted(0, 100), counted(5, 105), UNSEEN, counted(15, 109), counted(20, 114), again, counted(30, 124)
    )
    assert [type(fact) for fact in facts] == [CoolingStarted, CoolingPaused, CoolingResumed]


@pytest.mark.parametrize("treatment", [None, 7], ids=["no counters", "counters"])
def test_after_a_silence_cooling_counts_from_the_first_reading_that_shows_it(treatment: int | None):
    """Nothing proves the time between a reading that shows a pause and the next one."""
    paused = cap(RunState.RUNNING, connected=False, circulating=False, treatment=treatment, elapsed_s=180)
    cooling = cap(treatment=treatment, elapsed_s=180)
    facts, until_s, _ = play(counted(0, 100), counted(5, 105), reading(105, paused), reading(110, cooling))
    assert facts[1:] == [
        UnitOffline(at_us=at(5).utc_us, known_at_us=at(105).utc_us, device="cap-01", reason="gateway"),
        UnitOnline(at_us=at(105).utc_us, known_at_us=at(105).utc_us, device="cap-01"),
        CoolingPaused(at_us=at(105).utc_us, known_at_us=at(110).utc_us, cap=CAP, reason=UNCONFIRMED),
        CoolingResumed(at_us=at(110).utc_us, known_at_us=at(110).utc_us, cap=CAP, reason=UNCONFIRMED),
    ]
    assert until_s == 110


def test_another_treatment_within_a_run_leaves_out_the_time_since_the_last_reading():
    facts, _, _ = play(counted(0, 100), counted(5, 105), counted(10, 2, treatment=8), counted(15, 7, treatment=8))
    assert [(type(fact), fact.at_us) for fact in facts[1:]] == [
        (CoolingPaused, at(5).utc_us),
        (CoolingResumed, at(10).utc_us),
    ]


def test_the_boot_clock_goes_with_how_far_a_unit_is_observed():
    stamp = Stamp(EPOCH + 5 * S, 5 * S, "b00t")
    seen = UnitState((CapState(),), stamp)
    assert observed_until(seen, "cap-01", EPOCH + 3 * S, EPOCH + 6 * S) == ObservedUntil(
        at_us=EPOCH + 3 * S, known_at_us=EPOCH + 6 * S, device="cap-01", boot="b00t", boot_us=3 * S
    )
