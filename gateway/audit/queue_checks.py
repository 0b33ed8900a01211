"""Checks of what is left to do with messages and receipts: it must follow from what was sent and answered.

When a message is sent again, and in which state it is shown meanwhile, is not checked: it depends on the order in which
the broker's and the engine's answers came, of which no entry says anything. A message that must still come to the
engine is in the list in any case.
"""

import sqlite3
from collections.abc import Iterator

from gateway.audit.report import Area, AuditProblem
from gateway.ledger import reads, staging
from gateway.ledger.codec import codec_of
from gateway.ledger.deliveries import Proof
from gateway.ledger.errors import LedgerDamaged

# The last receipt that decides: one that says that the message is stored decides nothing.
_LAST = "SELECT max(seq) FROM receipt WHERE receipt.key = delivery.key AND NOT stored"
_IS_UNSETTLED = f"coalesce((SELECT NOT accepted FROM receipt WHERE receipt.seq = ({_LAST})), 1)"
_STATES = ", ".join(f"'{proof}'" for proof in Proof if proof is not Proof.ACKNOWLEDGED)

# Each finds rows (entry or 0, text) that must not be there.
_NEVER = (
    """SELECT seq, 'message ' || event_id || ' was delivered and still waits' FROM waiting JOIN outbox USING (outbox_id)
        WHERE outbox_id IN (SELECT outbox_id FROM attempt WHERE delivered)""",
    """SELECT 0, 'row ' || outbox_id || ' waits, and there is no such message' FROM waiting
        WHERE outbox_id NOT IN (SELECT outbox_id FROM outbox)""",
    """SELECT 0, 'there are bytes of row ' || outbox_id || ', and no such message' FROM payload
        WHERE outbox_id NOT IN (SELECT outbox_id FROM outbox)""",
    """SELECT seq, 'a receipt that no entry records' FROM receipt WHERE seq NOT IN (SELECT seq FROM entry)""",
    """SELECT seq, 'an order to send again that no entry records' FROM resend
        WHERE seq NOT IN (SELECT seq FROM entry)""",
    """SELECT entry.seq, 'nobody follows whether the engine has its message' FROM entry
        WHERE kind = 'charge' AND kind <> 'fact' AND json_valid(body) AND seq > :carried
          AND NOT EXISTS (SELECT 1 FROM delivery WHERE key = json_extract(body, '$.charge.key'))""",
    """SELECT outbox.seq, 'message ' || event_id || ' is followed under another key' FROM delivery
         JOIN outbox USING (outbox_id) JOIN entry USING (seq)
        WHERE json_valid(body) AND kind IN ('charge', 'increment')
          AND key NOT IN (coalesce(json_extract(body, '$.charge.key'), ''), event_id)""",
    """SELECT 0, 'row ' || outbox_id || ' is followed, and there is no such message' FROM delivery
        WHERE outbox_id NOT IN (SELECT outbox_id FROM outbox)""",
    """SELECT seq, 'a checkpoint of another entry lies under this one' FROM checkpoint
        WHERE note NOT LIKE '%' || char(10) || seq || char(10) || '%'""",
    """SELECT 0, 'the ledger has ' || count(*) || ' origins' FROM origin HAVING count(*) <> 1""",
    """SELECT 0, what || ' are counted as ' || rows FROM row_count
        WHERE rows <> CASE what WHEN 'waiting' THEN (SELECT count(*) FROM waiting)
                                WHEN 'staged' THEN (SELECT count(*) FROM staged)
                                ELSE (SELECT count(*) FROM unsettled WHERE state = what) END""",
    """SELECT 0, 'nobody counts what is ' || state FROM unsettled
        WHERE state NOT IN (SELECT what FROM row_count) GROUP BY state""",
    """SELECT 0, 'nobody counts what waits'
        WHERE (SELECT count(*) FROM row_count WHERE what IN ('waiting', 'staged')) <> 2""",
)
_OF_RECEIPTS = (
    f"""SELECT outbox.seq, 'message ' || event_id || ' is not with the engine, and not listed as that' FROM delivery
         JOIN outbox USING (outbox_id) LEFT JOIN unsettled USING (outbox_id)
        WHERE unsettled.outbox_id IS NULL AND {_IS_UNSETTLED}""",
    f"""SELECT 0, 'row ' || unsettled.outbox_id || ' is listed as not with the engine, against its receipts'
         FROM unsettled LEFT JOIN delivery USING (outbox_id)
        WHERE delivery.outbox_id IS NULL OR delivery.key <> unsettled.key OR delivery.awaited <> unsettled.awaited
           OR state NOT IN ({_STATES}) OR NOT {_IS_UNSETTLED}""",
)
_PAGE = 500


