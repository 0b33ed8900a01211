"""Charges in HL7 and FHIR beside the chain: one altered, removed or forged is found, whatever its digest says."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.verify import verify
from gateway.ledger import reads
from gateway.ledger.batch import OutboxRow
from tests.support.story import POLICIES, a_day

COLUMNS = "outbox_id, event_id, topic, payload, retain, content_type"


def rewritten(connection: sqlite3.Connection, ending: str, change: Callable[[bytes], bytes]) -> None:
    """The first message on a topic that ends so says something else, with the digest to match."""
    query = f"SELECT {COLUMNS} FROM message WHERE topic GLOB ? ORDER BY outbox_id LIMIT 1"
    outbox_id, event_id, topic, payload, retain, content_type = connection.execute(query, (f"*{ending}",)).fetchone()
    row = OutboxRow(outbox_id, event_id, topic, change(payload), bool(retain), content_type)
    update = "UPDATE payload SET payload = ?, digest = ? WHERE outbox_id = ?"
    connection.execute(update, (row.payload, reads.message_digest(row), outbox_id))


def doubled(connection: sqlite3.Connection) -> None:
    """A second charge of the same entry, under a key of its own."""
    query = f"SELECT seq, {COLUMNS} FROM message WHERE topic GLOB '*/charge/hl7' LIMIT 1"
    seq, _, event_id, topic, payload, retain, content_type = connection.execute(query).fetchone()
    (last,) = connection.execute("SELECT max(outbox_id) FROM outbox").fetchone()
    row = OutboxRow(last + 1, f"{event_id}Z", topic, payload, bool(retain), content_type)
    digest = reads.message_digest(row)
    insert = """
        INSERT INTO outbox (seq, event_id, topic, payload, retain, content_type, digest, destination)
        SELECT ?, ?, '', x'', 0, '', '', destination FROM destination WHERE topic = ?"""
    connection.execute(insert, (seq, row.event_id, topic))
    connection.execute("INSERT INTO payload VALUES (?, ?, ?)", (last + 1, payload, digest))
    connection.execute("INSERT OR IGNORE INTO waiting VALUES (?)", (last + 1,))


def removed(connection: sqlite3.Connection) -> None:
    """A charge is gone, and the ids behind it moved up."""
    query = "SELECT outbox_id FROM message WHERE topic GLOB '*/charge/hl7' LIMIT 1"
    (outbox_id,) = connection.execute(query).fetchone()
    connection.execute("PRAGMA foreign_keys = off")
    for table in ("waiting", "delivery", "unsettled", "attempt", "payload", "outbox"):
        connection.execute(f"DELETE FROM {table} WHERE outbox_id = ?", (outbox_id,))
    for table in ("waiting", "delivery", "unsettled", "attempt", "payload", "outbox"):
        ids = connection.execute(f"SELECT DISTINCT outbox_id FROM {table} WHERE outbox_id > ? ORDER BY 1", (outbox_id,))
        for (each,) in ids.fetchall():
            connection.execute(f"UPDATE {table} SET outbox_id = outbox_id - 1 WHERE outbox_id = ?", (each,))


ATTACKS: dict[str, tuple[Callable[[sqlite3.Connection], None], str]] = {
    "more is charged in HL7": (
        lambda connection: rewritten(connection, "/charge/hl7", lambda payload: payload.replace(b"|||1|", b"|||9|")),
        "is not what its entry sealed",
    ),
    "another patient is charged in HL7": (
        lambda connection: rewritten(connection, "/charge/hl7", lambda payload: payload.replace(b"90001234", b"9")),
        "is not what its entry sealed",
    ),
    "more is charged in FHIR": (
        lambda connection: rewritten(
            connection, "/charge/fhir", lambda payload: payload.replace(b'"value":1}', b'"value":9}')
        ),
        "is not what its entry sealed",
    ),
    "a charge is gone": (removed, "is missing"),
    "a charge is sent twice": (doubled, "is a charge that its entry does not record"),
}


@pytest.fixture
async def charged(tmp_path: Path) -> Path:
    """A ledger of three charges and a credit, each in three notations."""
    async with a_day(tmp_path, (POLICIES / "story.toml").read_text()) as day:
        await day.treated()
        await day.sign()
        await day.amend()
    return tmp_path / "state" / "ledger.db"


async def test_every_attack_on_a_raw_charge_is_found(charged: Path, tmp_path: Path) -> None:
    for name, (attack, said) in ATTACKS.items():
        copy = Path(shutil.copy(charged, tmp_path / "attacked.db"))
        connection = sqlite3.connect(copy, isolation_level=None)
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for trigger, _ in triggers:
            connection.execute(f"DROP TRIGGER {trigger}")
        before = connection.total_changes
        attack(connection)
        assert connection.total_changes > before
        for _, sql in triggers:
            connection.execute(sql)
        connection.close()
        problems = [str(problem) for problem in verify(copy).problems]
        assert any(said in problem for problem in problems), (name, problems)
