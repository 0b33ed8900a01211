"""Brings a ledger's file to the key that the site uses: encrypts it, changes its key, or stores it in clear again.

Theory of operation. All of it is one transaction, so that a gateway that is killed meanwhile finds the file as it was:
no file is ever in parts. What was there before is in free space afterwards, so the file counts as one that is still to
be swept (schema.py), and is rewritten before anything else happens to it. No entry of the chain is touched.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from gateway.ledger import reads, staging
from gateway.ledger.aside import copies_beside
from gateway.ledger.batch import OutboxRow
from gateway.ledger.codec import CLEAR, Cipher, Codec, Locked, bind, codec_of, codec_with, open_file
from gateway.ledger.errors import LedgerDamaged
from gateway.ledger.key_ring import KeyRing
from gateway.ledger.locked_rows import SHAPES, Row, lock_row, open_row
from gateway.ledger.reads import LedgerOrigin
from gateway.ledger.writes import transaction

_PAGE = 500
_GUARDS = ("origin", "identity", "renumbered", "detail", "receipt_text", "payload", "outbox", "staged")
Progress = Callable[[int, int], None]  # rows done, of so many


def codec_for(connection: sqlite3.Connection, ring: KeyRing) -> Codec:
    """The codec of a ledger's file, which its salt tells; one that reads nothing if the ring lacks its key.

    Raises LedgerDamaged if the salt does not open with the key that the ledger names.
    """
    row = connection.execute("SELECT gateway, epoch, salt FROM origin").fetchone()
    if row is None or len(row[2]) <= reads.SALT_BYTES:
        return CLEAR
    gateway, epoch, salt = row
    for key in ring.keys:
        cipher = Cipher(key, epoch)
        with suppress(LedgerDamaged):
            cipher.open(salt, *reads.bound_salt(gateway, epoch))
            return cipher
    noted = reads.encryption(connection)
    if noted is not None and ring.find(noted.key_id) is not None:
        raise LedgerDamaged(f"the salt does not open with key {noted.key_id}")
    return Locked("unknown" if noted is None else noted.key_id)


def note_key(connection: sqlite3.Connection, origin: LedgerOrigin, codec: Codec, ring: KeyRing) -> None:
    """Write into the ledger with which key it is encrypted; within the caller's transaction."""
    connection.execute("DELETE FROM encryption")
    if codec.key_id:
        values = (codec.key_id, origin.genesis.hash, str(ring.path))
        connection.execute("INSERT INTO encryption (key_id, root, key_file) VALUES (?, ?, ?)", values)


def rekey(
    connection: sqlite3.Connection, origin: LedgerOrigin, ring: KeyRing, progress: Progress = lambda _done, _of: None
) -> None:
    """Write everything anew with the first key of `ring`, in clear if it has none.

    Raises LedgerDamaged, with nothing changed, if a row is not as it was recorded.
    """
    before, after = codec_of(connection), codec_with(ring.first, origin.epoch)
    with transaction(connection):
        guards = _without_guards(connection)
        of = row_count(connection)
        for done, _ in enumerate(_rewritten(connection, before, after), start=1):
            if done % _PAGE == 0 or done == of:
                progress(done, of)
        salt = after.lock(origin.salt, *reads.bound_salt(origin.gateway, origin.epoch))
        connection.execute("UPDATE origin SET salt = ?", (salt,))
        note_key(connection, origin, after, ring)
        for sql in guards:
            connection.execute(sql)
        connection.execute("PRAGMA user_version = 0")  # to be swept
    bind(connection, after)


def row_count(connection: sqlite3.Connection) -> int:
    """How many rows a rekeying writes anew."""
    tables = (*SHAPES, "payload", "staged", "outbox WHERE destination IS NULL")
    return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def copies_in_clear(path: Path) -> list[str]:
    """The names of the copies and of what was set aside beside the ledger at `path` that no key is needed for."""
    found = (copy for copy in copies_beside(path) if not copy.name.endswith(("-wal", "-shm")))
    return [copy.name for copy in found if _is_in_clear(copy)]


