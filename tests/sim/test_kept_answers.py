"""Answers of a unit without counters while nothing could be recorded: kept ones count, dropped ones never do."""

from pathlib import Path

import pytest

from drivers.reading import CapReading, Reading, RunState
from gateway.audit.verify import verify
from gateway.polling import kept as kept_module
from gateway.polling.kept import KeptAnswers
from tests.support.pipeline import POLL_S, Suite, configured, running


@pytest.mark.parametrize(
    ("most", "counted"),
    [(100, [1, 2, 3]), (20, [1, 2])],
    ids=["all were kept", "the oldest were dropped"],
)
async def test_what_was_answered_meanwhile_counts_as_far_as_it_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, counted: list[int]
) -> None:
    monkeypatch.setattr(kept_module, "MOST", most)
    kept = KeptAnswers()
    folder = configured(tmp_path)
    async with running(folder) as suite:
        await poll(suite, kept, 2, RunState.STOPPED)
        await poll(suite, kept, 60, RunState.RUNNING)
        await suite.infusion_over()
        await poll(suite, kept, 50, RunState.RUNNING)
        assert [number for _, number, _ in await suite.increments()] == [1, 2]
        clock = suite.clock
        await poll(suite, kept, 30, RunState.RUNNING, recorded=False)
    async with running(folder, clock) as suite:
        for answer in kept.after(suite.pipeline.observed):
            await suite.pipeline.answer(answer)
        await poll(suite, kept, 2, RunState.RUNNING)
        assert [number for _, number, _ in await suite.increments()] == counted
        await poll(suite, kept, 24, RunState.RUNNING)
        assert [number for _, number, _ in await suite.increments()] == [*counted, len(counted) + 1]
    assert verify(folder / "state" / "ledger.db").problems == ()


async def poll(suite: Suite, kept: KeptAnswers, minutes: float, state: RunState, *, recorded: bool = True) -> None:
    """Readings every half minute, kept as polling keeps them, `recorded` unless the disk is full."""
    for _ in range(round(minutes * 60 / POLL_S)):
        suite.clock.us += POLL_S * 1_000_000
        cap = CapReading(1, state, True, state is RunState.RUNNING, {})
        idle = CapReading(2, RunState.STOPPED, False, False, {})
        reading = Reading("cap-01", suite.clock.now(), (cap, idle), {}, (), "SN-1")
        kept.add(reading)
        if recorded:
            await suite.pipeline.answer(reading)
