"""`capgate ledger restore` and `roll-back` killed at their writes and said again; what comes of it, opened."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.ledger import schema
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.crash.strace import KILLED
from tests.support import suite
from tests.support.old_ledgers import restored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STRACE = ("strace", "-f", "-qq")
CALLS = ("pwrite64", "fdatasync", "fsync", "rename", "unlink")
Prepare = Callable[[Path], list[str]]


def a_copy(folder: Path) -> list[str]:
    """A new box with a copy of its ledger; the arguments that restore it."""
    copy = restored("open", folder / "copy.db")
    (folder / "state").mkdir()
    return ["restore", str(copy), str(folder / "state" / "ledger.db")]


def a_later_versions(folder: Path) -> list[str]:
    """A ledger that a later version has left, with a log; the arguments that roll it back."""
    path = restored("open", folder / "state" / "ledger.db")
    asyncio.run(opened(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        row = (schema.MIGRATIONS.name, "m9999_of_a_later_version")
        connection.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, '')", row)
    return ["roll-back", str(path)]


async def opened(path: Path) -> tuple[str, str | None]:
    """Open and close it: its epoch, and what it succeeded."""
    async with open_ledger(path, "gw-01", SystemClock().now) as ledger:
        return ledger.head.epoch, None if ledger.set_aside is None else ledger.set_aside.name


def entries_of(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT kind, body FROM entry ORDER BY seq").fetchall()


def said(arguments: list[str], *tracer: str) -> subprocess.CompletedProcess[str]:
    command = [*tracer, sys.executable, "-m", "gateway", "ledger", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("prepare", [a_copy, a_later_versions])
def test_killed_at_its_writes_and_said_again_nothing_is_lost(tmp_path: Path, prepare: Prepare) -> None:
    suite.environment_has("strace")
    folder = tmp_path / "whole"
    folder.mkdir()
    trace = tmp_path / "trace"
    whole = said(prepare(folder), *STRACE, "-o", str(trace), "-e", f"trace={','.join(CALLS)}")
    assert whole.returncode == 0, whole.stderr
    made = re.findall(rf"^\d+ +({'|'.join(CALLS)})\(", trace.read_text(), re.MULTILINE)
    moments = [(call, made.count(call)) for call in CALLS if call in made]  # the last of each
    assert len(moments) > 2
    for call, nth in moments:
        folder = tmp_path / f"{call}-{nth}"
        folder.mkdir()
        arguments = prepare(folder)
        source = Path(arguments[1])
        before = entries_of(source)
        kill = ["-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}"]
        assert said(arguments, *STRACE, *kill).returncode == KILLED, (call, nth)
        again = said(arguments)
        assert again.returncode == 0 or not source.exists(), again.stderr  # the rename did it
        path = folder / "state" / "ledger.db"
        _, succeeded = asyncio.run(opened(path))
        assert succeeded is not None, (call, nth)
        assert entries_of(path)[: len(before)] == before, (call, nth)
