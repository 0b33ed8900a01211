"""The campaign itself: one seed is one run, and short ones break no rule."""

import pytest

from tests.campaign.faults import Kind
from tests.campaign.run import run

DAYS = 4


@pytest.mark.parametrize("seed", range(1, 41))
def test_a_short_campaign_breaks_no_rule(seed: int) -> None:
    result = run(seed, DAYS, frozenset(Kind))
    assert result.violations == ()
    assert result.visits > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    first, second = (run(seed, DAYS, frozenset(Kind)) for _ in range(2))
    assert first.trace == second.trace
    assert first.counts == second.counts
    assert first.visits > 0
