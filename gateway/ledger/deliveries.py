"""Delivery tracking: which messages the interface engine has, by its receipts, and which are due to be sent again.

Theory of operation. The broker delivers in order. So a message that was sent before one that the engine has answered is
lost, or was not understood: it is sent again after an exponential back-off. A message that the engine stored is not
sent again, its application answers later. Of messages that were sent after the last answered one nothing is known: the
engine may be away while they wait at the broker. Only the first of them is sent again, as a probe, so that an absence
of days adds little to the broker's queue. A message rejected for a transient error is sent again after the same
back-off, up to MOST_TRIES times; after that a person decides. A message that a person ordered again, or that the broker
has lost with its memory, is due at once.
"""

import sqlite3
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from gateway.ledger import reads
from gateway.ledger.batch import OutboxRow
from gateway.ledger.codec import codec_of
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.locked_rows import open_row
from gateway.ledger.schema import PASSING
from gateway.messages.inbound.answers import ReceiptResult

US_PER_S = 1_000_000
SENT = "sent"  # what a delivery event says of a publish that the broker took
_MOST_DOUBLINGS = 20
MOST_TRIES = 12  # of a message rejected for a transient error: two hours and a half by the default rules
_ROW = "outbox_id, event_id, topic, payload, retain, content_type, digest"


class Proof(StrEnum):
    """The delivery state of a message that is followed to the engine."""

    ACKNOWLEDGED = "acknowledged"  # the engine accepted it
    PENDING = "pending"  # its receipt is awaited
    STORED = "stored"  # the engine keeps it, and its application's answer is awaited: it is not sent again
    UNPROVEN = "unproven"  # no receipt is expected
    REJECTED = "rejected"  # the engine rejected it: a person corrects the cause and orders it again, or it is transient
    ORDERED = "ordered"  # a person ordered it to be sent again, and no receipt is expected


class ResendRules(msgspec.Struct, frozen=True):
    """The back-off of repeats without a receipt: `first_s`, doubled each time, up to `longest_s`."""

    first_s: float = 60.0
    longest_s: float = 900.0


DEFAULT_RULES = ResendRules()


class Deliveries(msgspec.Struct, frozen=True):
    """How many messages are not acknowledged, by state, and when the oldest pending and stored were recorded, UTC."""

    pending: int = 0
    unproven: int = 0
    rejected: int = 0
    oldest_us: int | None = None
    stored: int = 0
    oldest_stored_us: int | None = None


class Unsettled(msgspec.Struct, frozen=True):
    """A message that the engine has not accepted; `last_us` is when it was sent last, UTC."""

    key: str
    topic: str
    proof: Proof
    recorded_us: int
    sends: int
    last_us: int  # 0: never sent
    code: str  # of the last rejection, "" without one
    text: str


class RejectedRow(msgspec.Struct, frozen=True):
    """A message that the engine rejected, and its row of the outbox."""

    outbox_id: int
    key: str


class ReceiptContent(msgspec.Struct, frozen=True):
    """What identifies a receipt about the message `key`; `message` is the receipt's own id."""

    key: str
    message: str
    result: ReceiptResult
    code: str


class DeliveryEvent(msgspec.Struct, frozen=True):
    """An event in a message's delivery history, for display: sent, answered, ordered again."""

    at_us: int
    what: str
    detail: str


class Followed(msgspec.Struct, frozen=True):
    """A message whose delivery to the engine is followed: its entry, topic and state."""

    key: str
    seq: int
    topic: str
    awaited: bool
    proof: Proof
    purged: bool  # its bytes are not kept any more


def deliveries(connection: sqlite3.Connection) -> Deliveries:
    """The counts by state; ORDERED counts as unproven."""
    counted = dict(connection.execute("SELECT what, rows FROM row_count"))
    return Deliveries(
        counted.get(Proof.PENDING, 0),
        counted.get(Proof.UNPROVEN, 0) + counted.get(Proof.ORDERED, 0),
        counted.get(Proof.REJECTED, 0),
        _oldest_us(connection, Proof.PENDING),
        counted.get(Proof.STORED, 0),
        _oldest_us(connection, Proof.STORED),
    )


def _oldest_us(connection: sqlite3.Connection, proof: Proof) -> int | None:
    query = """
        SELECT recorded_us FROM unsettled JOIN outbox USING (outbox_id) JOIN entry USING (seq)
         WHERE state = ? ORDER BY outbox_id LIMIT 1"""
    row = connection.execute(query, (proof.value,)).fetchone()
    return None if row is None else row[0]


