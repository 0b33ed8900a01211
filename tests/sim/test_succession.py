"""A ledger that succeeds another in the middle of a session: after a rollback, and from a copy on a new box."""

import shutil
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drivers.reading import RunState
from gateway.audit.verify import verify
from gateway.cli import main
from gateway.config.load import load_config
from gateway.ledger import schema
from gateway.ledger.batch import Batch
from gateway.ledger.entry import EntryKind, append
from gateway.ledger.errors import LedgerUnavailable
from gateway.ledger.store import open_ledger
from tests.support.pipeline import FakeClock, Suite, cool
from tests.support.signing import signed

LATER = "m9999_of_a_later_version"
Told = dict[str, tuple[str, bytes]]


@asynccontextmanager
async def running(folder: Path, suite: Suite | None = None) -> AsyncGenerator[Suite]:
    """A gateway, or one that goes on with the clock and the units of `suite`."""
    config = load_config(folder / "gateway.toml")
    clock = suite.clock if suite else FakeClock()
    async with open_ledger(ledger_of(folder), config.id, clock.now) as ledger:
        suite = suite or Suite(config, clock, ledger)
        suite.ledger = ledger
        await suite.start()
        yield suite


def ledger_of(folder: Path) -> Path:
    return folder / "state" / "ledger.db"


def capgate(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def head_of(path: Path) -> tuple[str, int]:
    """Epoch and last number."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT epoch, (SELECT max(seq) FROM entry) FROM origin").fetchone()


async def told(suite: Suite) -> Told:
    """Every message so far, by id."""
    return {row.event_id: (row.topic, row.payload) for row in await suite.ledger.outbox.pending(0, 100_000)}


async def second_session(suite: Suite) -> str:
    """One session is charged, another one cools and has its first increment; the token of the second."""
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
    return under_way(suite)


def under_way(suite: Suite) -> str:
    (token,) = (each.token for each in suite.pipeline.state.records.values() if each.open)
    return token


async def ends(suite: Suite, token: str) -> list[str]:
    """The second session cools on and is signed; what was emitted for it."""
    await suite.poll(45)
    suite.state = RunState.STOPPED
    await suite.poll(2)
    await suite.send_event("p2", "preparation.charted", visit="V-2", person="rn-1")
    await suite.send_event("f2", "session.finalized", visit="V-2", person="rn-1")
    return [event["id"] for event in await suite.sent("/increment/json") if event["data"]["session"] == token]


async def charges(suite: Suite) -> list[int]:
    return [event["data"]["quantity"] for event in await suite.sent("/charge/json")]


def migrate_as_a_later_version(path: Path) -> None:
    """What a version with one migration more would have done: a table, a column, a trigger."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE later (seq INTEGER)")
        connection.execute("ALTER TABLE outbox ADD COLUMN later TEXT")
        connection.execute(
            "CREATE TRIGGER entry_later AFTER INSERT ON entry BEGIN INSERT INTO later VALUES (NEW.seq); END"
        )
        row = (schema.MIGRATIONS.name, LATER)
        connection.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, '')", row)


async def test_an_earlier_version_goes_on_in_the_session_and_doubles_nothing(folder: Path) -> None:
    path = ledger_of(folder)
    async with running(folder) as suite:
        token = await second_session(suite)
        before = await told(suite)
    migrate_as_a_later_version(path)
    epoch, last_seq = head_of(path)
    with pytest.raises(LedgerUnavailable, match="capgate ledger roll-back"):
        async with running(folder, suite):
            pass
    done = capgate("ledger", "roll-back", path)
    assert done.exit_code == 0, done.output
    async with running(folder, suite):
        assert suite.ledger.head.epoch != epoch
        assert under_way(suite) == token
        after = await told(suite)
        assert {name: after.get(name) for name in before} == before
        assert await ends(suite, token) == [f"{token}01A", f"{token}02A"]
        assert await charges(suite) == [3, 2], "nothing was lost, so nothing is held"
    report = verify(path)
    assert report.problems == ()
    assert any(f"entries up to {last_seq} were carried over" in note for note in report.notes)
    again = capgate("ledger", "roll-back", path)
    assert (again.exit_code, "opens as it is" in again.output) == (1, True)


async def test_what_only_the_later_version_can_read_is_missed_by_a_person(folder: Path) -> None:
    path = ledger_of(folder)
    async with running(folder) as suite:
        token = await second_session(suite)
        fact = f'{{"fact":"of_a_later_version","at_us":1,"known_at_us":1,"token":"{token}"}}'
        entry, head = append(suite.ledger.head, suite.clock.us, EntryKind.FACT, "", fact)
        await suite.ledger.commit(Batch((entry,), (), (), head))
    migrate_as_a_later_version(path)
    assert capgate("ledger", "roll-back", path).exit_code == 0
    async with running(folder, suite):
        await ends(suite, token)
        assert await charges(suite) == [3], "the second is held: part of what it rests on cannot be read"
        assert suite.ledger.entries_lost
    assert verify(path).problems == ()


@pytest.mark.requirement("REQ-RECORD-8")
async def test_on_a_new_box_no_number_is_used_again_and_what_is_lost_is_known(folder: Path, tmp_path: Path) -> None:
    path, copy, held = ledger_of(folder), tmp_path / "copy.db", tmp_path / "held.jsonl"
    async with running(folder) as suite:
        token = await second_session(suite)
        assert capgate("ledger", "backup", path, copy).exit_code == 0
        await suite.poll(40)
        emitted = [name for name in await told(suite) if name.startswith(token)]
    epoch, told_seq = head_of(path)
    _, copied_seq = head_of(copy)
    assert told_seq > copied_seq
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    done = capgate("ledger", "restore", copy, path)
    assert done.exit_code == 0, done.output
    assert f"marks entries {copied_seq + 1} to {copied_seq + 1} as lost" in done.output
    async with running(folder, suite):
        assert suite.ledger.head.epoch != epoch
        assert suite.ledger.head.seq > copied_seq + 1
        assert suite.ledger.lost_since_us is not None
        assert under_way(suite) == token
        await ends(suite, token)
        assert await charges(suite) == [3], "the second is held until a person compares"
    assert verify(path).problems == ()
    assert emitted
    assert not held.exists()
