"""The clinic on a virtual clock: many runs of weeks, a few of years, and whether it misses the gateway's mends.

Run by the scorecard alone, for one run of 60 days takes half a minute of the processor.
"""

import pytest

from tests.campaign.faults import Kind
from tests.campaign.mends import MENDS, Mend, seen
from tests.campaign.run import Result, missing, run
from tests.campaign.whole import WholeLife
from tests.scorecard.repeats import repeats

FIRST_SEED = 1000
WEEKS_DAYS = 60
YEARS_DAYS = 3 * 365
WHOLE_DAYS = 12


def test_clinics_of_sixty_days_break_no_rule_and_every_fault_strikes() -> None:
    results: list[Result] = []
    for seed in range(FIRST_SEED, FIRST_SEED + repeats(20)):
        results.append(run(seed, WEEKS_DAYS, frozenset(Kind)))
        assert results[-1].violations == (), seed
    assert list(missing(results, Kind)) == []


def test_clinics_of_three_years_break_no_rule() -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + repeats(1)):
        assert run(seed, YEARS_DAYS, frozenset(Kind)).violations == (), seed


def test_clinics_with_the_whole_gateway_break_no_rule() -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + repeats(5)):
        assert run(seed, WHOLE_DAYS, frozenset(Kind), live=WholeLife).violations == (), seed


@pytest.mark.parametrize("mend", MENDS, ids=lambda mend: mend.name)
def test_a_mend_that_is_taken_out_is_missed(mend: Mend) -> None:
    assert seen(mend) is not None
