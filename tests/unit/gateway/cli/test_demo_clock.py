"""The demo's clock: scaled time that waits for readings."""

from drivers.reading import Stamp
from gateway.cli.demo_clock import LEAD_US, PacedClock
from gateway.runtime.kernel_clock import Kept


class Scaled:
    """A clock that the test sets."""

    speed = 90.0
    released_us = 0

    def __init__(self) -> None:
        self.us = 0

    def now(self) -> Stamp:
        return Stamp(1_000 + self.us, self.us)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        return 0

    def align(self) -> None:
        pass

    def resume(self, stamp: Stamp) -> None:
        pass


def test_it_runs_with_the_scaled_clock_until_readings_are_late_and_then_waits_for_them() -> None:
    scaled = Scaled()
    clock = PacedClock(scaled)
    scaled.us = LEAD_US
    assert clock.now() == Stamp(1_000 + LEAD_US, LEAD_US)
    scaled.us = 50 * LEAD_US
    assert clock.now() == Stamp(1_000 + LEAD_US, LEAD_US), "nothing was read"
    clock.follow(clock.now().utc_us)
    assert clock.now().boot_us == LEAD_US, "the wait is no time that is made up for"
    scaled.us += LEAD_US // 2
    assert clock.now() == Stamp(1_000 + LEAD_US + LEAD_US // 2, LEAD_US + LEAD_US // 2)
    scaled.us += LEAD_US
    assert clock.now().boot_us == 2 * LEAD_US


def test_it_never_goes_back_and_runs_freely_while_no_unit_is_up() -> None:
    scaled = Scaled()
    clock = PacedClock(scaled)
    scaled.us = LEAD_US
    clock.follow(1_000 - LEAD_US)
    scaled.us = 2 * LEAD_US
    assert clock.now().boot_us == LEAD_US, "a unit that comes back was last read long ago"
    clock.follow(None)
    scaled.us = 12 * LEAD_US
    assert clock.now().boot_us == 11 * LEAD_US
