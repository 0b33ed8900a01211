"""What the kernel says of its clock, for every state that adjtimex(2) knows."""

import ctypes

import pytest

from gateway.recording.clock_trust import state_of
from gateway.runtime.kernel_clock import NOT_KNOWN, STA_UNSYNC, TIME_ERROR, Kept, Timex, kernel_clock
from gateway.session.fact_types import ClockState

OK, INS, DEL, OOP, WAIT = range(5)  # what adjtimex returns
PLL, PPS_SIGNAL = 0x0001, 0x0100


def said(returned: int, status: int, max_error_us: int) -> Kept:
    """What is made of this answer."""

    def adjtimex(found: Timex) -> int:
        assert found.modes == 0, "only read"
        found.status, found.maxerror = status, max_error_us
        return returned

    return kernel_clock(adjtimex)


@pytest.mark.parametrize(
    ("returned", "status", "max_error_us", "proven", "state"),
    [
        (OK, PLL, 0, False, ClockState.TRUSTED),
        (OK, PLL, 1_000_000, False, ClockState.TRUSTED),
        (OK, PLL, 1_000_001, False, ClockState.HOLDOVER),
        (OK, PLL, 15_999_999, False, ClockState.HOLDOVER),
        (INS, PLL, 5000, False, ClockState.TRUSTED),  # a leap second is announced, inserted, over
        (DEL, PLL, 5000, False, ClockState.TRUSTED),
        (OOP, PLL, 5000, False, ClockState.TRUSTED),
        (WAIT, PLL, 5000, False, ClockState.TRUSTED),
        (OK, PLL | STA_UNSYNC, 5000, False, ClockState.UNSYNCHRONISED),
        (TIME_ERROR, STA_UNSYNC, 16_000_000, False, ClockState.UNSYNCHRONISED),
        (TIME_ERROR, STA_UNSYNC, 16_000_000, True, ClockState.HOLDOVER),
        (TIME_ERROR, PPS_SIGNAL, 5000, False, ClockState.UNSYNCHRONISED),
        (-1, 0, 0, False, ClockState.UNSYNCHRONISED),
        (-1, 0, 0, True, ClockState.HOLDOVER),
    ],
)
def test_each_state_of_the_kernel_is_one_of_the_clock(
    returned: int, status: int, max_error_us: int, proven: bool, state: ClockState
) -> None:
    assert state_of(said(returned, status, max_error_us), 0, proven=proven) is state


def test_a_stepped_clock_is_carried_on_if_it_was_proven_and_wrong_if_not() -> None:
    for kept in (Kept(True, 100), NOT_KNOWN):
        assert state_of(kept, 2_000_000, proven=True) is ClockState.HOLDOVER
        assert state_of(kept, -2_000_000, proven=False) is ClockState.UNTRUSTED


def test_where_the_call_is_refused_or_missing_nothing_is_known() -> None:
    def refused(_: Timex) -> int:
        raise AttributeError("adjtimex")

    assert kernel_clock(refused) == NOT_KNOWN
    assert kernel_clock(lambda _: -1) == NOT_KNOWN


def test_this_machines_kernel_answers_in_the_form_that_is_read() -> None:
    found = Timex()
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(found)) in range(6)
    assert found.maxerror >= 0
    assert kernel_clock().max_error_us is not None
