"""Messages about visits that were never seen here: they wait outside the hash chain until such a visit gets a cap.

Whether a statement that names a visit and no place concerns this gateway shows later, when the visit is bound to a cap.
Until then the message waits in `staged`, in the order of arrival. The transaction that makes the visit known here takes
it up. Those that wait too long are dropped, with the identifiers of visits of which nothing else is recorded.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Sequence

import msgspec

from gateway.ledger.codec import Codec, codec_of
from gateway.ledger.entry import digest
from gateway.ledger.errors import LedgerDamaged

AT_ONCE = 5_000  # dropped in one transaction, so that readings are recorded in between
_FAST = 1  # of zlib: half the size of JSON at a tenth of the cost of its insertion
COLUMNS = ("subject", "known_at_us", "seal", "payload", "digest")


class Staged(msgspec.Struct, frozen=True):
    """A message that waits, whole: it is read again when it is taken up."""

    subject: str  # of the visit that it names
    known_at_us: int  # when it arrived, UTC
    seal: str  # its idempotency key
    payload: bytes
    id: int = 0  # ascending in the order of arrival; 0: not stored yet


class Bounds(msgspec.Struct, frozen=True):
    """Which messages may wait: those that arrived since `since_us`, UTC, and the newest `most` of them."""

    since_us: int
    most: int


class StagingLimits(msgspec.Struct, frozen=True):
    """How long messages may wait, and how many."""

    keep_us: int
    most: int

    def bounds(self, now_us: int) -> Bounds:
        """The bounds at an instant, UTC."""
        return Bounds(now_us - self.keep_us, self.most)


def stage(connection: sqlite3.Connection, message: Staged) -> None:
    """Let a message wait; within the caller's transaction."""
    row = stored(codec_of(connection), message)
    connection.execute(f"INSERT INTO staged ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?, ?)", row)


def stored(codec: Codec, message: Staged) -> tuple[str, int, str, bytes, str]:
    """The message's row."""
    to = _bound(message.subject, message.known_at_us, message.seal)
    payload = codec.lock(zlib.compress(message.payload, _FAST), *to)
    proof = _digest(message.subject, message.known_at_us, message.seal, payload)
    return message.subject, message.known_at_us, message.seal, payload, proof


def knows(connection: sqlite3.Connection, sealed: str) -> bool:
    """Whether a message with that seal waits."""
    return connection.execute("SELECT 1 FROM staged WHERE seal = ?", (sealed,)).fetchone() is not None


def waits(connection: sqlite3.Connection, subject: str) -> bool:
    """Whether any message about the subject waits."""
    return connection.execute("SELECT 1 FROM staged WHERE subject = ? LIMIT 1", (subject,)).fetchone() is not None


def of_subjects(connection: sqlite3.Connection, subjects: Iterable[str]) -> list[Staged]:
    """The messages about these subjects in the order of arrival. Raises LedgerDamaged on one that was altered."""
    query = f"SELECT id, {', '.join(COLUMNS)} FROM staged WHERE subject = ?"
    rows = [row for subject in subjects for row in connection.execute(query, (subject,))]
    return [read(codec_of(connection), *row) for row in sorted(rows)]


def page(connection: sqlite3.Connection, after: int, limit: int) -> list[Staged]:
    """Up to `limit` messages after number `after`. Raises LedgerDamaged on one that was altered."""
    query = f"SELECT id, {', '.join(COLUMNS)} FROM staged WHERE id > ? ORDER BY id LIMIT ?"
    codec = codec_of(connection)
    return [read(codec, *row) for row in connection.execute(query, (after, limit))]


def heard_since(connection: sqlite3.Connection, since_us: int, most: int) -> dict[str, int]:
    """When the newest message about a visit arrived, by its subject: of those since then the last `most` visits."""
    last: dict[str, int] = {}
    for subject, known_at_us in connection.execute("SELECT subject, known_at_us FROM staged ORDER BY id DESC"):
        if known_at_us < since_us or len(last) >= most:
            break
        last.setdefault(subject, known_at_us)
    return last


def count(connection: sqlite3.Connection) -> int:
    """How many messages wait."""
    (rows,) = connection.execute("SELECT rows FROM row_count WHERE what = 'staged'").fetchone()
    return rows


def remove(connection: sqlite3.Connection, number: int) -> None:
    """Remove a message that is taken up; within the caller's transaction."""
    connection.execute("DELETE FROM staged WHERE id = ?", (number,))


def drop(connection: sqlite3.Connection, bounds: Bounds) -> None:
    """Drop the oldest messages, as far as they are beyond `bounds`; within the caller's transaction."""
    excess = count(connection) - bounds.most
    query = "SELECT id, subject, known_at_us FROM staged ORDER BY id LIMIT ?"
    oldest = connection.execute(query, (AT_ONCE,)).fetchall()
    gone = [(number, subject) for at, (number, subject, us) in enumerate(oldest) if at < excess or us < bounds.since_us]
    connection.executemany("DELETE FROM staged WHERE id = ?", [(number,) for number, _ in gone])
    connection.executemany(
        """
        DELETE FROM identity WHERE subject = :subject
           AND NOT EXISTS (SELECT 1 FROM staged WHERE subject = :subject)
           AND NOT EXISTS (SELECT 1 FROM concern WHERE kind = 'patient' AND name = :subject)""",
        [{"subject": subject} for subject in sorted({subject for _, subject in gone})],
    )


def proves(row: Sequence[str | int | bytes]) -> bool:
    """Whether a row that may be damaged, with COLUMNS, is as it was stored; it needs no key."""
    match row:
        case (str(subject), int(known_at_us), str(sealed), bytes(payload), str(proof)):
            return _digest(subject, known_at_us, sealed, payload) == proof
        case _:
            return False


def read(codec: Codec, number: int, subject: str, known_at_us: int, sealed: str, payload: bytes, proof: str) -> Staged:
    """The message in a row. Raises LedgerDamaged if it was altered."""
    if _digest(subject, known_at_us, sealed, payload) != proof:
        raise LedgerDamaged(f"the message {number} that waits for its visit was altered")
    plain = codec.open(payload, *_bound(subject, known_at_us, sealed))
    return Staged(subject, known_at_us, sealed, zlib.decompress(plain), number)


def _bound(subject: str, known_at_us: int, sealed: str) -> tuple[str, ...]:
    return "waiting message", subject, str(known_at_us), sealed


def _digest(subject: str, known_at_us: int, sealed: str, payload: bytes) -> str:
    return digest(subject.encode(), str(known_at_us).encode(), sealed.encode(), payload)
