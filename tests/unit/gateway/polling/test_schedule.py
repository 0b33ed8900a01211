"""The line schedule, over virtual seconds."""

import itertools

from gateway.polling.schedule import ALONE_BACK_OFF_S, MAX_BACK_OFF_S, LineSchedule


def run(
    schedule: LineSchedule,
    until_s: float,
    dead: frozenset[str] = frozenset(),
    cost_s: float = 0.01,
    miss_s: float = 1.0,
):
    """Play the schedule as a poller would; returns (unit, start) for every poll."""
    now_s, polls = 0.0, list[tuple[str, float]]()
    while now_s < until_s:
        unit, due_s = schedule.next(now_s)
        now_s = max(now_s, due_s)
        polls.append((unit, now_s))
        now_s += miss_s if unit in dead else cost_s
        schedule.done(unit, unit not in dead, now_s)
    return polls


def test_every_unit_is_polled_once_a_period_in_its_own_slot():
    polls = run(LineSchedule({"a": 5.0, "b": 5.0}, phase=3, now_s=0.0), 50.0)
    starts_a = [at for unit, at in polls if unit == "a"]
    starts_b = [at for unit, at in polls if unit == "b"]
    assert starts_a[:3] == [1.5, 6.5, 11.5]
    assert starts_b[:3] == [2.0, 7.0, 12.0]


def test_a_late_poll_skips_the_slots_that_passed_and_returns_to_the_grid():
    schedule = LineSchedule({"a": 1.0}, phase=0, now_s=0.0)
    assert schedule.next(0.0) == ("a", 1.0)
    schedule.done("a", True, 4.3)
    assert schedule.next(4.3) == ("a", 5.0)


def test_a_slot_is_used_once_however_fast_the_answer_comes():
    schedule = LineSchedule({"a": 1.0}, phase=1, now_s=0.0)
    for poll in range(10):
        _, due_s = schedule.next(0.0)
        assert round(due_s, 6) == poll + 0.1
        schedule.done("a", True, due_s)


def test_a_dead_unit_is_asked_less_and_less_up_to_the_limit():
    polls = run(LineSchedule({"a": 5.0, "b": 5.0}, phase=0, now_s=0.0), 400.0, dead=frozenset({"a"}))
    starts = [at for unit, at in polls if unit == "a"]
    gaps = [after - before for before, after in itertools.pairwise(starts)]
    assert gaps[0] <= 10.0
    assert max(gaps) <= MAX_BACK_OFF_S + 5.0
    assert gaps[-1] >= MAX_BACK_OFF_S - 5.0


def test_where_no_neighbour_answers_all_are_asked_often():
    polls = run(LineSchedule({"a": 1.0, "b": 1.0}, phase=0, now_s=0.0), 400.0, dead=frozenset({"a", "b"}), miss_s=0.2)
    for unit in ("a", "b"):
        starts = [at for polled, at in polls if polled == unit]
        assert max(after - before for before, after in itertools.pairwise(starts)) <= ALONE_BACK_OFF_S + 1.0


def test_one_answer_ends_the_back_off():
    schedule = LineSchedule({"a": 5.0, "b": 5.0}, phase=0, now_s=0.0)
    schedule.done("b", True, 5.0)
    for now_s in (5.0, 10.0, 20.0, 40.0):
        schedule.done("a", False, now_s)
    schedule.done("a", True, 70.0)
    schedule.done("b", True, 74.0)
    assert schedule.next(74.0) == ("a", 75.0)


def test_a_unit_that_comes_and_goes_is_put_back_further_than_one_that_has_always_answered():
    """Of each five polls, one is answered."""
    schedule = LineSchedule({"a": 1.0, "b": 1.0}, phase=0, now_s=0.0)
    now_s, asked = 0.0, list[float]()
    while now_s < 400.0:
        unit, due_s = schedule.next(now_s)
        now_s = max(now_s, due_s) + 0.01
        if unit == "a":
            asked.append(now_s)
        schedule.done(unit, unit == "b" or len(asked) % 5 == 0, now_s)
    after_an_answer = [then - now for now, then in itertools.pairwise(asked[14::5])]
    assert len(asked) <= 60, "a fresh unit would be asked 400 times, one that forgets its misses 130 times"
    assert max(after_an_answer) <= 5 * MAX_BACK_OFF_S
    answered_at = [at for number, at in enumerate(asked[:-1], start=1) if number % 5 == 0]
    assert all(asked[asked.index(at) + 1] - at <= 1.1 for at in answered_at), "the period counts again at once"


def test_a_unit_that_answers_steadily_again_is_forgiven_all_its_misses():
    schedule = LineSchedule({"a": 1.0, "b": 1.0}, phase=0, now_s=0.0)
    schedule.done("b", True, 1.0)
    for second in range(20):
        schedule.done("a", False, float(second))
    for second in range(20, 24):
        schedule.done("a", True, float(second))
    schedule.done("b", True, 24.0)
    schedule.done("a", False, 24.5)
    schedule.done("b", True, 24.6)
    assert schedule.next(24.6) == ("a", 25.0)


def test_one_dead_unit_of_eight_hardly_delays_the_others():
    units = {f"u{n}": 5.0 for n in range(8)}
    polls = run(LineSchedule(units, phase=0, now_s=0.0), 600.0, dead=frozenset({"u0"}))
    for unit in list(units)[1:]:
        starts = [at for polled, at in polls if polled == unit]
        gaps = sorted(after - before for before, after in itertools.pairwise(starts))
        assert gaps[int(len(gaps) * 0.99) - 1] <= 5.0 * 1.5
        assert len(starts) >= 0.99 * 600 / 5 - 1


def test_units_in_a_session_go_first_when_several_are_overdue():
    schedule = LineSchedule({"a": 5.0, "b": 5.0, "c": 5.0}, phase=0, now_s=0.0)
    schedule.prefer(frozenset({"c"}))
    assert schedule.next(6.0)[0] == "c"


def test_an_overloaded_line_still_serves_every_unit():
    units = {f"u{n}": 1.0 for n in range(5)}
    polls = run(LineSchedule(units, phase=0, now_s=0.0), 100.0, cost_s=0.5)
    counts = {unit: sum(polled == unit for polled, _ in polls) for unit in units}
    assert min(counts.values()) >= 0.8 * max(counts.values())


def test_preferred_units_starve_nobody():
    schedule = LineSchedule({f"u{n}": 1.0 for n in range(5)}, phase=0, now_s=0.0)
    schedule.prefer(frozenset({"u0", "u1", "u2"}))
    polls = run(schedule, 100.0, cost_s=0.5)
    assert sum(unit == "u4" for unit, _ in polls) >= 20
