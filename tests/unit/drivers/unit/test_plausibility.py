"""A temperature that leaps is rejected; a new level is accepted only after several readings agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.unit.plausibility import BELIEVED_AFTER, Slope

S = 1_000_000


def judged(course: list[tuple[float, float]], max_k_per_min: float = 60) -> list[bool]:
    slope = Slope(max_k_per_min)
    return [slope.is_impossible(value, round(at_s * S)) for at_s, value in course]


def test_what_changes_as_fast_as_it_may_is_believed() -> None:
    assert not any(judged([(0, 20), (5, 15), (10, 10.5), (15, 15), (20, 20)]))


@pytest.mark.parametrize("leap", [85.0, -127.0, 25.0])
def test_a_single_leap_is_impossible_and_what_follows_is_not(leap: float) -> None:
    assert judged([(0, -4), (5, leap), (10, -4.1), (15, -4.2)]) == [False, True, False, False]


def test_a_new_level_is_believed_once_it_has_stood() -> None:
    course = [(0.0, -4.0)] + [(5.0 * n, 40.0 + n / 10) for n in range(1, 8)]
    expected = [False] + [True] * (BELIEVED_AFTER - 1) + [False] * 3
    assert judged(course) == expected


def test_a_value_that_jumps_to_and_fro_is_never_believed() -> None:
    course = [(0.0, -4.0)] + [(1.0 * n, 40.0 if n % 2 else 80.0) for n in range(1, 30)]
    assert judged(course)[1:] == [True] * 29


def test_after_a_silence_the_value_may_be_anywhere_that_it_could_have_reached() -> None:
    assert judged([(0, -4), (60, 50)]) == [False, False]
    assert judged([(0, -4), (30, 50)]) == [False, True]


@given(st.lists(st.tuples(st.floats(0.1, 60), st.floats(-1, 1)), max_size=50))
def test_no_course_within_the_limit_is_ever_doubted(steps: list[tuple[float, float]]) -> None:
    at_s, value = 0.0, 0.0
    course = [(at_s, value)]
    for lasted_s, rate in steps:
        at_s, value = at_s + lasted_s, value + 0.99 * rate * lasted_s
        course.append((at_s, value))
    assert not any(judged(course))
