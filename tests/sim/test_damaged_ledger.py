"""A ledger that is damaged in the middle of a session: what it still proves is carried over, and nothing is doubled."""

import re
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from drivers.reading import RunState
from gateway.audit.report import AuditReport
from gateway.audit.verify import verify
from gateway.config.load import load_config
from gateway.ledger.batch import Attempt, OutboxRow
from gateway.ledger.store import open_ledger
from gateway.session.fact_types import WorkKind
from gateway.session.facts import HoldLifted
from gateway.session.outcome import SessionRecord
from tests.support.pipeline import FakeClock, Suite, cool
from tests.support.signing import signed

PAGE = 4096

Damage = Callable[[Path], None]


@asynccontextmanager
async def running(folder: Path, suite: Suite | None = None) -> AsyncGenerator[Suite]:
    """A gateway, or one that goes on with the clock and the units of `suite`."""
    config = load_config(folder / "gateway.toml")
    clock = suite.clock if suite else FakeClock()
    async with open_ledger(folder / "state" / "ledger.db", config.id, clock.now) as ledger:
        suite = suite or Suite(config, clock, ledger)
        suite.ledger = ledger
        await suite.start()
        yield suite


def ledger_of(folder: Path) -> Path:
    return folder / "state" / "ledger.db"


def spoil(ledger: Path, page: int) -> None:
    """Overwrite a page, the first being 1."""
    content = bytearray(ledger.read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = b"\xa5" * PAGE
    ledger.write_bytes(content)


def index_page(ledger: Path) -> None:
    """The root of an index: every entry can still be read."""
    with closing(sqlite3.connect(ledger)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'entry_by_time'"
        (page,) = connection.execute(query).fetchone()
    spoil(ledger, page)


def page_of_entry(ledger: Path, where: str) -> int:
    """The page on which the first entry ends that `where` selects."""
    with closing(sqlite3.connect(ledger)) as connection:
        (own_hash,) = connection.execute(f"SELECT hash FROM entry WHERE {where} ORDER BY seq LIMIT 1").fetchone()
    found = re.search(own_hash.encode(), ledger.read_bytes())
    assert found is not None
    return found.start() // PAGE + 1


def recorded(ledger: Path) -> dict[int, int]:
    """When each entry was recorded, by number."""
    with closing(sqlite3.connect(ledger)) as connection:
        return dict(connection.execute("SELECT seq, recorded_us FROM entry"))


def lost_first(ledger: Path) -> int:
    """The number of the first entry for which a mark stands."""
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute("""SELECT min(seq) FROM entry WHERE body = '{"lost":true}'""").fetchone()[0]


async def rows_of(suite: Suite) -> dict[str, OutboxRow]:
    return {row.event_id: row for row in await suite.ledger.outbox.pending(0, 100_000)}


async def two_sessions(folder: Path) -> tuple[Suite, dict[str, OutboxRow]]:
    """One that is charged, its charge waiting, and one that is under way with one increment."""
    async with running(folder) as suite:
        await signed(suite)
        await suite.poll(60)
        suite.treatment_s = 0
        await cool(suite)
        place = {"unit": "cap-01", "cap": 1, "visit": "V-2"}
        await suite.send_event("b2", "association.bound", 60, validated=True, asserted_by="scan", **place)
        order = {"visit": "V-2", "order": "O-2", "agent_class": "chemo", "source": "mar"}
        await suite.send_event("s2", "infusion.started", 50, **order)
        await suite.send_event("e2", "infusion.completed", 0, final=True, **order)
        await suite.poll(17)
        return suite, await rows_of(suite)


def content(row: OutboxRow) -> tuple[str, bytes, bool]:
    return row.topic, row.payload, row.retain


def under_way(suite: Suite) -> SessionRecord:
    (record,) = (each for each in suite.pipeline.state.records.values() if each.open)
    return record


async def test_a_session_goes_on_under_its_token_and_what_waited_is_sent_as_it_was(folder: Path) -> None:
    suite, before = await two_sessions(folder)
    token = under_way(suite).token
    index_page(ledger_of(folder))
    async with running(folder, suite):
        assert suite.ledger.set_aside is not None
        assert under_way(suite).token == token
        after = await rows_of(suite)
        unnumbered = {name: (row.topic, row.payload, row.retain) for name, row in before.items()}
        assert {
            name: (row.topic, row.payload, row.retain) for name, row in after.items() if name in before
        } == unnumbered
        assert [name for name in after if name.startswith(token) and name not in before] == []
        items = [item.raised for item in suite.pipeline.state.work if item.raised.what is WorkKind.LEDGER_DAMAGED]
        assert [(item.order, item.cap) for item in items] == [(token, under_way(suite).cap)]
        await suite.poll(45)
        emitted = [event["id"] for event in await suite.sent("/increment/json") if event["data"]["session"] == token]
        assert emitted == [f"{token}01A", f"{token}02A"]
        suite.state = RunState.STOPPED
        await suite.poll(2)
        await suite.send_event("p2", "preparation.charted", visit="V-2", person="rn-1")
        await suite.send_event("f2", "session.finalized", visit="V-2", person="rn-1")
        assert [event["data"]["quantity"] for event in await suite.sent("/charge/json")] == [3, 2]
    report = verify(ledger_of(folder))
    assert report.problems == ()
    assert carried_note(report) == "none of them is lost: their counts are not derived again"
    async with running(folder, suite):
        assert suite.ledger.set_aside is None
        assert len(await suite.sent("/charge/json")) == 2


def carried_note(report: AuditReport) -> str:
    """What the report says of the entries that were carried over, past their number and whence they are."""
    (note,) = (each for each in report.notes if "were carried over" in each)
    whence, _, rest = note.partition("; ")
    assert re.fullmatch(r"entries up to \d+ were carried over from the damaged ledger \S+, epoch [0-9a-f]{16}", whence)
    return rest


@pytest.mark.requirement("REQ-RECORD-6")
async def test_what_a_damaged_ledger_no_longer_proves_is_held_until_a_person_decides(folder: Path) -> None:
    suite, before = await two_sessions(folder)
    token = under_way(suite).token
    ledger = ledger_of(folder)
    page = page_of_entry(ledger, "kind = 'fact' AND body GLOB '*infusion_started*' AND body GLOB '*O-1*'")
    stamps = recorded(ledger)
    spoil(ledger, page)
    async with running(folder, suite):
        assert suite.ledger.entries_lost
        assert under_way(suite).token == token
        after = await rows_of(suite)
        assert {name: row.payload for name, row in after.items() if name in before} == {
            name: row.payload for name, row in before.items()
        }
        (item,) = (each.raised for each in suite.pipeline.state.work if each.raised.what is WorkKind.ENTRIES_LOST)
        assert item.at_us == stamps[lost_first(ledger) - 1]
        await suite.poll(14)
        suite.state = RunState.STOPPED
        await suite.poll(2)
        await suite.send_event("p2", "preparation.charted", visit="V-2", person="rn-1")
        await suite.send_event("f2", "session.finalized", visit="V-2", person="rn-1")
        assert [event["data"]["quantity"] for event in await suite.sent("/charge/json")] == [3]
        assert (await suite.sent("/session/json"))[-1]["data"]["release"]["reasons"] == ["evidence_lost"]
        at_us = suite.clock.us
        lifted = HoldLifted(at_us=at_us, known_at_us=at_us, token=token, holds=("evidence_lost",), person="cm-1")
        await suite.pipeline.record([lifted])
        assert [event["data"]["quantity"] for event in await suite.sent("/charge/json")] == [3, 1]
    assert verify(ledger).problems == ()


@pytest.mark.parametrize("delivered", [False, True])
async def test_whatever_page_is_damaged_nothing_is_published_twice(folder: Path, delivered: bool) -> None:
    suite, before = await two_sessions(folder)
    if delivered:
        async with open_ledger(ledger_of(folder), "gw-01", suite.clock.now) as ledger:
            taken = [Attempt(row.outbox_id, suite.clock.us, 0, delivered=True) for row in before.values()]
            await ledger.outbox.mark(taken)
    good = ledger_of(folder).read_bytes()
    treatment_s, us = suite.treatment_s, suite.clock.us
    carried = 0
    pages = len(good) // PAGE
    for page in range(2, pages + 1, max(1, pages // 16)):
        other = folder / str(page)
        (other / "state").mkdir(parents=True)
        for name in ("gateway.toml", "policy.toml"):
            (other / name).write_text((folder / name).read_text())
        ledger_of(other).write_bytes(good)
        spoil(ledger_of(other), page)
        suite.treatment_s, suite.clock.us, suite.state = treatment_s, us, RunState.RUNNING
        async with running(other, suite):
            await suite.poll(31)
            suite.state = RunState.STOPPED
            await suite.poll(40)
            after = await rows_of(suite)
            kept = after.keys() & before.keys()
            carried += bool(kept)
            assert all(after[name].payload == before[name].payload for name in kept), page
            assert after, "the gateway goes on"
        assert verify(ledger_of(other)).problems == (), page
    assert carried == 0 if delivered else carried > 8
