"""R14. The power goes at any operation of the ledger's own SQL; the disk then holds any part of what was not synced.

Two controls prove that the disk does lose things: with `synchronous = NORMAL`, and with a disk that lies about its
syncs, acknowledged commits must be lost.
"""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import cast

import apsw
import pytest

from gateway.audit.verify import verify
from gateway.ledger import reads, writes
from gateway.ledger.batch import Attempt, Batch
from gateway.ledger.opening import configure, connect_file, open_or_replace
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.crash.ledger_audit import audit
from tests.crash.ledger_writer import GATEWAY, numbered_batch
from tests.crash.losing_disk import LosingDisk
from tests.scorecard.repeats import repeats
from tests.unit.gateway.ledger.ledger_story import Story, record_story

SEEDS = repeats(250)
BATCHES = 20
SESSION_SEEDS = repeats(60)
CONTROL_SEEDS = 60


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """Makes copies of a ledger that was just begun, each replacing the one before."""

    async def begin(path: Path) -> None:
        async with open_ledger(path, GATEWAY, SystemClock().now):
            pass

    template = tmp_path / "template" / "ledger.db"
    asyncio.run(begin(template))

    def copy() -> Path:
        directory = tmp_path / "cut"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return Path(shutil.copy(template, directory))

    return copy


def write_until_the_power_goes(path: Path, disk: LosingDisk, name: str, synchronous: str) -> list[int]:
    """Commits batches on `disk`; the last seq of each commit that returned."""
    acknowledged: list[int] = []
    # The ledger's statements use no more of a connection than the two libraries have in common.
    connection = cast(sqlite3.Connection, apsw.Connection(str(path), vfs=name))
    with suppress(apsw.IOError), closing(connection):
        configure(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}").fetchall()
        connection.execute("PRAGMA wal_autocheckpoint = 40").fetchall()
        origin = reads.origin(connection)
        assert origin is not None
        for number in range(BATCHES):
            batch = numbered_batch(reads.head(connection, origin))
            acknowledged.append(writes.append_batch(connection, origin, batch).seq)
            if number % 4 == 3:
                (oldest,) = reads.waiting(connection, 0, 1)
                writes.append_attempts(connection, [Attempt(oldest.outbox_id, 0, 0, delivered=True)])
    return acknowledged


def cut(path: Path, seed: int, operations: int, synchronous: str, *, lies: bool = False) -> list[int]:
    """One power cut at a seeded moment; what was acknowledged before it. The disk's files are left as they may be."""
    chance = random.Random(seed)
    disk = LosingDisk(f"disk-{seed}", chance.randrange(1, operations), lies=lies)
    try:
        acknowledged = write_until_the_power_goes(path, disk, f"disk-{seed}", synchronous)
    finally:
        disk.unregister()
    disk.settle(chance)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)  # shared memory: gone with the power
    return acknowledged


def operations_of_a_whole_run(path: Path, synchronous: str) -> int:
    """How many operations there are to cut at."""
    disk = LosingDisk("disk-whole", 0)
    try:
        assert len(write_until_the_power_goes(path, disk, "disk-whole", synchronous)) == BATCHES
    finally:
        disk.unregister()
    return disk.operations


@pytest.mark.requirement("REQ-RECORD-2")
def test_a_power_cut_loses_nothing_acknowledged(fresh: Callable[[], Path]) -> None:
    operations = operations_of_a_whole_run(fresh(), "FULL")
    counts: set[int] = set()
    for seed in range(SEEDS):
        path = fresh()
        acknowledged = cut(path, seed, operations, "FULL")
        opened = open_or_replace(path, GATEWAY, SystemClock().now, connect_file)
        opened.connection.close()
        assert opened.set_aside is None, f"seed {seed}: taken for damaged"
        found = audit(path, acknowledged)
        assert found - max(acknowledged, default=0) in (0, 3), f"seed {seed}"
        counts.add(len(acknowledged))
    assert counts >= set(range(BATCHES)), "some commits were never cut"


class Recording:
    """A ledger on `connection` that remembers what it acknowledged."""

    signed_seq = 0
    policies: frozenset[str] = frozenset()

    def __init__(self, connection: sqlite3.Connection) -> None:
        origin = reads.origin(connection)
        assert origin is not None
        self._connection, self._origin = connection, origin
        self.salt = origin.salt
        self.head = reads.head(connection, origin)
        self.acknowledged = 0

    async def commit(self, batch: Batch) -> None:
        """Commits as the ledger's own thread does."""
        self.head = writes.append_batch(self._connection, self._origin, batch)
        self.acknowledged = self.head.seq


def record_until_the_power_fails(path: Path, name: str, cut_at: int) -> tuple[LosingDisk, int]:
    """Two sessions from tracker to disk; the disk, and the last entry of each commit that returned."""
    disk = LosingDisk(name, cut_at)
    acknowledged = 0
    try:
        connection = cast(sqlite3.Connection, apsw.Connection(str(path), vfs=name))
        with suppress(apsw.IOError), closing(connection):
            configure(connection)
            connection.execute("PRAGMA wal_autocheckpoint = 40").fetchall()
            recording = Recording(connection)
            try:
                asyncio.run(record_story(Story(recording, path.parent)))
            finally:
                acknowledged = recording.acknowledged
    finally:
        disk.unregister()
    return disk, acknowledged


def test_a_power_cut_in_a_session_leaves_a_ledger_that_proves_itself(fresh: Callable[[], Path]) -> None:
    """What is left is sound: every increment and charge on the disk follows from the facts beside it."""
    disk, entries = record_until_the_power_fails(fresh(), "session-whole", 0)
    seen: set[int] = set()
    for seed in range(SESSION_SEEDS):
        chance = random.Random(seed)
        path = fresh()
        cut_disk, acknowledged = record_until_the_power_fails(
            path, f"session-{seed}", chance.randrange(1, disk.operations)
        )
        cut_disk.settle(chance)
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        opened = open_or_replace(path, GATEWAY, SystemClock().now, connect_file)
        opened.connection.close()
        assert opened.set_aside is None, f"seed {seed}: taken for damaged"
        report = verify(path)
        assert report.problems == (), f"seed {seed}"
        assert acknowledged <= report.entries <= entries, f"seed {seed}: acknowledged and lost"
        seen.add(acknowledged)
    assert len(seen) > min(SESSION_SEEDS, 60) // 3, "hardly any commit was cut"


def test_with_less_syncing_the_same_cuts_do_lose_acknowledged_commits(fresh: Callable[[], Path]) -> None:
    operations = operations_of_a_whole_run(fresh(), "NORMAL")
    lost = 0
    for seed in range(CONTROL_SEEDS):
        path = fresh()
        acknowledged = cut(path, seed, operations, "NORMAL")
        lost += audit(path, []) < max(acknowledged, default=0)
    assert lost > CONTROL_SEEDS // 6, "a disk that loses nothing proves nothing"


def test_on_a_disk_that_lies_about_its_syncs_acknowledged_commits_are_lost(fresh: Callable[[], Path]) -> None:
    operations = operations_of_a_whole_run(fresh(), "FULL")
    lost = 0
    for seed in range(CONTROL_SEEDS):
        path = fresh()
        acknowledged = cut(path, seed, operations, "FULL", lies=True)
        try:
            lost += audit(path, []) < max(acknowledged, default=0)
        except (AssertionError, sqlite3.DatabaseError):
            lost += 1  # what is left is no ledger any more
    assert lost > CONTROL_SEEDS // 2, "a disk that loses nothing proves nothing"
