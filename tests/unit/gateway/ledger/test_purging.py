"""What is settled is purged, in this version's form and in earlier ones, and is not lost with a damaged ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drivers.reading import Stamp
from gateway.audit.verify import verify
from gateway.ledger import opening
from gateway.ledger.batch import Attempt, Batch, OutboxMessage
from gateway.ledger.bodies import PurgeBody, PurgeNote, encode_body
from gateway.ledger.entry import EntryKind, append
from gateway.ledger.retention import Cursor, Cutoffs, Purge, RetentionPlan
from gateway.ledger.store import Ledger, open_ledger
from tests.support.old_ledgers import restored

LATER_US = 2_000_000_000_000_000  # years after all that the ledgers have
EVERYTHING = Cutoffs(LATER_US, LATER_US, None)
BYTES = b"QZPATIENT" * 40


def now() -> Stamp:
    return Stamp(LATER_US - 1_000_000, 0)


async def entered(ledger: Ledger, what: Purge) -> None:
    note = PurgeNote(identifiers=what.subjects, messages=len(what.messages), entries=what.entries)
    body = encode_body(PurgeBody(note)).decode()
    entry, head = append(ledger.head, LATER_US, EntryKind.STATUS, "", body)
    await ledger.commit(Batch((entry,), (), (), head, purge=what))


async def swept(ledger: Ledger) -> None:
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        due = await ledger.due(EVERYTHING, cursor)
        await entered(ledger, due.purge)
        cursor = due.cursor


async def all_taken(ledger: Ledger) -> None:
    waiting = await ledger.outbox.pending(0, 10_000)
    await ledger.outbox.mark([Attempt(row.outbox_id, LATER_US, 0, delivered=True) for row in waiting])


def with_bytes(path: Path) -> list[str]:
    """The messages that have bytes."""
    query = "SELECT event_id FROM message WHERE payload NOT NULL ORDER BY outbox_id"
    with closing(sqlite3.connect(path)) as connection:
        return [event_id for (event_id,) in connection.execute(query)]


async def test_messages_in_an_earlier_versions_form_lose_their_bytes_and_nothing_else(tmp_path: Path) -> None:
    path = restored("story", tmp_path / "ledger.db")
    async with open_ledger(path, "gw-01", now) as ledger:
        await all_taken(ledger)
        ids = [entry.seq for entry in await ledger.entries()]
        await swept(ledger)
        assert [entry.seq for entry in await ledger.entries()][: len(ids)] == ids
    with closing(sqlite3.connect(path)) as connection:
        done = dict(connection.execute("SELECT token, done FROM session_state"))
        forms = "destination IS NULL, length(outbox.payload) > 0"
        rows = connection.execute(f"SELECT session, {forms} FROM outbox JOIN entry USING (seq)").fetchall()
    assert set(done.values()) == {0, 1}
    assert {(unplaced, has) for token, unplaced, has in rows if done.get(token, 1)} == {(0, 0)}
    assert {(unplaced, has) for token, unplaced, has in rows if not done.get(token, 1)} == {(1, 1)}, "as they were"
    assert verify(path).problems == ()


@pytest.mark.parametrize("most_bytes", [opening.MOST_SWEPT_BYTES, 0])
async def test_what_an_earlier_version_deleted_is_overwritten_at_the_first_start_unless_that_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, most_bytes: int
) -> None:
    path = restored("story", tmp_path / "ledger.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete = 0")
        connection.execute("CREATE TABLE spare (text TEXT)")
        connection.executemany("INSERT INTO spare VALUES (?)", [("QZ" * 2_000,)] * 200)  # more than migrations reuse
        connection.execute("DROP TABLE spare")
        connection.commit()
    assert b"QZQZ" in path.read_bytes()
    monkeypatch.setattr(opening, "MOST_SWEPT_BYTES", most_bytes)
    async with open_ledger(path, "gw-01", now):
        pass
    is_left = most_bytes == 0
    assert (b"QZQZ" in path.read_bytes()) == is_left
    assert ("page on retention" in caplog.text) == is_left


async def test_what_was_purged_is_not_lost_with_a_damaged_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with open_ledger(path, "gw-01", now) as ledger:
        entry, head = append(ledger.head, 1, EntryKind.STATUS, "", "{}")
        sent = OutboxMessage(head.seq, "e1", "t", BYTES, False, "", key="e1")
        kept = OutboxMessage(head.seq, "e2", "t", BYTES, False, "", key="e2", awaited=True)
        await ledger.commit(Batch((entry,), (sent, kept), (), head))
        await all_taken(ledger)
        await swept(ledger)
        assert with_bytes(path) == ["e2"], "its receipt is awaited"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER entry_no_delete")  # what no gateway takes for its own
    async with open_ledger(path, "gw-01", now) as ledger:
        assert ledger.set_aside is not None
        assert not ledger.entries_lost
    assert with_bytes(path) == ["e2"]
    assert verify(path).problems == ()


def test_a_class_without_days_is_never_due() -> None:
    plan = RetentionPlan(messages_days=1)
    assert plan.purges
    assert plan.cutoffs(86_400_000_000) == Cutoffs(None, 0, None)
    assert not RetentionPlan().purges
