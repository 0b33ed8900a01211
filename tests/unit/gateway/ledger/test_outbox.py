"""The outbox: what waits, what no longer waits, and who is woken."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ledger.batch import Attempt, Backlog, Batch, OutboxMessage
from gateway.ledger.entry import EntryKind, append
from gateway.ledger.opening import connect_file
from gateway.ledger.store import Ledger, open_ledger
from gateway.runtime.clock import SystemClock


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path / "ledger.db", "gw-1", SystemClock().now) as opened:
        yield opened


async def publish(ledger: Ledger, count: int, at_us: int = 0) -> None:
    entry, head = append(ledger.head, at_us, EntryKind.STATUS, "", "{}")
    messages = tuple(OutboxMessage(entry.seq, f"{entry.seq}-{n}", "t", b"x", True, "") for n in range(count))
    await ledger.commit(Batch((entry,), messages, (), head))


async def waiting(ledger: Ledger, after: int = 0, limit: int = 100) -> list[int]:
    return [row.outbox_id for row in await ledger.outbox.pending(after, limit)]


async def test_rows_wait_in_the_order_of_their_commit_until_delivered(ledger: Ledger) -> None:
    await publish(ledger, 3)
    await publish(ledger, 2)
    assert await waiting(ledger) == [1, 2, 3, 4, 5]
    assert await waiting(ledger, after=2, limit=2) == [3, 4]
    await ledger.outbox.mark([Attempt(1, 10, 0, True), Attempt(2, 11, 0x97, False), Attempt(4, 12, 0x10, True)])
    assert await waiting(ledger) == [2, 3, 5]
    await ledger.outbox.mark([Attempt(2, 13, 0, True), Attempt(2, 14, 0, True)])
    await ledger.outbox.mark([])
    assert await waiting(ledger) == [3, 5]


async def test_the_backlog_tells_how_many_wait_and_since_when(ledger: Ledger) -> None:
    assert await ledger.outbox.backlog() == Backlog(0, None)
    await publish(ledger, 1, at_us=500)
    await publish(ledger, 2, at_us=700)
    assert await ledger.outbox.backlog() == Backlog(3, 500)
    await ledger.outbox.mark([Attempt(1, 0, 0, True), Attempt(2, 0, 0x97, False)])
    assert await ledger.outbox.backlog() == Backlog(2, 700)


async def test_who_waits_for_rows_is_woken_by_a_commit_that_adds_some(ledger: Ledger) -> None:
    assert await waiting(ledger) == []
    async with asyncio.TaskGroup() as tasks:
        relay = tasks.create_task(ledger.outbox.wait_for_rows())
        await publish(ledger, 0)
        await waiting(ledger)
        assert not relay.done(), "woken by a commit without messages"
        await publish(ledger, 1)
        async with asyncio.timeout(5):
            await relay
    assert await waiting(ledger) == [1]


async def test_rows_committed_before_or_while_pending_reads_are_not_slept_through(ledger: Ledger) -> None:
    async with asyncio.timeout(5):
        await ledger.outbox.wait_for_rows()  # nobody has looked yet
        async with asyncio.TaskGroup() as tasks:
            look = tasks.create_task(waiting(ledger))
            tasks.create_task(publish(ledger, 1))
        assert look.result() == []
        await ledger.outbox.wait_for_rows()
        assert await waiting(ledger) == [1]
        await ledger.outbox.wait_for_rows()  # the last look found some


async def test_the_queue_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "again" / "ledger.db"
    async with open_ledger(path, "gw-1", SystemClock().now) as ledger:
        await publish(ledger, 2)
        await ledger.outbox.mark([Attempt(1, 0, 0, True)])
    async with open_ledger(path, "gw-1", SystemClock().now) as ledger:
        assert await waiting(ledger) == [2]


async def test_finding_work_costs_the_same_behind_many_delivered_rows(tmp_path: Path) -> None:
    steps = 0

    def counted(path: Path) -> sqlite3.Connection:
        connection = connect_file(path)

        def step() -> None:
            nonlocal steps
            steps += 1

        connection.set_progress_handler(step, 1)  # with each instruction of SQLite's machine
        return connection

    async def work_behind(delivered: int) -> int:
        path = tmp_path / str(delivered) / "ledger.db"
        async with open_ledger(path, "gw-1", SystemClock().now, counted) as ledger:
            await publish(ledger, delivered + 1)
            await ledger.outbox.mark([Attempt(n, 0, 0, True) for n in range(1, delivered + 1)])
            before = steps
            assert await waiting(ledger) == [delivered + 1]
            return steps - before

    assert 0 < await work_behind(2_000) <= await work_behind(20)
