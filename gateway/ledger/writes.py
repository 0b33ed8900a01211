"""All writes to an open ledger, each one transaction or part of one.

They use only DB-API calls, so that the same statements also run on a test connection that simulates power failures.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from gateway.ledger import index, purging, reads, staging
from gateway.ledger.batch import Attempt, Batch, OutboxMessage, OutboxRow, ReceiptRow, SessionDue
from gateway.ledger.beside import Beside
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.codec import codec_of
from gateway.ledger.entry import Entry, Head, follow
from gateway.ledger.errors import ChainBroken, ConflictingEvent, DuplicateEvent
from gateway.ledger.locked_rows import insert_row, lock_row
from gateway.ledger.reads import LedgerOrigin
from gateway.ledger.sealing import sealing


def append_batch(connection: sqlite3.Connection, origin: LedgerOrigin, batch: Batch) -> Head:
    """Commits all of `batch`, or nothing and raises ChainBroken, DuplicateEvent or ConflictingEvent; the head after it.

    After a sqlite3.Error it is unknown which.
    """
    with transaction(connection):
        return _append(connection, origin, batch)


def append_to_group(connection: sqlite3.Connection, origin: LedgerOrigin, batch: Batch) -> Head:
    """Adds `batch` to the open transaction, which begins with the first one; `commit_group` ends it. The head after it.

    Raises as `append_batch`, with nothing of this batch in the transaction.
    """
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    connection.execute("SAVEPOINT batch")
    try:
        head = _append(connection, origin, batch)
    except BaseException:
        if connection.in_transaction:  # some errors of the disk have ended it already
            connection.execute("ROLLBACK TO batch")
            connection.execute("RELEASE batch")
        raise
    connection.execute("RELEASE batch")
    return head


def commit_group(connection: sqlite3.Connection) -> None:
    """Commits what was appended since the last commit; after sqlite3.Error the outcome is unknown."""
    if connection.in_transaction:
        connection.execute("COMMIT")


def append_attempts(connection: sqlite3.Connection, attempts: Sequence[Attempt]) -> None:
    """Commits the broker's answers to publishes; after sqlite3.Error the outcome is unknown."""
    with transaction(connection):
        connection.executemany(
            "INSERT INTO attempt (outbox_id, at_us, reason, delivered) VALUES (?, ?, ?, ?)",
            [(attempt.outbox_id, attempt.at_us, attempt.reason, int(attempt.delivered)) for attempt in attempts],
        )


