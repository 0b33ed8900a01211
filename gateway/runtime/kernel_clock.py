"""What the kernel says of the wall clock: whether a time service keeps it, and how wrong it may be (adjtimex(2)).

It is only read (`modes` is 0), which needs no privilege but is a system call that some sandboxes refuse; a refusal
means that nothing is known. The kernel adds 500 us a second to `maxerror` since the last correction, and at 16 s says
itself that the clock is not synchronised: systemd's `timedatectl` rests on the same.
"""

import ctypes
from collections.abc import Callable
from typing import NamedTuple

TIME_ERROR = 5  # what adjtimex returns of a clock that nothing keeps
STA_UNSYNC = 0x0040


class Timex(ctypes.Structure):
    """The beginning of the kernel's `struct timex`."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("rest", ctypes.c_long * 24),  # of no use here; no shorter than the kernel's
    )


class Kept(NamedTuple):
    """How a clock is kept. `max_error_us` is None where that is not known."""

    synchronised: bool
    max_error_us: int | None = None


NOT_KNOWN = Kept(synchronised=False)


def kernel_clock(adjtimex: Callable[[Timex], int] | None = None) -> Kept:
    """How the kernel says that its wall clock is kept, now. `adjtimex` fills the structure, as the C library's does."""
    found = Timex()
    try:
        returned = _adjtimex(found) if adjtimex is None else adjtimex(found)
    except (OSError, AttributeError, MemoryError):  # another system, or a sandbox without it
        return NOT_KNOWN
    if returned < 0:
        return NOT_KNOWN
    return Kept(returned != TIME_ERROR and not found.status & STA_UNSYNC, found.maxerror)


def _adjtimex(found: Timex) -> int:
    return ctypes.CDLL(None).adjtimex(ctypes.byref(found))
