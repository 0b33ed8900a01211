"""What a start makes of its clock: by the release, the last entry, the kernel, and what the site says of the kernel."""

import pytest

from drivers.reading import Stamp
from gateway.config.tables import TimeService
from gateway.ledger.read_back import ClockKnown
from gateway.recording.clock_trust import FAR_US, JUST_BOOTED_US, Wall, doubt, resumed
from gateway.runtime.kernel_clock import NOT_KNOWN, Kept
from gateway.session.fact_types import ClockDoubt, ClockState
from gateway.session.facts import ClockJudged

S = 1_000_000
RELEASED_US = 1_000_000 * S
LAST_US = RELEASED_US + 500_000 * S
LONG_US = JUST_BOOTED_US + S
KEPT = Kept(synchronised=True, max_error_us=100)
REQUIRED, EXPECTED, INVISIBLE = TimeService


def known(state: ClockState | None, boot: str = "before") -> ClockKnown:
    """A ledger whose last entry is of LAST_US, with what it says of the clock."""
    judged = None if state is None else ClockJudged(at_us=LAST_US, known_at_us=LAST_US, state=state, boot=boot)
    return ClockKnown(judged, LAST_US)


TRUSTED, UNSYNCHRONISED, UNTRUSTED = (
    known(ClockState.TRUSTED),
    known(ClockState.UNSYNCHRONISED),
    known(ClockState.UNTRUSTED),
)
EARLIER, NEW = known(None), ClockKnown()  # a ledger of an earlier version; none at all


@pytest.mark.parametrize(
    ("utc_us", "kept", "boot_us", "ledger", "service", "expected"),
    [
        (0, KEPT, LONG_US, TRUSTED, INVISIBLE, ClockDoubt.BEFORE_RELEASE),
        (RELEASED_US - 1, NOT_KNOWN, LONG_US, NEW, EXPECTED, ClockDoubt.BEFORE_RELEASE),
        (RELEASED_US, NOT_KNOWN, LONG_US, NEW, EXPECTED, None),
        (LAST_US - 2 * S, NOT_KNOWN, LONG_US, EARLIER, INVISIBLE, ClockDoubt.BEFORE_LAST),
        (LAST_US - S, NOT_KNOWN, LONG_US, UNSYNCHRONISED, INVISIBLE, None),
        (LAST_US - 2 * S, KEPT, LONG_US, TRUSTED, EXPECTED, ClockDoubt.BEFORE_LAST),
        (LAST_US - 2 * S, KEPT, LONG_US, UNSYNCHRONISED, EXPECTED, None),
        (LAST_US - 2 * S, KEPT, LONG_US, UNTRUSTED, EXPECTED, None),
        (LAST_US - 2 * S, KEPT, LONG_US, EARLIER, EXPECTED, None),
        (LAST_US + FAR_US + S, NOT_KNOWN, LONG_US, TRUSTED, EXPECTED, ClockDoubt.FAR_AFTER),
        (LAST_US + FAR_US, NOT_KNOWN, LONG_US, TRUSTED, EXPECTED, None),
        (LAST_US + FAR_US + S, NOT_KNOWN, LONG_US, UNSYNCHRONISED, EXPECTED, None),
        (LAST_US + FAR_US + S, NOT_KNOWN, LONG_US, EARLIER, EXPECTED, None),
        (LAST_US + FAR_US + S, NOT_KNOWN, LONG_US, TRUSTED, INVISIBLE, None),
        (LAST_US + 100 * FAR_US, KEPT, LONG_US, TRUSTED, EXPECTED, None),
        (LAST_US + S, NOT_KNOWN, JUST_BOOTED_US - 1, TRUSTED, EXPECTED, ClockDoubt.JUST_BOOTED),
        (LAST_US + S, NOT_KNOWN, JUST_BOOTED_US - 1, UNSYNCHRONISED, EXPECTED, None),
        (RELEASED_US, NOT_KNOWN, 0, NEW, EXPECTED, None),
        (LAST_US + S, NOT_KNOWN, JUST_BOOTED_US - 1, TRUSTED, INVISIBLE, None),
        (LAST_US + S, KEPT, 0, TRUSTED, REQUIRED, None),
        (LAST_US + S, NOT_KNOWN, LONG_US, TRUSTED, REQUIRED, ClockDoubt.NOT_SYNCHRONISED),
    ],
)
def test_what_a_start_makes_of_its_clock(
    utc_us: int, kept: Kept, boot_us: int, ledger: ClockKnown, service: TimeService, expected: ClockDoubt | None
) -> None:
    wall = Wall(Stamp(utc_us, boot_us, "now"), kept, RELEASED_US)
    assert doubt(wall, ledger, service) == expected
    assert resumed(wall, ledger, service) is None, "of another boot nothing goes on"


@pytest.mark.parametrize(
    ("state", "utc_us", "kept", "goes_on"),
    [
        (ClockState.TRUSTED, 0, NOT_KNOWN, True),
        (ClockState.TRUSTED, LAST_US + S, NOT_KNOWN, True),
        (ClockState.TRUSTED, LAST_US + S, KEPT, False),
        (ClockState.UNSYNCHRONISED, 0, NOT_KNOWN, True),
        (ClockState.UNSYNCHRONISED, LAST_US + S, NOT_KNOWN, False),
        (ClockState.UNTRUSTED, 0, NOT_KNOWN, False),
    ],
)
def test_within_a_boot_the_boot_clock_goes_on_where_it_knows_better(
    state: ClockState, utc_us: int, kept: Kept, goes_on: bool
) -> None:
    wall = Wall(Stamp(utc_us, LONG_US, "now"), kept, RELEASED_US)
    stamp = resumed(wall, known(state, "now"), EXPECTED)
    assert (stamp is not None) == goes_on
    assert stamp in (None, Stamp(LAST_US, 0, "now"))
