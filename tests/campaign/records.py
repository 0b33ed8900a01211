"""Holds the ledger against what came to the broker: it proves itself, and tells of each session what was published."""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from gateway.audit.reconcile import Placed, reconcile
from gateway.audit.rederive import Rederiver
from gateway.audit.sessions import sessions, unopened
from gateway.audit.stream import open_snapshot, stream, transactions
from gateway.audit.verify import verify
from gateway.ledger.store import open_readonly
from tests.campaign.bus import Bus, SeenSession


class Follower:
    """Follows the entries as they are written: what each transaction published must follow from the facts so far."""

    def __init__(self, path: Path) -> None:
        self._opened = ExitStack()
        self._connection = self._opened.enter_context(open_readonly(path))
        self._rederiver = Rederiver(self._connection)
        self._seq = 0

    def follow(self) -> Iterator[str]:
        """What does not follow in the transactions since the last time."""
        self._connection.execute("BEGIN")
        for transaction in transactions(stream(self._connection, self._seq)):
            self._seq = transaction[-1].seq
            yield from map(str, self._rederiver.take(transaction))
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the ledger."""
        self._opened.close()


def unsound(path: Path) -> Iterator[str]:
    """What verify finds; the gateway may have the ledger open."""
    report = verify(path)
    if not report.sound:
        shown = "; ".join(map(str, report.problems[:3]))
        yield f"verify finds {len(report.problems)} problems: {shown}"


def undelivered(path: Path, bus: Bus) -> Iterator[str]:
    """Messages that count as delivered and never came, or with other bytes; and those that no row is behind."""
    rows: set[str] = set()
    with closing(sqlite3.connect(path)) as connection:
        (salt,) = connection.execute("SELECT salt FROM origin").fetchone()
        sealed = (
            "SELECT key, value FROM entry, json_each(body, '$.sent') WHERE kind IN ('session', 'increment', 'charge')"
        )
        seals: dict[str, str] = dict(connection.execute(sealed))
        query = (
            "SELECT event_id, topic, payload, delivered_us IS NOT NULL FROM message LEFT JOIN (%s) USING (outbox_id)"
        )
        delivered = "SELECT outbox_id, max(at_us) AS delivered_us FROM attempt WHERE delivered GROUP BY outbox_id"
        for name, topic, payload, done in connection.execute(query % delivered):
            if "/ehr/" in topic:
                key = bus.key_of(topic, name) if payload is None else bus.key(topic, payload)
                rows.add(key)
                came = bus.payload(key)
                if done and (came is None or not _is_same(came, payload, seals.get(name), salt)):
                    yield f"message {name} counts as delivered, and the broker never had it in these bytes"
    for key in bus.keys_of_rows() - rows:
        yield f"message {key} was published, and the ledger does not have it"


def _is_same(came: bytes, payload: bytes | None, seal: str | None, salt: bytes) -> bool:
    """Whether it came in the bytes that the ledger has, and those that its entry sealed."""
    own_seal = hashlib.blake2b(came, digest_size=16, key=salt).hexdigest()
    return payload in (None, came) and seal in (None, own_seal)


def misplaced(path: Path, published: Mapping[str, SeenSession]) -> Iterator[str]:
    """Sessions that were published and are not in just one place of the reconciliation, or with other numbers."""
    with open_snapshot(path) as connection:
        found = reconcile(sessions(connection), unopened(connection))
        drained = connection.execute("SELECT count(*) FROM waiting").fetchone() == (0,)
    if found.remainder:
        yield f"{found.remainder} sessions have no place, unopened: {', '.join(found.unopened)}"
    placed = {each.session: each for each in found.placed}
    if len(placed) != len(found.placed):
        yield f"{len(found.placed)} sessions are placed under {len(placed)} tokens"
    for token, session in published.items():
        if token not in placed:
            yield f"session {token} was published and has no place"
        elif drained and (said := _numbers(placed[token])) != _published(session):
            yield f"session {token}: {said} units attained and charged, published {_published(session)}"


def _published(session: SeenSession) -> tuple[int, int]:
    return len(session.standing), session.charged


def _numbers(placed: Placed) -> tuple[int, int]:
    return placed.attained, placed.charged
