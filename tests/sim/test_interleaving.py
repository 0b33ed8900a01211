"""A stop meets messages, a person and the minute's tick at every await: no increment lies beyond the end of cooling."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from drivers.reading import RunState
from gateway.session.facts import NoteAdded
from tests.support.pipeline import HANGS_S, POLL_S, Suite, configured, cool, running

_SLOW = ("append", "read_back", "identity", "knows_message")  # what a step awaits of the ledger, besides its commit
_POLLS_TO_ATTAIN = 16 * 60 // POLL_S


class _Gates:
    """Holds whoever awaits the ledger until a seeded choice lets it go on, one at a time."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._held: list[asyncio.Future[None]] = []

    def gated(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held(*args: object) -> object:
            gate = asyncio.get_running_loop().create_future()
            self._held.append(gate)
            await gate
            return await call(*args)

        return held

    def grouped(self, group: Callable[[], AbstractAsyncContextManager[None]]) -> Callable[[], Any]:
        """A group of steps that waits before it begins and before it is committed."""

        @asynccontextmanager
        async def held() -> AsyncGenerator[None]:
            await self.gated(asyncio.sleep)(0)
            async with group():
                yield
                await self.gated(asyncio.sleep)(0)

        return held

    async def work(self, until: asyncio.Future[Any]) -> None:
        """Let one after the other go on until `until` is done."""
        while not until.done():
            for _ in range(self._chance.randrange(4)):
                await asyncio.sleep(0)
            if self._held:
                gate = self._held.pop(self._chance.randrange(len(self._held)))
                if not gate.done():
                    gate.set_result(None)
            else:
                await asyncio.sleep(0.0005)  # the ledger's own thread is at work


async def _delayed(chance: Random, work: Awaitable[object]) -> None:
    for _ in range(chance.randrange(12)):
        await asyncio.sleep(0)
    await work


async def _polls(suite: Suite, chance: Random, state: RunState) -> None:
    """The polls that see and confirm the end of cooling, or a pause."""
    suite.state = state
    for _ in range(3):
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
        await suite.poll(POLL_S / 60)


@pytest.mark.parametrize("seed", range(16))
async def test_no_increment_lies_beyond_the_end_of_cooling_and_none_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    configured(tmp_path)
    chance = Random(seed)
    late = chance.randrange(2)  # whether the last reading that shows cooling is that of the threshold
    async with running(tmp_path) as suite:
        await cool(suite)
        await suite.infusion_over()
        await suite.poll((_POLLS_TO_ATTAIN - 1 + late) * POLL_S / 60)
        (token,) = suite.pipeline.state.records
        gates = _Gates(chance)
        for name in _SLOW:
            monkeypatch.setattr(suite.ledger, name, gates.gated(getattr(suite.ledger, name)))
        monkeypatch.setattr(suite.ledger, "group", gates.grouped(suite.ledger.group))
        monkeypatch.setattr("gateway.recording.pipeline.TICK_S", 0.0)
        order = {"visit": "V-1", "agent_class": "hydration", "source": "mar"}
        us = suite.clock.us
        note = NoteAdded(at_us=us, known_at_us=us, token=token, person="RN", text="seen")
        minute = asyncio.create_task(suite.pipeline.run())
        others = [
            suite.send_event("m1", "infusion.started", 5, order="O-2", **order),
            suite.pipeline.record((note,)),
            suite.send_event("m2", "infusion.started", 4, order="O-3", **order),
        ]
        chance.shuffle(others)
        end = chance.choice([RunState.STOPPED, RunState.PAUSED])
        async with asyncio.timeout(HANGS_S):
            everything = asyncio.gather(_polls(suite, chance, end), *(_delayed(chance, each) for each in others))
            await gates.work(everything)
            await everything
            minute.cancel()
            await gates.work(asyncio.gather(minute, return_exceptions=True))
        assert await suite.increments() == [("emit", 1, "A")] * late
