"""How far the machine's clock is to be believed: what is decided of it at a start, and what its stamps are worth then.

Theory of operation. Only a start reads the wall clock; within a boot the boot clock goes on from there
(`runtime/clock.py`). So the wall clock is judged at the first start of a boot, and while it is in doubt nothing is
recorded (`paused/clock_pause.py`): everything in the ledger has an instant of a clock that nothing contradicted. What
a later start in the same boot needs is in the ledger, and no doubt stops it.
"""

from typing import NamedTuple

from drivers.reading import Stamp
from gateway.config.tables import TimeService
from gateway.ledger.read_back import ClockKnown
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.kernel_clock import Kept
from gateway.session.fact_types import ClockDoubt, ClockState
from gateway.session.facts import ClockJudged

STEP_TOLERANCE_US = US_PER_S  # a clock that is slewed is never so far off
TRUSTED_US = US_PER_S  # the largest error of a clock that is trusted
JUST_BOOTED_US = 300 * US_PER_S  # so long after a boot a time service is waited for
FAR_US = 20 * 3600 * US_PER_S  # a night is shorter; a box that is off for longer asks for a time service
_PROVEN = (ClockState.TRUSTED, ClockState.HOLDOVER)
FOR_NO_PERSON = frozenset({ClockDoubt.BEFORE_RELEASE})  # of what nobody can say that it is right


class Wall(NamedTuple):
    """What the wall clock shows, and how it is kept."""

    at: Stamp  # by the wall clock
    kept: Kept
    released_us: int

    @classmethod
    def of(cls, clock: Clock) -> "Wall":
        """What it shows now."""
        now = clock.now()
        return cls(Stamp(now.utc_us + clock.step_us(), now.boot_us, now.boot), clock.kept(), clock.released_us)


def doubt(wall: Wall, known: ClockKnown, service: TimeService) -> ClockDoubt | None:
    """Why nothing may be counted by the wall clock at the first start of a boot; None: nothing speaks against it."""
    vouched = known.judged is not None and known.judged.state in _PROVEN
    if wall.at.utc_us < wall.released_us:
        return ClockDoubt.BEFORE_RELEASE
    # Of two clocks that were kept one is wrong; one that nothing vouched for gives way to one that is kept.
    if wall.at.utc_us < known.last_us - STEP_TOLERANCE_US and (vouched or not wall.kept.synchronised):
        return ClockDoubt.BEFORE_LAST
    if wall.kept.synchronised or service is TimeService.INVISIBLE:
        return None
    if service is TimeService.REQUIRED:
        return ClockDoubt.NOT_SYNCHRONISED
    if not vouched:  # what has never been heard of is not waited for
        return None
    if wall.at.boot_us < JUST_BOOTED_US:
        return ClockDoubt.JUST_BOOTED
    return ClockDoubt.FAR_AFTER if wall.at.utc_us > known.last_us + FAR_US else None


def resumed(wall: Wall, known: ClockKnown, service: TimeService) -> Stamp | None:
    """The stamp from which the boot clock goes on, where an earlier start in this boot knew better than the wall."""
    last = known.judged
    if last is None or not last.boot or last.boot != wall.at.boot or last.state is ClockState.UNTRUSTED:
        return None
    better = last.state in _PROVEN and not wall.kept.synchronised
    if better or doubt(wall, known, service) not in (None, ClockDoubt.NOT_SYNCHRONISED):
        return Stamp(last.at_us, last.boot_us, last.boot)
    return None


def is_implausible(wall: Wall, step_us: int) -> bool:
    """Whether a wall clock that was stepped by so much in a running gateway is not to be followed."""
    return wall.at.utc_us < wall.released_us or (abs(step_us) > FAR_US and not wall.kept.synchronised)


def state_of(kept: Kept, step_us: int, *, proven: bool) -> ClockState:
    """How far stamps are to be believed from which the wall clock differs by `step_us`.

    `proven`: they were as a clock that was kept, since they were taken from it.
    """
    agrees = abs(step_us) <= STEP_TOLERANCE_US
    if agrees and kept.synchronised:
        within = kept.max_error_us is None or kept.max_error_us <= TRUSTED_US
        return ClockState.TRUSTED if within else ClockState.HOLDOVER
    if proven:
        return ClockState.HOLDOVER
    return ClockState.UNSYNCHRONISED if agrees else ClockState.UNTRUSTED


def was_proven(known: ClockKnown, boot: str) -> bool:
    """Whether stamps that go on from those before a start in the same boot were proven then."""
    last = known.judged
    return last is not None and bool(boot) and last.boot == boot and last.state in _PROVEN


def says_more(now: ClockJudged, last: ClockJudged | None) -> bool:
    """Whether it is to be recorded after what was recorded last: it differs, or the stamps were set."""
    if last is None or now.doubt is not None or (now.state, now.boot) != (last.state, last.boot):
        return True
    return abs((now.at_us - now.boot_us) - (last.at_us - last.boot_us)) > STEP_TOLERANCE_US