def require_readable(connection: sqlite3.Connection) -> None:
    """Raises LedgerDamaged on a row that does not open with the key."""
    for table in SHAPES:
        for _, stored in _rows(connection, table):
            open_row(codec_of(connection), table, stored)


def _is_in_clear(copy: Path) -> bool:
    try:
        with closing(open_file(copy)) as connection:
            return reads.encryption(connection) is None
    except sqlite3.Error:  # damaged: whatever it has may be read
        return True


def _without_guards(connection: sqlite3.Connection) -> list[str]:
    """Drop the triggers that refuse updates of these tables; how they are made again."""
    names = [f"{table}_no_update" for table in _GUARDS]
    marks = ", ".join("?" * len(names))
    query = f"SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name IN ({marks})"
    found = connection.execute(query, names).fetchall()
    for name, _ in found:
        connection.execute(f"DROP TRIGGER {name}")
    return [sql for _, sql in found]


def _rewritten(connection: sqlite3.Connection, before: Codec, after: Codec) -> Iterator[None]:
    """Yields after each row."""
    for table in SHAPES:
        for rowid, stored in _rows(connection, table):
            _set(connection, table, rowid, _relocked(before, after, table, stored))
            yield
    for table, rows in (("payload", "payload"), ("outbox", "outbox WHERE destination IS NULL")):
        for outbox_id in _numbers(connection, rows, "outbox_id"):
            row = _message(connection, before, outbox_id)
            locked = after.lock(row.payload, "payload", row.event_id)
            proof = reads.message_digest(msgspec.structs.replace(row, payload=locked))
            values = (locked, proof, outbox_id)
            connection.execute(f"UPDATE {table} SET payload = ?, digest = ? WHERE outbox_id = ?", values)
            yield
    for number in _numbers(connection, "staged", "id"):
        (message,) = staging.page(connection, number - 1, 1)
        _, _, _, payload, proof = staging.stored(after, message)
        connection.execute("UPDATE staged SET payload = ?, digest = ? WHERE id = ?", (payload, proof, number))
        yield


def _relocked(before: Codec, after: Codec, table: str, stored: Row) -> Row:
    locked = lock_row(after, table, open_row(before, table, stored))
    if table == "detail":
        texts = (str(stored["subject"]), str(stored["about"]), str(stored["name"]))
        if reads.detail_digest(*texts, str(stored["body"]).encode(errors="replace")) != stored["digest"]:
            raise LedgerDamaged("a detail of a patient does not fit its digest")
        locked["digest"] = reads.detail_digest(*texts, str(locked["body"]).encode())
    return locked


def _message(connection: sqlite3.Connection, before: Codec, outbox_id: int) -> OutboxRow:
    query = """
        SELECT outbox_id, event_id, topic, payload, retain, content_type, digest FROM message WHERE outbox_id = ?"""
    return reads.outbox_row(before, *connection.execute(query, (outbox_id,)).fetchone())


def _set(connection: sqlite3.Connection, table: str, rowid: int, row: Row) -> None:
    changes = ", ".join(f"{name} = ?" for name in row)
    connection.execute(f"UPDATE {table} SET {changes} WHERE rowid = ?", (*row.values(), rowid))


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[int, Row]]:
    """The rowid and the columns as they are stored of each row, page by page, for they change meanwhile."""
    shape = SHAPES[table]
    names = (*shape.keys, *shape.numbers, *shape.bound, *(("digest",) if table == "detail" else ()))
    query = f"SELECT rowid, {', '.join(names)} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT {_PAGE}"
    last = -1
    while page := connection.execute(query, (last,)).fetchall():
        for last, *row in page:
            yield last, dict(zip(names, row, strict=True))


def _numbers(connection: sqlite3.Connection, rows: str, column: str) -> list[int]:
    return [number for (number,) in connection.execute(f"SELECT {column} FROM {rows} ORDER BY {column}")]
