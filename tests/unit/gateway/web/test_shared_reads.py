"""Screens that ask without end: the same answer for all, one at a time, and nobody who signed in waits for them."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.web import shared_reads as module
from gateway.web.ledger_thread import LedgerThread
from gateway.web.shared_reads import KEPT_S, MOST_KEPT, MOST_WAITING, PAUSE, SharedReads


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Work:
    """What is made of the ledger, in order; each waits until `go` lets it."""

    def __init__(self, clock: Clock | None = None, takes_s: float = 0.0) -> None:
        self.made: list[str] = []
        self.go = threading.Event()
        self._clock = clock
        self._takes_s = takes_s

    def of(self, name: str) -> Callable[[Path], str]:
        def make(_: Path) -> str:
            self.made.append(name)
            assert self.go.wait(60)
            if self._clock:
                self._clock.now_s += self._takes_s
            return name

        return make


@pytest.fixture
def thread(tmp_path: Path) -> LedgerThread:
    return LedgerThread(tmp_path / "ledger.db")


async def begun(work: Work) -> None:
    async with asyncio.timeout(60):
        while not work.made:
            await asyncio.sleep(0.001)


async def test_all_screens_that_ask_the_same_share_one_answer(thread: LedgerThread) -> None:
    reads, work = SharedReads[str](thread, Clock()), Work()
    asking = [asyncio.create_task(reads.read("march", work.of("march"))) for _ in range(MOST_WAITING)]
    await begun(work)
    work.go.set()
    assert await asyncio.gather(*asking) == ["march"] * MOST_WAITING
    assert await reads.read("march", work.of("march")) == "march"
    assert work.made == ["march"]
    thread.close()


async def test_after_some_seconds_it_is_made_anew(thread: LedgerThread) -> None:
    clock, work = Clock(), Work()
    reads = SharedReads[str](thread, clock)
    work.go.set()
    await reads.read("march", work.of("march"))
    clock.now_s += KEPT_S + 1
    await reads.read("march", work.of("march"))
    assert work.made == ["march"] * 2
    thread.close()


async def test_few_answers_are_kept(thread: LedgerThread) -> None:
    reads, work = SharedReads[str](thread, Clock()), Work()
    work.go.set()
    for name in ("first", *map(str, range(MOST_KEPT)), "first"):
        await reads.read(name, work.of(name))
    assert work.made.count("first") == 2
    thread.close()


async def test_one_too_many_is_told_at_once_and_who_signed_in_waits_for_one_alone(thread: LedgerThread) -> None:
    reads, work = SharedReads[str](thread, Clock()), Work()
    screens = [asyncio.create_task(reads.read(each, work.of(f"screen {each}"))) for each in range(MOST_WAITING)]
    await begun(work)
    assert await reads.read("one more", work.of("one more")) is None
    person = asyncio.create_task(thread.read(work.of("person")))
    await asyncio.sleep(0)
    work.go.set()
    assert await person == "person"
    await asyncio.gather(*screens)
    assert work.made[:2] == ["screen 0", "person"]
    assert len(work.made) == MOST_WAITING + 1
    thread.close()


async def test_a_pause_follows_each_that_is_as_long_as_it_took_three_times(
    thread: LedgerThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    paused: list[float] = []

    async def pause(pause_s: float) -> None:
        paused.append(max(pause_s, 0.0))
        clock.now_s += max(pause_s, 0.0)

    work = Work(clock, takes_s=2.0)
    work.go.set()
    monkeypatch.setattr(module.asyncio, "sleep", pause)
    reads = SharedReads[str](thread, clock)
    for each in range(3):
        await reads.read(each, work.of(f"{each}"))
    assert paused == [0.0, PAUSE * 2.0, PAUSE * 2.0]
    thread.close()
