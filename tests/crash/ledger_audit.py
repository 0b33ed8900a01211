"""Judges a ledger that a killed `ledger_writer` left behind, without a line of the ledger's own code."""

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

ENTRIES, MESSAGES = 3, 2  # of every batch


def audit(path: Path, acknowledged: Iterable[int]) -> int:
    """Fails unless all that was acknowledged is there once and nothing is there by half; the number of entries."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'staged'").fetchone():
            assert not list(acknowledged), "acknowledged entries in a ledger without tables"
            return 0
        return _audit_content(connection, acknowledged)
    finally:
        connection.close()


def _audit_content(connection: sqlite3.Connection, acknowledged: Iterable[int]) -> int:
    entries = connection.execute(
        "SELECT seq, kind, session, recorded_us, body, prev_hash, hash FROM entry ORDER BY seq"
    ).fetchall()
    assert [entry[0] for entry in entries] == list(range(1, len(entries) + 1)), "a gap or a repeat in seq"
    lost = set(acknowledged) - {entry[0] for entry in entries}
    assert not lost, f"acknowledged and lost: {sorted(lost)}"
    assert len(entries) % ENTRIES == 0, "half a batch of entries"

    ends = list(range(ENTRIES, len(entries) + 1, ENTRIES))
    messages = connection.execute("SELECT seq, event_id, topic FROM message ORDER BY outbox_id").fetchall()
    assert messages == [
        (end, f"{end}-{form}", f"capgate/v1/site/ehr/gw/{form}") for end in ends for form in ("json", "hl7")
    ]
    subjects = connection.execute("SELECT subject FROM identity ORDER BY subject").fetchall()
    assert subjects == [(f"{end:016x}",) for end in ends]
    undelivered = connection.execute(
        "SELECT outbox_id FROM outbox EXCEPT SELECT outbox_id FROM attempt WHERE delivered ORDER BY 1"
    ).fetchall()
    assert connection.execute("SELECT outbox_id FROM waiting ORDER BY 1").fetchall() == undelivered
    query = "SELECT outbox_id, payload.payload, seq FROM payload JOIN outbox USING (outbox_id) ORDER BY outbox_id"
    kept = connection.execute(query).fetchall()
    assert [(outbox_id,) for outbox_id, _, _ in kept] == undelivered, "the bytes of what waits, and no others"
    assert all(payload == b"%d" % seq * 50 for _, payload, seq in kept)
    waiting = connection.execute("SELECT seal FROM staged").fetchall()
    assert waiting == [(f"{end}",) for end in ends[-1:]], "the last batch's message, which took the place of the others"
    audit_chain(connection)
    return len(entries)


def audit_chain(connection: sqlite3.Connection) -> None:
    """Fails unless every entry continues the chain."""
    entries = connection.execute(
        "SELECT seq, kind, session, recorded_us, body, prev_hash, hash FROM entry ORDER BY seq"
    ).fetchall()
    if not entries:
        return
    gateway, epoch, salt = connection.execute("SELECT gateway, epoch, salt FROM origin").fetchone()
    before = _hash(gateway, epoch, salt)
    for seq, kind, session, recorded_us, body, prev_hash, own_hash in entries:
        assert prev_hash == before, f"entry {seq} does not know its predecessor"
        body_digest = hashlib.sha256(body.encode("utf-8")).hexdigest()
        before = _hash(gateway, epoch, str(seq), kind, session, str(recorded_us), body_digest, prev_hash)
        assert own_hash == before, f"entry {seq} is not what was hashed"


def _hash(*fields: str | bytes) -> str:
    hashed = hashlib.sha256()
    for field in fields:
        data = field.encode("utf-8") if isinstance(field, str) else field
        hashed.update(str(len(data)).encode("ascii") + b":" + data + b",")
    return hashed.hexdigest()
