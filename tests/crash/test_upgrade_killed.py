"""A gateway is killed at the writes by which it brings the ledger of the version before to the present form."""

import asyncio
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from gateway.ledger.store import open_ledger
from gateway.runtime.clock import SystemClock
from tests.crash.strace import KILLED, strace
from tests.support import suite
from tests.support.old_ledgers import restored

WRITER = str(Path(__file__).with_name("upgrade_writer.py"))
KILLS = 20
ENTRIES = 23  # with the one by which the upgrade seals what lies beside the chain

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


TABLES = ("origin", "entry", "outbox", "attempt", "waiting", "identity", "checkpoint", "delivery")


def columns_of(path: Path) -> dict[str, str]:
    """By table the columns that it has."""
    connection = sqlite3.connect(path)
    names = {table: [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")] for table in TABLES}
    connection.close()
    return {table: ", ".join(columns) for table, columns in names.items()}


def rows_of(path: Path, columns: dict[str, str]) -> dict[str, list[tuple[object, ...]]]:
    """All that must not be lost: what stands in the columns that there were before."""
    connection = sqlite3.connect(path)
    rows = {of: connection.execute(f"SELECT {names} FROM {of} ORDER BY 1").fetchall() for of, names in columns.items()}
    connection.close()
    return rows


def assert_kept(path: Path, columns: dict[str, str], before: dict[str, list[tuple[object, ...]]]) -> None:
    """Every row is as it was, and there is none more but the entry of the seals, which is the last."""
    now = rows_of(path, columns)
    sealed = now["entry"][len(before["entry"]) :]
    assert now | {"entry": now["entry"][: len(before["entry"])]} == before
    assert len(sealed) <= 1
    assert all('{"sealed"' in str(row) for row in sealed)


async def head_seq(path: Path) -> int:
    async with open_ledger(path, "gw-01", SystemClock().now) as ledger:
        assert ledger.set_aside is None, "a killed upgrade is no damage"
        return ledger.head.seq


def killed_at(number: int, directory: Path) -> None:
    """Kills the upgrade at its `number`-th write; what is left must open, whole."""
    path = restored("open", directory / "ledger.db")
    columns = columns_of(path)
    before = rows_of(path, columns)
    command = [*strace("-o", "/dev/null", "-e", f"inject=pwrite64:signal=KILL:when={number}"), sys.executable, WRITER]
    run = subprocess.run([*command, path], stdout=subprocess.PIPE, check=False)
    assert run.returncode == KILLED, f"write {number} did not happen"
    assert_kept(path, columns, before)
    assert asyncio.run(head_seq(path)) == ENTRIES
    assert_kept(path, columns, before)
    assert verify(path).problems == ()


@pytest.mark.requirement("REQ-RECORD-7")
def test_killed_at_its_writes_an_upgrade_loses_nothing(tmp_path: Path) -> None:
    suite.environment_has("strace")
    trace = tmp_path / "trace"
    path = restored("open", tmp_path / "whole" / "ledger.db")
    run = subprocess.run(
        [*strace("-o", str(trace)), sys.executable, WRITER, path], stdout=subprocess.PIPE, text=True, check=True
    )
    assert run.stdout == f"{ENTRIES}\n"
    writes = sum("pwrite64(" in line for line in trace.read_text().splitlines())
    numbers = range(1, writes + 1, max(1, writes // KILLS) | 1)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(killed_at, numbers, [tmp_path / str(number) for number in numbers]))
