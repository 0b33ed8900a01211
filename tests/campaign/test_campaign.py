"""The campaign itself: one seed is one run, short ones break no rule, and runs that come to nothing are told."""

from functools import cache

import pytest

from tests.campaign.faults import Kind
from tests.campaign.run import Result, missing, run
from tests.campaign.whole import WholeLife

DAYS = 5
SEEDS = range(1, 41)


@cache
def played(seed: int) -> Result:
    return run(seed, DAYS, frozenset(Kind))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_short_campaign_breaks_no_rule(seed: int) -> None:
    result = played(seed)
    assert result.violations == ()
    assert result.visits > 0
    assert result.counts["emit"] > 0


@pytest.mark.parametrize("seed", [4, 5])
def test_the_whole_gateway_breaks_no_rule(seed: int) -> None:
    result = run(seed, 2, frozenset(Kind), live=WholeLife)
    assert result.violations == ()
    assert result.visits > 0
    assert result.counts["emit"] > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    first, second = played(seed), run(seed, DAYS, frozenset(Kind))
    assert first.trace == second.trace
    assert first.counts == second.counts
    assert first.visits > 0


def test_runs_that_count_charge_and_meet_every_fault_lack_nothing() -> None:
    results = [played(2), run(7, 12, frozenset(Kind))]
    assert list(missing(results, [Kind(name) for name in results[0].fired])) == []


def test_runs_that_come_to_nothing_say_what_they_lack() -> None:
    nobody_came = run(2, 0, frozenset())
    assert list(missing([nobody_came, nobody_came], [Kind.KILL])) == [
        "no unit counted in 2 runs",
        "no charge at the broker in 2 runs",
        "nothing said in json was accepted in 2 runs",
        "nothing said in hl7 was accepted in 2 runs",
        "nothing said in fhir was accepted in 2 runs",
        "no charge was stored in 2 runs",
        "no charge was accepted in 2 runs",
        "no charge was rejected in 2 runs",
        "no charge was said twice in 2 runs",
        "no charge was ordered again in 2 runs",
        "fault kill never struck in 2 runs",
    ]
