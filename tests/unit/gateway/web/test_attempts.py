"""Trying secrets gets slower and slower, for a name and for an address, and is forgiven."""

from gateway.web.attempts import FIRST_WAIT_S, FORGOTTEN_S, FREE_TRIES, LONGEST_WAIT_S, MAX_REMEMBERED, Attempts


def failing(times: int, *who: str, at_s: float = 0.0) -> Attempts:
    attempts = Attempts()
    for _ in range(times):
        attempts.failed(at_s, *who)
    return attempts


def test_some_mistakes_are_free() -> None:
    assert failing(FREE_TRIES - 1, "a").wait_s(0.0, "a") == 0.0
    assert failing(FREE_TRIES, "a").wait_s(0.0, "a") == FIRST_WAIT_S


def test_each_further_try_waits_twice_as_long_up_to_a_limit() -> None:
    waits = [failing(FREE_TRIES + more, "a").wait_s(0.0, "a") for more in range(12)]
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0]
    assert waits[-1] == LONGEST_WAIT_S


def test_the_wait_runs_out() -> None:
    attempts = failing(FREE_TRIES, "a", at_s=100.0)
    assert attempts.wait_s(103.0, "a") == 2.0
    assert attempts.wait_s(105.0, "a") == 0.0


def test_one_of_several_is_enough_and_others_are_free() -> None:
    attempts = failing(FREE_TRIES, "name x", "address y")
    assert attempts.wait_s(0.0, "name z", "address y") == FIRST_WAIT_S
    assert attempts.wait_s(0.0, "name z", "address w") == 0.0


def test_success_and_time_forgive() -> None:
    attempts = failing(FREE_TRIES + 5, "a")
    assert attempts.wait_s(FORGOTTEN_S + 1.0, "a") == 0.0
    attempts.succeeded("a")
    assert attempts.wait_s(0.0, "a") == 0.0


def test_what_is_remembered_is_bounded() -> None:
    attempts = failing(FREE_TRIES, "old")
    for number in range(MAX_REMEMBERED):
        attempts.failed(0.0, f"address {number}")
    assert attempts.wait_s(0.0, "old") == 0.0
