"""Verification of the outbox: its rows are what was committed, and say what the chain says."""

import sqlite3
from collections.abc import Iterator

import msgspec

from gateway.ledger import reads
from gateway.ledger.bodies import event_of, without_patient
from gateway.ledger.entry import EntryKind
from gateway.ledger.findings import Area, Problem
from gateway.ledger.rows import OutboxRow

_TELLING = (EntryKind.INCREMENT, EntryKind.SESSION, EntryKind.CHARGE, EntryKind.STATUS)


class _Named(msgspec.Struct, frozen=True):
    id: str


def message_problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Rows that were altered or removed, and entries whose message is not the one that they record."""
    yield from _row_problems(connection)
    marks = ", ".join("?" * len(_TELLING))
    # Messages are found by their entry, then told apart by id: an entry may cause several.
    query = f"""
        SELECT entry.seq, entry.body, outbox.event_id, outbox.payload
          FROM entry LEFT JOIN outbox ON outbox.event_id = json_extract(entry.body, '$.event.id')
         WHERE kind IN ({marks}) AND json_valid(entry.body) ORDER BY entry.seq"""
    for seq, body, event_id, payload in connection.execute(query, _TELLING):
        yield from _compare(seq, body, event_id, payload)


def queue_problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Messages that no broker took and that wait for none: they would never be sent."""
    query = """
        SELECT outbox.seq, event_id FROM outbox
         WHERE outbox_id NOT IN (SELECT outbox_id FROM attempt WHERE delivered)
           AND outbox_id NOT IN (SELECT outbox_id FROM waiting)"""
    for seq, event_id in connection.execute(query):
        yield Problem(Area.MESSAGE, seq, f"message {event_id} was never delivered and does not wait")


def _row_problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    query = """
        SELECT outbox_id, seq, event_id, topic, payload, retain, content_type, digest,
               (SELECT max(seq) FROM entry) FROM outbox ORDER BY outbox_id"""
    expected_id = 1
    for outbox_id, seq, event_id, topic, payload, retain, content_type, digest, last_seq in connection.execute(query):
        if outbox_id != expected_id:
            yield Problem(Area.MESSAGE, seq, f"outbox rows {expected_id} to {outbox_id - 1} are missing")
        expected_id = outbox_id + 1
        row = OutboxRow(outbox_id, event_id, topic, payload, bool(retain), content_type)
        if reads.message_digest(row) != digest:
            yield Problem(Area.MESSAGE, seq, f"message {event_id} is not what was committed")
        if not 0 < seq <= (last_seq or 0):
            yield Problem(Area.MESSAGE, seq, f"message {event_id} belongs to no entry")


def _compare(seq: int, body: str, event_id: str | None, payload: bytes | None) -> Iterator[Problem]:
    try:
        event = event_of(body)
        if event is None:
            return
        if event_id is None or payload is None:
            yield Problem(Area.MESSAGE, seq, f"its message {msgspec.json.decode(event, type=_Named).id} is missing")
        elif payload != event and without_patient(payload) != without_patient(event):
            yield Problem(Area.MESSAGE, seq, f"message {event_id} says something else than its entry")
    except msgspec.DecodeError as error:
        yield Problem(Area.MESSAGE, seq, f"its message cannot be read: {error}")
