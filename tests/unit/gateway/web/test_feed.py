"""The board's feed: what a viewer gets, and what viewers cost."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from gateway.control.board import BoardAnswer, ChairState, ChairView
from gateway.control.requests import Board
from gateway.web import feed as feed_module
from gateway.web.feed import MAX_VIEWERS, BoardFeed

CHAIR = ChairView(
    chair="c01", unit="cap-01", cap=1, state=ChairState.FREE, fault=None, alarms=(), observed_at=None,
    stale_after_s=90.0, cap_c=None, coolant_c=None, connected=None, session=None,
)  # fmt: skip


class Boards:
    """A board that a test changes, and how often it was asked for."""

    def __init__(self) -> None:
        self.chairs = {name: msgspec.structs.replace(CHAIR, chair=name) for name in ("c01", "c02")}
        self.todo = 0
        self.asked = 0

    def warm(self, name: str, celsius: float) -> None:
        self.chairs[name] = msgspec.structs.replace(self.chairs[name], cap_c=celsius)

    async def ask(self, request: Board) -> BoardAnswer:
        self.asked += 1
        return BoardAnswer(
            gateway="gw-01", mode="test", now="2026-11-29T10:00:00Z", speed=1.0, time_zone="UTC", todo=self.todo,
            chairs=tuple(self.chairs.values()), trends={} if request.trends else None,
        )  # fmt: skip


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> Boards:
    monkeypatch.setattr(feed_module, "PERIOD_S", 0.01)
    return Boards()


@pytest_asyncio.fixture
async def feed(boards: Boards) -> AsyncIterator[BoardFeed]:
    running = BoardFeed(boards.ask)
    task = asyncio.create_task(running.run())
    yield running
    task.cancel()
    await asyncio.wait([task])


def said(event: bytes) -> dict[str, Any]:
    (data,) = [line for line in event.decode().splitlines() if line.startswith("data: ")]
    return json.loads(data.removeprefix("data: "))


async def next_of(events: AsyncGenerator[bytes]) -> dict[str, Any]:
    async with asyncio.timeout(10):
        return said(await anext(events))


async def joined(feed: BoardFeed) -> AsyncGenerator[bytes]:
    """A viewer that has the whole board and the first news, which repeats it."""
    events = feed.events(lambda: True)
    assert [each["chair"] for each in (await next_of(events))["chairs"]] == ["c01", "c02"]
    await next_of(events)
    return events


async def test_a_viewer_gets_everything_and_then_what_changed(boards: Boards, feed: BoardFeed) -> None:
    events = await joined(feed)
    boards.warm("c02", 4.0)
    news = await next_of(events)
    assert [(each["chair"], each["cap_c"]) for each in news["chairs"]] == [("c02", 4.0)]
    await events.aclose()


async def test_the_count_of_what_waits_goes_to_every_screen(boards: Boards, feed: BoardFeed) -> None:
    events = await joined(feed)
    boards.todo = 3
    assert await next_of(events) == {"tick": {"now": "2026-11-29T10:00:00Z", "todo": 3}, "chairs": []}
    await events.aclose()


async def test_silence_is_broken_by_a_heartbeat(
    boards: Boards, feed: BoardFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "HEARTBEAT_S", 0.03)
    events = await joined(feed)
    assert (await next_of(events))["chairs"] == []
    await events.aclose()


async def test_a_slow_viewer_gets_the_latest_of_each_chair_once(boards: Boards, feed: BoardFeed) -> None:
    slow, quick = await joined(feed), await joined(feed)
    for celsius in (5.0, 4.0, 3.0):
        boards.warm("c01", celsius)
        while (await next_of(quick))["chairs"] == []:
            pass
    assert [(each["chair"], each["cap_c"]) for each in (await next_of(slow))["chairs"]] == [("c01", 3.0)]
    await slow.aclose()
    await quick.aclose()


async def test_one_computation_serves_all_and_none_is_made_for_nobody(boards: Boards, feed: BoardFeed) -> None:
    await asyncio.sleep(0.1)
    assert boards.asked == 0
    viewers = [await joined(feed) for _ in range(5)]
    before = boards.asked
    boards.warm("c01", 1.0)
    for viewer in viewers:
        await next_of(viewer)
    assert boards.asked - before <= 3, "not one a viewer"
    for viewer in viewers:
        await viewer.aclose()
    await asyncio.sleep(0.1)
    asked = boards.asked
    await asyncio.sleep(0.1)
    assert boards.asked == asked


async def test_no_more_viewers_than_are_allowed(boards: Boards, feed: BoardFeed) -> None:
    viewers = [feed.events(lambda: True) for _ in range(MAX_VIEWERS)]
    for viewer in viewers:
        assert not feed.full
        await anext(viewer)
    assert feed.full
    for viewer in viewers:
        await viewer.aclose()
    assert not feed.full
