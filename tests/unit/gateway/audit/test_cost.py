"""What is asked of one session or one day costs the same however large the ledger is."""

import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from gateway.audit.export import gather, session_content
from gateway.audit.listing import listed_days
from gateway.audit.stream import open_snapshot
from tests.bench.long_ledger import Size, write_ledger

SIZES = (4_000, 16_000)
SESSION, DAY = "T00000025", date(2026, 3, 11)  # of the second day
STEP = 10  # instructions of SQLite's machine that are counted as one


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = [tmp_path_factory.mktemp("ledgers") / f"{size}" / "ledger.db" for size in SIZES]
    for path, size in zip(paths, SIZES, strict=True):
        write_ledger(path, Size(size))
    return paths


def show(connection: sqlite3.Connection) -> object:
    return session_content(gather(connection, SESSION, identify=False))


def reconcile(connection: sqlite3.Connection) -> object:
    return listed_days(connection, DAY, DAY, identify=True).rows


@pytest.mark.parametrize("ask", [show, reconcile])
def test_an_answer_costs_the_same_in_a_ledger_four_times_as_large(
    ledgers: list[Path], ask: Callable[[sqlite3.Connection], object]
) -> None:
    costs: list[int] = []
    for path in ledgers:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        with open_snapshot(path) as connection:
            connection.set_progress_handler(count, STEP)
            assert ask(connection)
        costs.append(steps)
    assert costs[0] > 0
    assert costs[1] <= 1.2 * costs[0], costs
