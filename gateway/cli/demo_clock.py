"""The demo's clock: scaled time that pauses while readings are late, so that a slow machine causes no gaps."""

from drivers.reading import Stamp
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.kernel_clock import Kept

LEAD_US = 60 * US_PER_S  # two polls of the demo's units; the default policy's max_gap_s is three


class PacedClock:
    """A scaled clock that stops at a limit, which `follow` advances."""

    def __init__(self, scaled: Clock) -> None:
        self.speed = scaled.speed
        self.released_us = scaled.released_us
        self._scaled = scaled
        self.start = scaled.now()
        self._waited_us = 0
        self._stop_at_us: int | None = self.start.utc_us + LEAD_US

    def now(self) -> Stamp:
        """The current instant; UTC and boot time pause together."""
        scaled = self._scaled.now()
        utc_us = scaled.utc_us - self._waited_us
        over_us = 0 if self._stop_at_us is None else max(0, utc_us - self._stop_at_us)
        return Stamp(utc_us - over_us, scaled.boot_us - self._waited_us - over_us)

    def follow(self, observed_us: int | None) -> None:
        """Set the limit to LEAD_US after `observed_us`, the oldest of the units' last readings; None: no limit."""
        scaled, now = self._scaled.now(), self.now()
        self._waited_us = scaled.boot_us - now.boot_us
        self._stop_at_us = None if observed_us is None else max(observed_us + LEAD_US, now.utc_us)

    def kept(self) -> Kept:
        """As the clock that it paces."""
        return self._scaled.kept()

    def step_us(self) -> int:
        """Always 0: this clock is not stepped."""
        return 0

    def align(self) -> None:
        """Do nothing: there is no wall clock to align with."""

    def resume(self, stamp: Stamp) -> None:
        """Do nothing: the demo always starts at its own instant."""