def unsettled(connection: sqlite3.Connection, state: Proof | None = None, limit: int = -1) -> list[Unsettled]:
    """The messages that the engine has not accepted, oldest first: all, or up to `limit` of one state."""
    of_state = "" if state is None else "WHERE state = :state"
    query = f"""
        SELECT unsettled.key, topic, state, recorded_us, sends, last_us, coalesce(code, ''), receipt_text.seq, text
          FROM unsettled JOIN message USING (outbox_id) JOIN entry USING (seq)
          LEFT JOIN receipt ON receipt.seq =
               (SELECT max(seq) FROM receipt WHERE receipt.key = unsettled.key AND NOT (accepted OR stored))
          LEFT JOIN receipt_text ON receipt_text.seq = receipt.seq
         {of_state} ORDER BY outbox_id LIMIT :limit"""
    values = {"state": state and state.value, "limit": limit}
    return [
        Unsettled(key, topic, Proof(proof), recorded_us, sends, last_us, code, _said(connection, seq, text))
        for key, topic, proof, recorded_us, sends, last_us, code, seq, text in connection.execute(query, values)
    ]


def rejected(connection: sqlite3.Connection, after: int, code: str | None, limit: int) -> list[RejectedRow]:
    """Up to `limit` rejected messages after row `after`, in their order; only of `code`, by the last rejection.

    Without those whose bytes were purged.
    """
    query = """
        SELECT outbox_id, key FROM unsettled WHERE state = 'rejected' AND outbox_id > :after
           AND outbox_id IN (SELECT outbox_id FROM payload)
           AND (:code IS NULL OR :code = (SELECT code FROM receipt WHERE receipt.key = unsettled.key
                                             AND NOT (accepted OR stored) ORDER BY seq DESC LIMIT 1))
         ORDER BY outbox_id LIMIT :limit"""
    rows = connection.execute(query, {"after": after, "code": code, "limit": limit})
    return [RejectedRow(outbox_id, key) for outbox_id, key in rows]


def followed(connection: sqlite3.Connection, key: str) -> Followed | None:
    """The message of that key; None if there is none that is followed."""
    query = """
        SELECT seq, topic, delivery.awaited, state, payload IS NULL FROM delivery JOIN message USING (outbox_id)
          LEFT JOIN unsettled USING (outbox_id) WHERE delivery.key = ? ORDER BY outbox_id LIMIT 1"""
    row = connection.execute(query, (key,)).fetchone()
    if row is None:
        return None
    seq, topic, awaited, state, purged = row
    proof = Proof.ACKNOWLEDGED if state is None else Proof(state)
    return Followed(key, seq, topic, bool(awaited), proof, bool(purged))


def followed_up_to(connection: sqlite3.Connection, last: Followed) -> list[str]:
    """Keys of the pending and stored messages on the same topic that were recorded before `last`."""
    query = """
        SELECT unsettled.key FROM unsettled JOIN message USING (outbox_id)
         WHERE topic = ? AND seq < ? AND state IN ('pending', 'stored') AND sends > 0 ORDER BY outbox_id"""
    return [key for (key,) in connection.execute(query, (last.topic, last.seq))]


def knows_receipt(connection: sqlite3.Connection, content: ReceiptContent) -> bool:
    """Whether the receipt is a repeat: recorded before, and its message was not sent again since.

    Its id alone is not enough: some engines use the message's id as the id of each answer to it.
    """
    query = """
        SELECT 1 FROM receipt LEFT JOIN unsettled USING (key)
         WHERE receipt.key = ? AND message = ? AND accepted = ? AND stored = ? AND code = ?
           AND at_us >= coalesce(last_us, 0) LIMIT 1"""
    values = (content.key, content.message, content.result == "accepted", content.result == "stored", content.code)
    return connection.execute(query, values).fetchone() is not None


def proofs_of(connection: sqlite3.Connection, session: str) -> dict[str, Proof]:
    """The delivery state of every followed message of a session, by key; a key begins with the token."""
    query = """
        SELECT delivery.key, state FROM delivery LEFT JOIN unsettled USING (outbox_id)
         WHERE delivery.key >= ? AND delivery.key < ?"""
    rows = connection.execute(query, (session, f"{session}~"))
    return {key: Proof.ACKNOWLEDGED if state is None else Proof(state) for key, state in rows}


