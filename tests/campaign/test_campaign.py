"""The campaign itself: one seed is one run, and every kind of fault can be played."""

import pytest

from tests.campaign.faults import Kind
from tests.campaign.plan import Rule
from tests.campaign.run import run

SPARED = frozenset(Rule)  # what the product breaks is for the command to show


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    first, second = (run(seed, 5, frozenset(Kind), SPARED) for _ in range(2))
    assert first.trace == second.trace
    assert first.known == second.known
    assert first.counts == second.counts
    assert first.visits > 0
