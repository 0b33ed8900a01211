"""Finds and purges what is settled and old: identifiers of patients, bytes of messages, the engine's words in receipts.

Theory of operation. Rows beside the chain are deleted, and SQLite overwrites what it deletes (`secure_delete`). What is
due is found page by page, each page small enough for one short transaction, which also records the purge as an entry.
Of a patient nothing is purged while a session of the patient is not done, or a message of one is undelivered; such
sessions are named instead. Days count from the last entry about the patient or one of the patient's sessions.
"""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from gateway.ledger import index, reads, staging
from gateway.ledger.bodies import published_of
from gateway.ledger.retention import Cursor, Cutoffs, Due, Kept, KeptFor, Purge
from gateway.session.outcome import Published, SessionState

AT_ONCE = 200  # patients, messages and texts in one transaction, so that readings are recorded in between
# The broker has it, and nothing says that it must be sent again.
_SETTLED = """
    NOT EXISTS (SELECT 1 FROM waiting WHERE waiting.outbox_id = outbox.outbox_id)
    AND NOT EXISTS (SELECT 1 FROM unsettled WHERE unsettled.outbox_id = outbox.outbox_id AND state <> 'unproven')"""


def due(connection: sqlite3.Connection, cutoffs: Cutoffs, after: Cursor) -> Due:
    """The next page of what is due."""
    subjects = [] if cutoffs.identifiers_us is None else _subjects(connection, after.subject)
    charged = _charged_by_undone(connection) if subjects else {}
    found = [_due(connection, subject, cutoffs.identifiers_us or 0, charged) for subject in subjects]
    messages, last_message, texts = [], None, []
    if cutoffs.messages_us is not None:
        messages, last_message = _messages(connection, cutoffs.messages_us, after.outbox_id)
        texts = _texts(connection, cutoffs.messages_us, after.receipt_seq)
    purge = Purge(
        tuple(subject for subject, kept in zip(subjects, found, strict=True) if kept is not None and not kept),
        tuple(outbox_id for outbox_id, _ in messages),
        tuple(dict.fromkeys(seq for _, seq in messages)),
        tuple(texts),
    )
    cursor = Cursor(
        subjects[-1] if subjects else after.subject,
        index.ALL if last_message is None else last_message,
        texts[-1] if texts else after.receipt_seq,
    )
    more = AT_ONCE in (len(subjects), len(texts)) or last_message is not None
    if not more and cutoffs.identifiers_us is not None:
        purge = msgspec.structs.replace(purge, changes=tuple(_forgotten(connection, purge.subjects)))
    return Due(purge, tuple(each for kept in found for each in kept or ()), cursor if more else None)


def purge(connection: sqlite3.Connection, what: Purge) -> None:
    """Delete it; within the caller's transaction."""
    for subject in what.subjects:
        connection.execute("DELETE FROM identity WHERE subject = ?", (subject,))
        connection.execute("DELETE FROM detail WHERE subject = ?", (subject,))
    connection.executemany("DELETE FROM renumbered WHERE id = ?", [(each,) for each in what.changes])
    for outbox_id in what.messages:
        connection.execute("DELETE FROM payload WHERE outbox_id = ?", (outbox_id,))
        _place(connection, outbox_id)
    connection.executemany("DELETE FROM receipt_text WHERE seq = ?", [(each,) for each in what.texts])


def empty_log(connection: sqlite3.Connection) -> bool:
    """Write the write-ahead log into the file and empty it, for it has older states of the pages.

    False while somebody reads: it is to be tried again.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _subjects(connection: sqlite3.Connection, after: str) -> list[str]:
    query = """
        SELECT subject FROM identity WHERE subject > :after UNION SELECT subject FROM detail WHERE subject > :after
         ORDER BY subject LIMIT :most"""
    return [subject for (subject,) in connection.execute(query, {"after": after, "most": AT_ONCE})]


def _due(
    connection: sqlite3.Connection, subject: str, cutoff_us: int, charged: Mapping[str, list[str]]
) -> list[Kept] | None:
    """For which sessions the subject's identifiers are kept though they are due; None: they are not due."""
    if staging.waits(connection, subject):
        return None
    query = "SELECT token, done FROM session_state WHERE patient = ? AND patient <> ''"
    sessions = connection.execute(query, (subject,)).fetchall()
    query = "SELECT max(seq) FROM concern WHERE kind = 'patient' AND name = ?"
    seqs = [_only(connection, query, subject)]
    query = "SELECT max(seq) FROM entry WHERE session = ? AND session <> ''"
    seqs += [_only(connection, query, token) for token, _ in sessions]
    if any(_only(connection, "SELECT recorded_us FROM entry WHERE seq = ?", seq) >= cutoff_us for seq in seqs if seq):
        return None
    undone = [token for token, done in sessions if not done]
    undone += [token for token in charged.get(subject, ()) if token not in undone]
    kept = [Kept(token, _why(connection, token)) for token in undone]
    waits = seqs and max(seqs) >= (reads.oldest_waiting(connection) or index.ALL)
    undelivered = [token for token, done in sessions if done and (waits or _is_undelivered(connection, token))]
    return kept + [Kept(token, KeptFor.UNDELIVERED) for token in undelivered]


