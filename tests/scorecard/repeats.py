"""How often the scorecard's tests repeat: few times in the test suite, the row's number in `make scorecard`."""

import os


def repeats(in_the_suite: int) -> int:
    """The number that CAPGATE_REPEATS asks for, else a small one."""
    return int(os.environ.get("CAPGATE_REPEATS", in_the_suite))