def put_session_due(connection: sqlite3.Connection, state: SessionDue) -> None:
    """Store when a session is due next; within the caller's transaction."""
    values = (state.token, state.opened_us, int(state.done), state.wake_us, state.due_us)
    named = (" ".join(state.watched), " ".join(state.units), state.patient)
    connection.execute("INSERT OR REPLACE INTO session_state VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*values, *named))


def insert_origin(connection: sqlite3.Connection, origin: LedgerOrigin, created_us: int) -> None:
    """Insert the ledger's origin, once in its life; within the caller's transaction."""
    salt = codec_of(connection).lock(origin.salt, *reads.bound_salt(origin.gateway, origin.epoch))
    values = (origin.gateway, origin.epoch, salt, created_us)
    connection.execute("INSERT INTO origin (gateway, epoch, salt, created_us) VALUES (?, ?, ?, ?)", values)


def insert_entry(connection: sqlite3.Connection, entry: Entry) -> None:
    """Insert an entry; within the caller's transaction."""
    connection.execute(
        "INSERT INTO entry (seq, recorded_us, kind, session, body, prev_hash, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (entry.seq, entry.recorded_us, entry.kind.value, entry.session, entry.body, entry.prev_hash, entry.hash),
    )


def insert_outbox_row(connection: sqlite3.Connection, seq: int, message: OutboxMessage | OutboxRow) -> int:
    """List a message to be published because of entry `seq`, and return its number; its bytes stand by themselves."""
    to = (message.topic, int(message.retain), message.content_type)
    insert = """
        INSERT INTO outbox (seq, event_id, destination, topic, payload, retain, content_type, digest)
        SELECT ?, ?, destination, '', x'', 0, '', '' FROM destination
         WHERE topic = ? AND retain = ? AND content_type = ? RETURNING outbox_id"""
    values = (seq, message.event_id, *to)
    if (inserted := connection.execute(insert, values).fetchone()) is None:
        connection.execute("INSERT INTO destination (topic, retain, content_type) VALUES (?, ?, ?)", to)
        inserted = connection.execute(insert, values).fetchone()
    return inserted[0]


def insert_payload(connection: sqlite3.Connection, outbox_id: int, stored: OutboxMessage) -> None:
    """Keep a message's bytes until it need not be sent any more; within a transaction of the caller's."""
    values = (outbox_id, stored.payload, reads.message_digest(stored))
    connection.execute("INSERT INTO payload (outbox_id, payload, digest) VALUES (?, ?, ?)", values)


def _append(connection: sqlite3.Connection, origin: LedgerOrigin, batch: Batch) -> Head:
    """The head after it: that of the batch, or of one entry more, which seals what lies beside the chain."""
    if follow(reads.head(connection, origin), batch.entries) != batch.head:
        raise ChainBroken(f"the batch ends at entry {batch.head.seq}, not at its stated head")
    for entry in batch.entries:
        insert_entry(connection, entry)
    concerned = index.insert(connection, batch.entries)
    for message in batch.outbox:
        _insert_message(connection, message)
    beside = Beside(connection, origin.salt)
    beside.put(batch.identities, batch.merges, batch.details)
    beside.seal_known(concerned)
    for receipt in batch.receipts:
        _insert_receipt(connection, receipt)
    connection.executemany(
        "INSERT INTO resend (seq, key) VALUES (?, ?)", [(order.seq, order.key) for order in batch.resends]
    )
    for state in batch.sessions:
        put_session_due(connection, state)
    _change_staging(connection, batch)
    if batch.purge is not None:
        purging.purge(connection, batch.purge)
    if batch.checkpoint is not None:
        _insert_checkpoint(connection, batch.checkpoint)
    if not beside.made:
        return batch.head
    recorded_us = batch.entries[-1].recorded_us if batch.entries else reads.last_recorded_us(connection)
    entry, head = sealing(batch.head, recorded_us, beside.made)
    insert_entry(connection, entry)
    return head


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """One transaction: committed at the end of the block, rolled back if it raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # some errors of the disk have ended it already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _insert_message(connection: sqlite3.Connection, message: OutboxMessage) -> None:
    stored = reads.locked_message(codec_of(connection), message)
    digest = reads.message_digest(stored)
    held = connection.execute("SELECT digest FROM message WHERE event_id = ?", (message.event_id,)).fetchone()
    if held is not None and message.event_id in reads.sent_before(connection):
        return  # the message was carried over from a damaged ledger without its entry: it was sent already
    if held in ((digest,), (None,)):  # None: it was sent, and its bytes are gone
        raise DuplicateEvent(f"event {message.event_id} is in the outbox already")
    if held is not None:
        raise ConflictingEvent(f"event {message.event_id} is in the outbox already, with other content")
    outbox_id = insert_outbox_row(connection, message.seq, message)
    insert_payload(connection, outbox_id, stored)
    if message.key:
        followed = (outbox_id, message.key, int(message.awaited))
        connection.execute("INSERT INTO delivery (outbox_id, key, awaited) VALUES (?, ?, ?)", followed)


def _change_staging(connection: sqlite3.Connection, batch: Batch) -> None:
    for message in batch.staged:
        staging.stage(connection, message)
    for number in batch.taken_up:
        staging.remove(connection, number)
    if batch.staging is not None:
        staging.drop(connection, batch.staging)


def _insert_receipt(connection: sqlite3.Connection, receipt: ReceiptRow) -> None:
    # A receipt may arrive before its message is marked as sent; the message was committed before that in any case.
    sent = """
        SELECT coalesce(max(iif(last_us, last_us, recorded_us)), 0)
          FROM unsettled JOIN outbox USING (outbox_id) JOIN entry USING (seq) WHERE unsettled.key = ?"""
    (sent_us,) = connection.execute(sent, (receipt.key,)).fetchone()
    values = (
        receipt.seq,
        receipt.key,
        int(receipt.result == "accepted"),
        receipt.code,
        receipt.message,
        receipt.at_us,
        sent_us,
        int(receipt.result == "stored"),
    )
    connection.execute(
        "INSERT INTO receipt (seq, key, accepted, code, message, at_us, sent_us, stored)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    if receipt.text:
        insert_receipt_text(connection, receipt.seq, receipt.text)


def insert_receipt_text(connection: sqlite3.Connection, seq: int, text: str) -> None:
    """Keep the engine's words in a receipt; within the caller's transaction."""
    row = lock_row(codec_of(connection), "receipt_text", {"seq": seq, "text": text})
    insert_row(connection, "receipt_text", row)


def _insert_checkpoint(connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    values = (checkpoint.head.seq, checkpoint.note, checkpoint.signature, checkpoint.public_key)
    connection.execute("INSERT INTO checkpoint (seq, note, signature, public_key) VALUES (?, ?, ?, ?)", values)