def _charged_by_undone(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """By subject the sessions that are not done and have charged the subject, whoever their patient is now."""
    query = """
        SELECT DISTINCT json_extract(body, '$.charge.line.patient'), token
          FROM session_state JOIN entry ON entry.session = token AND entry.session <> ''
         WHERE NOT done AND entry.kind = 'charge' AND entry.kind <> 'fact'"""
    charged: dict[str, list[str]] = {}
    for subject, token in connection.execute(query):
        charged.setdefault(subject, []).append(token)
    return charged


def _why(connection: sqlite3.Connection, token: str) -> KeptFor:
    query = """
        SELECT body FROM entry WHERE session = ? AND session <> '' AND kind = 'session' AND kind <> 'fact'
         ORDER BY seq DESC LIMIT 1"""
    row = connection.execute(query, (token,)).fetchone()
    return KeptFor.OPEN if row is None else _reason(published_of(row[0]))


def _reason(told: Published) -> KeptFor:
    if any(not item.refused for item in told.corrections):
        return KeptFor.CORRECTION
    match told.state:
        case SessionState.INCOMPLETE:
            return KeptFor.INCOMPLETE
        case SessionState.HELD:
            return KeptFor.HELD
        case _:
            return KeptFor.OPEN


def _is_undelivered(connection: sqlite3.Connection, token: str) -> bool:
    """Whether a message of the session, whose keys begin with the token, must still come to the engine, and can."""
    has_bytes = "(SELECT payload FROM message WHERE message.outbox_id = unsettled.outbox_id) NOT NULL"
    query = f"SELECT 1 FROM unsettled WHERE key >= ? AND key < ? AND state <> 'unproven' AND {has_bytes} LIMIT 1"
    return connection.execute(query, (token, f"{token}~")).fetchone() is not None


def _messages(connection: sqlite3.Connection, cutoff_us: int, after: int) -> tuple[list[tuple[int, int]], int | None]:
    """Of the next messages that have their bytes those that are due, each with its entry; and the last one looked at.

    That is None where none is left to be looked at. Without those of sessions that are not done.
    """
    for source in ("outbox WHERE destination IS NULL AND", "payload WHERE"):  # in an earlier version's form and ours
        query = f"""
            SELECT outbox.outbox_id, seq, recorded_us, coalesce(done, 1) AND {_SETTLED}
              FROM (SELECT outbox_id FROM {source} outbox_id > ? ORDER BY outbox_id LIMIT ?)
              JOIN outbox USING (outbox_id) JOIN entry USING (seq) LEFT JOIN session_state ON token = entry.session
             ORDER BY outbox.outbox_id"""
        if rows := connection.execute(query, (after, AT_ONCE)).fetchall():
            found = [(outbox_id, seq) for outbox_id, seq, recorded_us, may in rows if may and recorded_us < cutoff_us]
            last_id, _, last_us, _ = rows[-1]
            return found, last_id if last_us < cutoff_us else None
    return [], None


def _texts(connection: sqlite3.Connection, cutoff_us: int, after: int) -> list[int]:
    """Receipts whose texts are due; without those of messages that stand rejected."""
    query = """
        SELECT seq FROM receipt_text JOIN receipt USING (seq) JOIN entry USING (seq)
         WHERE seq > ? AND recorded_us < ?
           AND NOT EXISTS (SELECT 1 FROM unsettled WHERE unsettled.key = receipt.key AND state = 'rejected')
         ORDER BY seq LIMIT ?"""
    return [seq for (seq,) in connection.execute(query, (after, cutoff_us, AT_ONCE))]


def _only(connection: sqlite3.Connection, query: str, value: str | int) -> int:
    return connection.execute(query, (value,)).fetchone()[0] or 0


def _place(connection: sqlite3.Connection, outbox_id: int) -> None:
    """Give a message in an earlier version's form, which has its bytes in itself, this version's form without bytes."""
    unplaced = "outbox_id = ? AND destination IS NULL"
    connection.execute(
        f"""
        INSERT OR IGNORE INTO destination (topic, retain, content_type)
        SELECT topic, retain, content_type FROM outbox WHERE {unplaced}""",
        (outbox_id,),
    )
    connection.execute(
        f"""
        UPDATE outbox SET topic = '', payload = x'', retain = 0, content_type = '', digest = '', destination = (
            SELECT destination.destination FROM destination
             WHERE (destination.topic, destination.retain, destination.content_type)
                 = (outbox.topic, outbox.retain, outbox.content_type))
         WHERE {unplaced}""",
        (outbox_id,),
    )


def _forgotten(connection: sqlite3.Connection, purged: Sequence[str]) -> list[int]:
    """The changes of numbers that no patient has, or had, who is not among the purged."""
    changes = connection.execute("SELECT id, kind, old, new FROM renumbered").fetchall()
    joined: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for _, kind, old, new in changes:  # each number with those that it was or became
        group = joined.get((kind, old), {(kind, old)}) | joined.get((kind, new), {(kind, new)})
        joined.update(dict.fromkeys(group, group))
    gone = {number for number in joined if not any(_is_held(connection, *each, purged) for each in joined[number])}
    return [number for number, kind, old, _ in changes if (kind, old) in gone]


def _is_held(connection: sqlite3.Connection, kind: str, number: str, purged: Sequence[str]) -> bool:
    query = f"SELECT DISTINCT subject FROM identity WHERE {kind} = ? AND {kind} <> ''"
    return any(subject not in purged for (subject,) in connection.execute(query, (number,)))
