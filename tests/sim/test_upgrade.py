"""Ledgers of the version before, opened by this one: as it left them, in the middle of a treatment, and damaged.

The dumps in tests/data/ledgers were made with that version. `story`: two sessions, a correction, a charge. `open`: cap
1 of cap-01 is cooling, 40 minutes after the infusion. `damaged`: a session of three weeks ago and, in the middle of
another treatment, a restart that forgot what the old one rested on.
"""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from drivers.reading import RunState
from gateway.audit.stream import open_snapshot, stream
from gateway.audit.verify import verify
from gateway.cli import main
from gateway.config.load import load_config
from gateway.ledger.store import open_ledger
from tests.support.old_ledgers import restored
from tests.support.pipeline import CONFIG, MINUTE_US, POLICY, FakeClock, Suite

NAMES = ("story", "open", "damaged")
ENTRIES = {"story": 230, "open": 22, "damaged": 72}
LIVE = CONFIG.replace('mode = "test"', 'mode = "live"').replace("simulated = true\n", "")
ELAPSED_S = {"story": 0, "open": 100 * 60, "damaged": 240 * 60}  # cooled by the unit's counter


def left_us(path: Path) -> int:
    """When the last entry was recorded."""
    connection = sqlite3.connect(path)
    (last_us,) = connection.execute("SELECT max(recorded_us) FROM entry").fetchone()
    connection.close()
    return last_us


@asynccontextmanager
async def upgraded(name: str, folder: Path, after_min: float = 0) -> AsyncGenerator[Suite]:
    """A gateway of this version on the ledger, begun that long after the last entry, its unit still cooling."""
    (folder / "gateway.toml").write_text(LIVE)
    (folder / "policy.toml").write_text(POLICY)
    path = restored(name, folder / "state" / "ledger.db")
    config = load_config(folder / "gateway.toml")
    clock = FakeClock()
    clock.us = left_us(path) + round(after_min * MINUTE_US)
    async with open_ledger(path, config.id, clock.now) as ledger:
        suite = Suite(config, clock, ledger)
        suite.state, suite.treatment_s = RunState.RUNNING, ELAPSED_S[name]
        await suite.start()
        yield suite


def ledger_path(folder: Path) -> Path:
    return folder / "state" / "ledger.db"


async def instants(suite: Suite) -> list[tuple[str, int, str]]:
    """What was published of increments: operation, number, and the instant of attainment."""
    return [
        (event["data"]["op"], event["data"]["index"], event["data"].get("attained_at", ""))
        for event in await suite.sent("/increment/json")
    ]


def text_of(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S")


async def test_a_session_that_was_open_goes_on_exactly(tmp_path: Path) -> None:
    async with upgraded("open", tmp_path) as suite:
        ended_us = suite.clock.us - 40 * MINUTE_US
        assert [each[:2] for each in await instants(suite)] == [("emit", 1)]
        await suite.poll(50)
        suite.state = RunState.STOPPED
        await suite.poll(2)
        published = await instants(suite)
        assert [each[:2] for each in published] == [("emit", 1), ("emit", 2), ("emit", 3)]
        assert [each[2][:19] for each in published] == [
            text_of(ended_us + minutes * MINUTE_US) for minutes in (16, 46, 76)
        ]
        await suite.send_event("p", "preparation.charted", visit="V-1", person="rn-1")
        await suite.send_event("f", "session.finalized", visit="V-1", person="rn-1")
        assert [charge["data"]["quantity"] for charge in await suite.sent("/charge/json")] == [3]
    report = verify(ledger_path(tmp_path))
    assert report.problems == ()
    assert (report.increments, report.charges) == (2, 1), "what this version made is derived again"
    assert any("entries up to 22 were counted by the rules of another version" in note for note in report.notes)


@pytest.mark.parametrize("after_min", [0, 90, 15 * 1440])
async def test_an_honest_ledger_is_sound_after_the_upgrade(tmp_path: Path, after_min: float) -> None:
    async with upgraded("story", tmp_path, after_min) as suite:
        await suite.poll(2)
        assert len([each for each in await instants(suite) if each[0] != "emit"]) == 3, "the correction's amendments"
    assert verify(ledger_path(tmp_path)).problems == ()


async def test_a_damaged_ledger_is_recognised_and_goes_on(tmp_path: Path) -> None:
    async with upgraded("damaged", tmp_path) as suite:
        before = await instants(suite)
        await suite.start()
        assert await instants(suite) == before, "a start publishes nothing that takes back"
    problems = verify(ledger_path(tmp_path)).problems
    assert [(each.area, each.seq) for each in problems] == [("increment", seq) for seq in (62, 63, 66, 67)]
    assert all("an earlier version lost facts in a restart" in each.text for each in problems)


async def test_a_damaged_ledger_gets_no_further_problems(tmp_path: Path) -> None:
    async with upgraded("damaged", tmp_path) as suite:
        await suite.poll(40)
        suite.state = RunState.STOPPED
        await suite.poll(60)
    assert [each.seq for each in verify(ledger_path(tmp_path)).problems] == [62, 63, 66, 67]


@pytest.mark.parametrize("name", NAMES)
async def test_every_session_is_shown_exported_and_reconciled(tmp_path: Path, name: str) -> None:
    async with upgraded(name, tmp_path):
        pass
    path = ledger_path(tmp_path)
    with open_snapshot(path) as connection:
        tokens = {entry.session for entry in stream(connection) if entry.session}
    for token in tokens:
        shown = CliRunner().invoke(main, ["ledger", "show", str(path), token, "--json"])
        assert shown.exit_code == 0, shown.output
        exported = CliRunner().invoke(main, ["ledger", "export", str(path), token, "--out", str(tmp_path / "out")])
        assert exported.exit_code == 0, exported.output
    days = ["--from", "2026-01-01", "--to", "2026-12-31"]
    found = CliRunner().invoke(main, ["ledger", "reconcile", str(path), *days, "--json"])
    content = json.loads(found.output)
    assert (found.exit_code, content["remainder"]) == (0, 0)
    assert {each["session"] for each in content["sessions"]} == tokens


@pytest.mark.requirement("REQ-RECORD-7")
@pytest.mark.parametrize("name", NAMES)
async def test_no_entry_or_message_is_lost(tmp_path: Path, name: str) -> None:
    query = "SELECT {} FROM {} ORDER BY 1"
    before = sqlite3.connect(restored(name, tmp_path / "before.db"))
    async with upgraded(name, tmp_path):
        pass
    after = sqlite3.connect(ledger_path(tmp_path))
    for table in ("entry", "outbox", "identity", "checkpoint", "delivery"):
        columns = ", ".join(name for _, name, *_ in before.execute(f"PRAGMA table_info({table})"))
        rows = before.execute(query.format(columns, table)).fetchall()
        assert after.execute(query.format(columns, table)).fetchmany(len(rows)) == rows, table
    assert (tmp_path / "state" / "ledger.db.before-m0005_index").exists()
    before.close()
    after.close()
