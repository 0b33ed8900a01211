"""The demo's clock: scaled time that stands still while readings are late, so that a busy machine shows no gap."""

from drivers.reading import Stamp
from gateway.runtime.clock import US_PER_S, Clock

LEAD_US = 60 * US_PER_S  # two polls of the demo's units; a third one missing is a gap to the default policy


class PacedClock:
    """A scaled clock that never passes an instant, which `follow` moves on."""

    def __init__(self, scaled: Clock) -> None:
        self.speed = scaled.speed
        self._scaled = scaled
        self.start = scaled.now()
        self._waited_us = 0
        self._stop_at_us: int | None = self.start.utc_us + LEAD_US

    def now(self) -> Stamp:
        """This instant; both clocks wait alike."""
        scaled = self._scaled.now()
        utc_us = scaled.utc_us - self._waited_us
        over_us = 0 if self._stop_at_us is None else max(0, utc_us - self._stop_at_us)
        return Stamp(utc_us - over_us, scaled.boot_us - self._waited_us - over_us)

    def follow(self, observed_us: int | None) -> None:
        """Go on until LEAD_US after the unit that was heard of the longest ago; None: there is none to wait for."""
        scaled, now = self._scaled.now(), self.now()
        self._waited_us = scaled.boot_us - now.boot_us
        self._stop_at_us = None if observed_us is None else max(observed_us + LEAD_US, now.utc_us)

    def step_us(self) -> int:
        """Always 0: it follows no wall clock."""
        return 0

    def align(self) -> None:
        """Nothing to align with."""

    def resume(self, stamp: Stamp) -> None:
        """Nothing to go on from."""
