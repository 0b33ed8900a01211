"""Checks of the outbox: its rows are as committed, and their messages match the entries of the chain.

A message that the broker has taken and nobody follows has no bytes any more: it is not sent again. Without the key of
an encrypted ledger its messages are held to their digests alone.
"""

import json
import sqlite3
from collections.abc import Container, Iterator

import msgspec

from gateway.audit.report import Area, AuditProblem
from gateway.ledger import reads
from gateway.ledger.batch import OutboxRow
from gateway.ledger.bodies import SetAsideBody, agrees, event_of, sealed
from gateway.ledger.codec import Codec, codec_of
from gateway.ledger.entry import EntryKind, seal
from gateway.ledger.errors import LedgerDamaged

_PUBLISHING = (EntryKind.INCREMENT, EntryKind.SESSION, EntryKind.CHARGE, EntryKind.STATUS)
# Not by a join with the view, of which SQLite would make a table first.
_BYTES = "(SELECT payload FROM message WHERE message.outbox_id = outbox.outbox_id)"


class _Named(msgspec.Struct, frozen=True):
    id: str


def message_problems(connection: sqlite3.Connection, salt: bytes) -> Iterator[AuditProblem]:
    """Rows that were altered or removed, and messages that differ from what their entries record."""
    carried = reads.carried_over(connection) or SetAsideBody("")
    gone = {
        *carried.lost,
        *carried.sent,
    }  # messages known to be lost with a damaged ledger are not reported
    codec = codec_of(connection)
    yield from _row_problems(connection)
    marks = ", ".join("?" * len(_PUBLISHING))
    # Messages are joined by their entry and by id, for an entry may cause several.
    query = f"""
        SELECT entry.seq, entry.body, event_id, {_BYTES}
          FROM entry LEFT JOIN outbox ON event_id = json_extract(entry.body, '$.event.id')
         WHERE kind IN ({marks}) AND json_valid(entry.body) ORDER BY entry.seq"""
    for seq, body, event_id, payload in connection.execute(query, _PUBLISHING):
        yield from _compare(seq, body, event_id, _plain(codec, event_id, payload), gone)
    yield from _sealed_problems(connection, salt, gone)
    yield from _sent_problems(connection, salt, carried)
    yield from _unsealed_problems(connection, carried.sent)


def _sent_problems(connection: sqlite3.Connection, salt: bytes, carried: SetAsideBody) -> Iterator[AuditProblem]:
    """Messages that were carried over from a damaged ledger without their entries, and do not match their seal."""
    codec = codec_of(connection)
    for message_id, sealed_as in carried.sent.items():
        row = connection.execute("SELECT payload FROM message WHERE event_id = ?", (message_id,)).fetchone()
        payload = None if row is None else _plain(codec, message_id, row[0])
        if row is None or (payload is not None and seal(salt, payload) != sealed_as):
            yield AuditProblem(Area.MESSAGE, carried.carried + 1, f"message {message_id} is not what was carried over")


def _sealed_problems(connection: sqlite3.Connection, salt: bytes, gone: Container[str]) -> Iterator[AuditProblem]:
    """Messages, in any notation, that are missing or do not match the seal in their entry."""
    query = f"""
        SELECT entry.seq, sealed.key, sealed.value, outbox_id, {_BYTES}
          FROM entry, json_each(iif(json_valid(body), body, '{{}}'), '$.sent') AS sealed
          LEFT JOIN outbox ON event_id = sealed.key AND outbox.seq = entry.seq
         WHERE kind IN ('increment', 'session', 'charge') AND kind <> 'fact' ORDER BY entry.seq"""
    codec = codec_of(connection)
    for seq, message_id, sealed_as, outbox_id, stored in connection.execute(query):
        if message_id in gone:
            continue
        payload = _plain(codec, message_id, stored)
        if outbox_id is None:
            yield AuditProblem(Area.MESSAGE, seq, f"its message {message_id} is missing")
        elif payload is not None and seal(salt, payload) != sealed_as:
            yield AuditProblem(Area.MESSAGE, seq, f"message {message_id} is not what its entry sealed")


def _unsealed_problems(connection: sqlite3.Connection, carried: Container[str]) -> Iterator[AuditProblem]:
    """Messages on charge topics whose entry has neither their seal nor their event; `carried` ids have seals."""
    query = """
        SELECT message.seq, event_id FROM message LEFT JOIN entry USING (seq)
         WHERE topic GLOB '*/charge/*' AND json_valid(body)
           AND event_id IS NOT json_extract(body, '$.event.id')
           AND event_id NOT IN (SELECT key FROM json_each(body, '$.sent'))"""
    for seq, event_id in connection.execute(query):
        if event_id not in carried:
            yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} is a charge that its entry does not record")


def _row_problems(connection: sqlite3.Connection) -> Iterator[AuditProblem]:
    query = """
        SELECT outbox_id, seq, event_id, topic, payload, retain, content_type, digest,
               outbox_id IN (SELECT outbox_id FROM waiting)
               OR outbox_id IN (SELECT outbox_id FROM delivery)
                  AND seq NOT IN (SELECT value FROM json_each(?)),
               (SELECT max(seq) FROM entry) FROM message ORDER BY outbox_id"""
    expected_id, codec = 1, codec_of(connection)
    for outbox_id, seq, event_id, topic, payload, retain, content_type, digest, needed, last_seq in connection.execute(
        query, (json.dumps(sorted(reads.purged_entries(connection))),)
    ):
        if outbox_id != expected_id:
            yield AuditProblem(Area.MESSAGE, seq, f"outbox rows {expected_id} to {outbox_id - 1} are missing")
        expected_id = outbox_id + 1
        if topic is None:
            yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} goes nowhere")
        elif payload is not None:
            row = OutboxRow(outbox_id, event_id, topic, payload, bool(retain), content_type)
            if reads.message_digest(row) != digest:
                yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} is not what was committed")
            elif codec.reads and _plain(codec, event_id, payload) is None:
                yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} does not open with the key")
        elif needed:
            yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} may have to be sent, and its bytes are missing")
        if not 0 < seq <= (last_seq or 0):
            yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} belongs to no entry")


def _plain(codec: Codec, event_id: str | None, payload: bytes | None) -> bytes | None:
    """The message's bytes; None where there are none, or they cannot be read."""
    if event_id is None or payload is None or not codec.reads:
        return None
    try:
        return codec.open(payload, "payload", event_id)
    except LedgerDamaged:
        return None


def _compare(
    seq: int, body: str, event_id: str | None, payload: bytes | None, gone: Container[str]
) -> Iterator[AuditProblem]:
    try:
        event = event_of(body)
        if event is None:
            return
        name = msgspec.json.decode(event, type=_Named).id
        if name in gone:
            return
        if event_id is None:
            if not sealed(body):  # otherwise the messages in `sent` were sent, and the event need not be
                yield AuditProblem(Area.MESSAGE, seq, f"its message {name} is missing")
        elif payload is not None and not agrees(event, payload):
            yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} says something else than its entry")
    except msgspec.DecodeError as error:
        yield AuditProblem(Area.MESSAGE, seq, f"its message cannot be read: {error}")
