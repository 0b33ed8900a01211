"""Pushes the suite's board to every screen: one computation for all, and only what changed goes out.

Theory of operation. While anybody looks, the board is asked for each PERIOD_S, and each chair that differs from the
last time is encoded once. A viewer has room for one waiting message a chair, so that a browser that reads slowly gets
the latest and costs no memory; one that reads nothing is dropped by the server underneath. A viewer that comes, or
comes back, gets everything anew. At least each HEARTBEAT_S something is sent, so that silence means a lost connection.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import msgspec

from gateway.control.board import BoardAnswer, ChairView
from gateway.control.requests import Board

PERIOD_S = 1.0
HEARTBEAT_S = 4.0
MAX_VIEWERS = 40
_RETRY = b"retry: 1000\n\n"

AskBoard = Callable[[Board], Awaitable[BoardAnswer]]


class Tick(msgspec.Struct, frozen=True):
    """What every message says beside the chairs that changed."""

    now: str
    todo: int


class Viewer:
    """What waits for one browser."""

    def __init__(self) -> None:
        self._chairs: dict[str, msgspec.Raw] = {}
        self._tick: Tick | None = None
        self._news = asyncio.Event()

    def put(self, tick: Tick, chairs: dict[str, msgspec.Raw]) -> None:
        """Replace what waits by what is newer."""
        self._tick = tick
        self._chairs.update(chairs)
        self._news.set()

    async def take(self) -> bytes:
        """All that waits, as one event; waits for something to come."""
        await self._news.wait()
        self._news.clear()
        chairs, self._chairs = self._chairs, {}
        return event(_Change(self._tick, list(chairs.values())))


class _Change(msgspec.Struct, frozen=True):
    tick: Tick | None
    chairs: list[msgspec.Raw]


class BoardFeed:
    """The board for all screens."""

    def __init__(self, ask: AskBoard) -> None:
        self._ask = ask
        self._viewers: set[Viewer] = set()
        self._joined = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no further viewer is taken."""
        return len(self._viewers) >= MAX_VIEWERS

    async def run(self) -> None:
        """Push what changes until cancelled; nothing is computed while nobody looks. Raises LedgerError."""
        while True:  # ends with the task
            await self._joined.wait()
            await self._while_viewed()

    async def events(self, may_look: Callable[[], bool]) -> AsyncGenerator[bytes]:
        """The events for one browser, until it goes or may look no longer."""
        viewer = Viewer()
        self._viewers.add(viewer)
        self._joined.set()
        try:
            yield _RETRY + event(await self._ask(Board(request="board", trends=True)))
            while True:  # ends with the connection
                news = await viewer.take()
                if not may_look():
                    return
                yield news
        finally:
            self._viewers.discard(viewer)

    async def _while_viewed(self) -> None:
        shown: dict[str, ChairView] = {}
        loop = asyncio.get_running_loop()
        sent_s, todo = 0.0, -1
        while self._viewers:
            board = await self._ask(Board(request="board"))
            changed = {each.chair: each for each in board.chairs if shown.get(each.chair) != each}
            shown.update(changed)
            if changed or board.todo != todo or loop.time() - sent_s >= HEARTBEAT_S:
                sent_s, todo = loop.time(), board.todo
                encoded = {chair: msgspec.Raw(msgspec.json.encode(view)) for chair, view in changed.items()}
                for viewer in self._viewers:
                    viewer.put(Tick(board.now, board.todo), encoded)
            await asyncio.sleep(PERIOD_S)
        self._joined.clear()


def event(message: msgspec.Struct) -> bytes:
    """One event of the stream."""
    return b"data: " + msgspec.json.encode(message) + b"\n\n"
