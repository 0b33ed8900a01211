"""All writes to an open ledger, each one transaction or part of one.

They use only DB-API calls, so that the same statements also run on a test connection that simulates power failures.
"""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import msgspec

from gateway.ledger import index, purging, reads, staging
from gateway.ledger.batch import Attempt, Batch, OutboxMessage, OutboxRow, ReceiptRow, SessionDue
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, follow
from gateway.ledger.errors import ChainBroken, ConflictingEvent, DuplicateEvent
from gateway.ledger.reads import LedgerOrigin
from gateway.messages.details import Stated
from gateway.messages.identity import Identity, Merge


def append_batch(connection: sqlite3.Connection, origin: LedgerOrigin, batch: Batch) -> None:
    """Commits all of `batch`, or nothing and raises ChainBroken, DuplicateEvent or ConflictingEvent.

    After a sqlite3.Error it is unknown which.
    """
    with transaction(connection):
        _append(connection, origin, batch)


def append_to_group(connection: sqlite3.Connection, origin: LedgerOrigin, batch: Batch) -> None:
    """Adds `batch` to the open transaction, which begins with the first one; `commit_group` ends it.

    Raises as `append_batch`, with nothing of this batch in the transaction.
    """
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    connection.execute("SAVEPOINT batch")
    try:
        _append(connection, origin, batch)
    except BaseException:
        if connection.in_transaction:  # some errors of the disk have ended it already
            connection.execute("ROLLBACK TO batch")
            connection.execute("RELEASE batch")
        raise
    connection.execute("RELEASE batch")


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
    values = (origin.gateway, origin.epoch, origin.salt, created_us)
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


def insert_payload(connection: sqlite3.Connection, outbox_id: int, payload: bytes, digest: str) -> None:
    """Keep a message's bytes until it need not be sent any more; within a transaction of the caller's."""
    connection.execute(
        "INSERT INTO payload (outbox_id, payload, digest) VALUES (?, ?, ?)", (outbox_id, payload, digest)
    )


def _append(connection: sqlite3.Connection, origin: LedgerOrigin, batch: Batch) -> None:
    if follow(reads.head(connection, origin), batch.entries) != batch.head:
        raise ChainBroken(f"the batch ends at entry {batch.head.seq}, not at its stated head")
    for entry in batch.entries:
        insert_entry(connection, entry)
    index.insert(connection, batch.entries)
    for message in batch.outbox:
        _insert_message(connection, message)
    for identity in batch.identities:
        _put_identity(connection, identity)
    for merge in batch.merges:
        _merge(connection, merge)
    for stated in batch.details:
        _put_details(connection, stated)
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
    digest = reads.message_digest(message)
    held = connection.execute("SELECT digest FROM message WHERE event_id = ?", (message.event_id,)).fetchone()
    if held is not None and message.event_id in reads.sent_before(connection):
        return  # the message was carried over from a damaged ledger without its entry: it was sent already
    if held in ((digest,), (None,)):  # None: it was sent, and its bytes are gone
        raise DuplicateEvent(f"event {message.event_id} is in the outbox already")
    if held is not None:
        raise ConflictingEvent(f"event {message.event_id} is in the outbox already, with other content")
    outbox_id = insert_outbox_row(connection, message.seq, message)
    insert_payload(connection, outbox_id, message.payload, digest)
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
        connection.execute("INSERT INTO receipt_text (seq, text) VALUES (?, ?)", (receipt.seq, receipt.text))


def _put_identity(connection: sqlite3.Connection, identity: Identity) -> None:
    """Insert a further version of an identity; fields that it leaves unknown keep their last value.

    A number that the EHR has changed is replaced by the current one, for messages may come late.
    """
    for kind in ("mrn", "account"):
        if (number := identity.number(kind)) is not None:
            identity = identity.with_number(kind, reads.current_number(connection, kind, number))
    known = reads.identity(connection, identity.subject)
    _insert_identity(connection, identity.completed(known), known)


def _insert_identity(connection: sqlite3.Connection, identity: Identity, known: Identity | None) -> None:
    if identity == known:
        return
    names = ", ".join(Identity.__struct_fields__)
    columns = [value or "" for value in msgspec.structs.astuple(identity)]  # in the table "" is unknown
    version = "(SELECT coalesce(max(version), 0) + 1 FROM identity WHERE subject = ?)"
    connection.execute(
        f"INSERT INTO identity ({names}, version) VALUES ({'?, ' * len(columns)}{version})",
        (*columns, identity.subject),
    )


def _put_details(connection: sqlite3.Connection, stated: Stated) -> None:
    """Insert a further version of what is stated; what it leaves unknown keeps its last value."""
    known = reads.details(connection, stated.subject, stated.about, stated.name)
    details = stated.details.over(known)
    if details != known:
        insert_detail(connection, stated.subject, stated.about.value, stated.name, msgspec.json.encode(details))


def insert_detail(connection: sqlite3.Connection, subject: str, about: str, name: str, body: bytes) -> None:
    """Insert a version of what is stated; within the caller's transaction."""
    values = (subject, about, name, body.decode(), reads.detail_digest(subject, about, name, body))
    connection.execute("INSERT INTO detail (subject, about, name, body, digest) VALUES (?, ?, ?, ?, ?)", values)


def _merge(connection: sqlite3.Connection, merge: Merge) -> None:
    """Change a number in every identity that has the old one, and record the change."""
    for known in reads.identified(connection, merge.by, merge.old):
        _insert_identity(connection, known.with_number(merge.kind, merge.new), known)
    if merge.by == merge.kind:
        connection.execute(
            "INSERT INTO renumbered (kind, old, old_authority, new, authority) VALUES (?, ?, ?, ?, ?)",
            (merge.kind, merge.old.value, merge.old.authority, merge.new.value, merge.new.authority),
        )


def _insert_checkpoint(connection: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    values = (checkpoint.head.seq, checkpoint.note, checkpoint.signature, checkpoint.public_key)
    connection.execute("INSERT INTO checkpoint (seq, note, signature, public_key) VALUES (?, ?, ?, ?)", values)
