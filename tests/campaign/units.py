"""The cooling units: what their caps truly do, what a poll brings, and what the polls have shown."""

from dataclasses import dataclass, field
from typing import NamedTuple

from drivers.reading import CapReading, FaultKind, ReadFault, Reading, RunState, Stamp
from tests.campaign.plan import MINUTE, CapState, Move, Place, S

AFTER_A_CHANGE = 3 * MINUTE  # how long a unit is polled after its last change


class Sighting(NamedTuple):
    """A cap in one good reading."""

    at_us: int  # true time
    state: CapState
    treatment: int
    elapsed_s: int


@dataclass
class _Cap:
    state: CapState = CapState.STOPPED
    since_us: int = 0
    treatment: int = 0
    cooled_us: int = 0

    def elapsed_us(self, at_us: int) -> int:
        return self.cooled_us + (at_us - self.since_us if self.state is CapState.RUNNING else 0)

    def move(self, at_us: int, state: CapState) -> None:
        self.cooled_us = self.elapsed_us(at_us)
        if self.state is CapState.STOPPED and state is CapState.RUNNING:
            self.treatment, self.cooled_us = self.treatment + 1, 0
        self.state, self.since_us = state, at_us


_RUN_STATES = {
    CapState.STOPPED: RunState.STOPPED,
    CapState.RUNNING: RunState.RUNNING,
    CapState.PAUSED: RunState.PAUSED,
}


@dataclass
class Unit:
    """A machine with two caps."""

    id: str
    lost_until_us: int = 0
    watched_from_us: int = 0  # something may have changed then
    seen: dict[Place, list[Sighting]] = field(default_factory=dict[Place, list[Sighting]])
    _caps: tuple[_Cap, _Cap] = field(default_factory=lambda: (_Cap(), _Cap()))

    def move(self, move: Move) -> None:
        """A cap changes its state."""
        self._caps[move.place.cap - 1].move(move.at_us, move.state)

    @property
    def cools(self) -> bool:
        """Whether a treatment is under way."""
        return any(cap.state is not CapState.STOPPED for cap in self._caps)

    def active(self, now_us: int) -> bool:
        """Whether a poll may show something."""
        return self.cools or now_us < self.watched_from_us + AFTER_A_CHANGE

    def poll(self, stamp: Stamp, now_us: int, *, in_vain: bool) -> Reading | ReadFault:
        """What the gateway is answered; `in_vain`: it cannot keep it."""
        if now_us < self.lost_until_us:
            return ReadFault(self.id, stamp, FaultKind.TIMEOUT, "")
        caps: list[CapReading] = []
        for number, cap in enumerate(self._caps, start=1):
            sighting = Sighting(now_us, cap.state, cap.treatment, cap.elapsed_us(now_us) // S)
            if not in_vain:
                self.seen.setdefault(Place(self.id, number), []).append(sighting)
            caps.append(
                CapReading(
                    cap=number,
                    run_state=_RUN_STATES[cap.state],
                    connected=cap.state is CapState.RUNNING,
                    circulating=cap.state is CapState.RUNNING,
                    temperatures={},
                    treatment=sighting.treatment,
                    elapsed_s=sighting.elapsed_s,
                )
            )
        return Reading(self.id, stamp, tuple(caps), {}, (), f"SN-{self.id}")