def queue_problems(connection: sqlite3.Connection) -> Iterator[AuditProblem]:
    """Messages that the broker has not accepted and that are not waiting: they would never be sent."""
    query = """
        SELECT outbox.seq, event_id FROM outbox
         WHERE outbox_id NOT IN (SELECT outbox_id FROM attempt WHERE delivered)
           AND outbox_id NOT IN (SELECT outbox_id FROM waiting)"""
    for seq, event_id in connection.execute(query):
        yield AuditProblem(Area.MESSAGE, seq, f"message {event_id} was never delivered and does not wait")


def receipt_problems(connection: sqlite3.Connection) -> Iterator[AuditProblem]:
    """Rows of receipts and orders that differ from their entries, and entries without such a row."""
    query = """
        SELECT entry.seq, json_extract(body, '$.receipt.key'), json_extract(body, '$.receipt.result') = 'accepted',
               json_extract(body, '$.receipt.result') = 'stored', json_extract(body, '$.receipt.code'),
               json_extract(body, '$.resend.key'),
               receipt.key, accepted, stored, code, resend.key
          FROM entry LEFT JOIN receipt USING (seq) LEFT JOIN resend USING (seq)
         WHERE json_valid(body) AND (kind = 'delivery' OR receipt.seq OR resend.seq) ORDER BY entry.seq"""
    for seq, *row in connection.execute(query):
        if row[:5] != row[5:]:
            yield AuditProblem(Area.MESSAGE, seq, "its receipt or order to send again is not what was recorded")


def derived_problems(connection: sqlite3.Connection, *, by_receipts: bool) -> Iterator[AuditProblem]:
    """What is listed, counted or kept against what was sent and answered; `by_receipts` if those are as recorded."""
    carried = reads.carried_over(connection)  # whose messages may be lost
    for query in (*_NEVER, *(_OF_RECEIPTS if by_receipts else ())):
        for seq, text in connection.execute(query, {"carried": 0 if carried is None else carried.carried}):
            yield AuditProblem(Area.MESSAGE, seq, text)


def staged_problems(connection: sqlite3.Connection) -> Iterator[AuditProblem]:
    """Messages that wait for their visit and are not as they came, and details that differ from their digest."""
    codec = codec_of(connection)
    after, page = 0, f"SELECT id, {', '.join(staging.COLUMNS)} FROM staged WHERE id > ? ORDER BY id LIMIT ?"
    while rows := connection.execute(page, (after, _PAGE)).fetchall():
        for row in rows:
            try:
                if codec.reads:
                    staging.read(codec, *row)
                elif not staging.proves(row[1:]):
                    yield AuditProblem(Area.MESSAGE, 0, f"the message {row[0]} that waits for its visit was altered")
            except LedgerDamaged as error:
                yield AuditProblem(Area.MESSAGE, 0, str(error))
        after = rows[-1][0]
    for subject, about, name, body, digest in connection.execute(
        "SELECT subject, about, name, body, digest FROM detail"
    ):
        if reads.detail_digest(subject, about, name, body.encode(errors="replace")) != digest:
            yield AuditProblem(Area.BESIDE, 0, f"a detail of patient {subject} does not fit its digest")