def due_again(
    connection: sqlite3.Connection, now_us: int, rules: ResendRules, forgotten_us: int, limit: int
) -> list[OutboxRow]:
    """Up to `limit` messages that are due to be sent again, those sent longest ago first.

    `forgotten_us`: the broker has lost everything sent before this instant, UTC (0: nothing).
    """
    (frontier_us,) = connection.execute("SELECT coalesce(max(sent_us), 0) FROM receipt").fetchone()
    values = {
        "now": now_us,
        "first": round(rules.first_s * US_PER_S),
        "longest": round(rules.longest_s * US_PER_S),
        "frontier": frontier_us,
        "forgotten": forgotten_us,
        "limit": limit,
        "passing": PASSING,
        "tries": MOST_TRIES,
    }
    since = f"last_us + min(:longest, :first * (1 << min(max(sends - 1, 0), {_MOST_DOUBLINGS})))"
    rest = f"""state = 'pending' AND sends > 0 AND {since} <= :now"""
    query = f"""
        SELECT {_ROW} FROM message JOIN (
            SELECT outbox_id, last_us FROM unsettled
             WHERE state IN ('pending', 'ordered') AND (sends = 0 OR last_us < :forgotten)
                OR last_us < :frontier AND {rest}
                OR state = 'rejected' AND awaited AND sends BETWEEN 1 AND :tries - 1 AND {since} <= :now
                   AND :passing = (SELECT code FROM receipt WHERE receipt.key = unsettled.key
                                      AND NOT (accepted OR stored) ORDER BY seq DESC LIMIT 1)
                OR outbox_id = (SELECT min(outbox_id) FROM unsettled
                                 WHERE state = 'pending' AND sends > 0 AND last_us >= :frontier) AND {rest})
          USING (outbox_id)
         WHERE payload NOT NULL AND outbox_id NOT IN (SELECT outbox_id FROM waiting)
         ORDER BY last_us, outbox_id LIMIT :limit"""
    codec = codec_of(connection)
    return [reads.outbox_row(codec, *fields) for fields in connection.execute(query, values)]


def still_to_send(connection: sqlite3.Connection, outbox_id: int) -> OutboxRow | None:
    """The row, if it waits for the broker, or for a receipt, or for being sent again."""
    query = f"""
        SELECT {_ROW} FROM message LEFT JOIN unsettled USING (outbox_id)
         WHERE outbox_id = ? AND (state IN ('pending', 'ordered') OR outbox_id IN (SELECT outbox_id FROM waiting))"""
    row = connection.execute(query, (outbox_id,)).fetchone()
    return None if row is None else reads.outbox_row(codec_of(connection), *row)


def events(connection: sqlite3.Connection, key: str) -> list[DeliveryEvent]:
    """The message's delivery history, in the order of time."""
    return sorted(_events(connection, key), key=lambda event: event.at_us)


def _events(connection: sqlite3.Connection, key: str) -> Iterator[DeliveryEvent]:
    sent = """
        SELECT at_us, reason, delivered FROM attempt WHERE outbox_id IN
            (SELECT outbox_id FROM delivery WHERE key = ?)"""
    for at_us, reason, delivered in connection.execute(sent, (key,)):
        yield DeliveryEvent(at_us, SENT if delivered else "not taken by the broker", _reason(reason))
    answered = """
        SELECT at_us, accepted, stored, code, seq, text FROM receipt LEFT JOIN receipt_text USING (seq)
         WHERE key = ?"""
    for at_us, accepted, stored, code, seq, text in connection.execute(answered, (key,)):
        detail = " ".join(part for part in (code, _said(connection, seq, text)) if part)
        what = Proof.ACKNOWLEDGED if accepted else Proof.STORED if stored else Proof.REJECTED
        yield DeliveryEvent(at_us, what.value, detail)
    ordered = """
        SELECT recorded_us, json_extract(body, '$.resend.person'), json_extract(body, '$.resend.reason')
          FROM resend JOIN entry USING (seq) WHERE key = ?"""
    for recorded_us, person, reason in connection.execute(ordered, (key,)):
        yield DeliveryEvent(recorded_us, "ordered again", f"by {person}: {reason}")


def payload(connection: sqlite3.Connection, key: str) -> bytes | None:
    """The message's bytes, which hold patient data."""
    query = """
        SELECT event_id, payload FROM message JOIN delivery USING (outbox_id)
         WHERE key = ? ORDER BY outbox_id LIMIT 1"""
    event_id, stored = connection.execute(query, (key,)).fetchone() or ("", None)
    return None if stored is None else codec_of(connection).open(stored, "payload", event_id)


def _said(connection: sqlite3.Connection, seq: int, text: str | None) -> str:
    """The engine's words in receipt `seq`, for display; in their place what keeps them from being read."""
    codec = codec_of(connection)
    if text is None or not codec.reads:
        return "" if text is None else f"(encrypted with key {codec.key_id})"
    try:
        return str(open_row(codec, "receipt_text", {"seq": seq, "text": text})["text"])
    except LedgerDamaged as error:
        return f"({error})"


def _reason(code: int) -> str:
    return "MQTT 3.1.1, which gives no reason" if code < 0 else f"reason {code}"
