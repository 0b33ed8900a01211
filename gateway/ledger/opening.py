"""Opens the ledger file: SQLite settings, schema, content checks, and replacement of a damaged file.

A damaged ledger does not stop the gateway: the file is renamed unchanged, and a new one begins with a new epoch, so
that its sequence numbers cannot be taken for the old ones. What the damaged file still proves is carried over
(carry_over.py). Other failures (no permission, a full disk, a later version, another gateway's file) are raised, for a
person to decide.
"""

import logging
import secrets
import sqlite3
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from drivers.reading import Stamp
from gateway.ledger import file_check, policies, purging, reads, rekeying, schema, writes
from gateway.ledger.anchor import anchored, anchors
from gateway.ledger.aside import Aside, name_aside, set_aside_before
from gateway.ledger.carry_over import carry_over, origin_of
from gateway.ledger.codec import LedgerConnection, bind, codec_of, codec_with
from gateway.ledger.disk_trouble import damages_nothing
from gateway.ledger.entry import Head, follow
from gateway.ledger.errors import ChainBroken, LedgerBehind, LedgerDamaged, LedgerLocked, LedgerUnavailable
from gateway.ledger.key_ring import NO_KEYS, KeyRing
from gateway.ledger.reads import LedgerOrigin

_log = logging.getLogger("capgate.ledger")

SETTINGS: tuple[tuple[str, str | int], ...] = (
    ("journal_mode", "wal"),
    ("synchronous", 2),  # FULL: a commit is on the disk when it returns
    ("foreign_keys", 1),
    ("recursive_triggers", 1),  # otherwise REPLACE deletes rows without firing the triggers
    ("secure_delete", 1),  # ON: what is deleted is overwritten in the file, pages that become free included
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    ("mmap_size", 0),
    ("journal_size_limit", 16 * 1024 * 1024),
)
MOST_SWEPT_BYTES = 256 << 20  # rewritten in seconds, while whoever started the gateway waits
MOST_REKEYED = 50_000  # rows written anew at a start, in seconds too
TAIL_ENTRIES = 2_000  # entries verified at every start, the last of the chain; the whole is checked beside the work
_PAGE = 500  # entries in memory at a time during that
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Opened(msgspec.Struct, frozen=True):
    """A ledger that passed every check.

    `set_aside` is the damaged file that it replaces, as long as nothing was recorded since.
    """

    connection: sqlite3.Connection
    origin: LedgerOrigin
    head: Head
    set_aside: Path | None
    entries_lost: bool  # not all of the damaged file could be carried over
    lost_since_us: int | None  # from then on entries may be lost, 0: from the beginning; None: none are
    signed_seq: int  # the last entry with a checkpoint
    policies: frozenset[str]  # names of those whose text it has
    checked: bool  # every page of the file and every waiting message was checked


def open_or_replace(
    path: Path,
    gateway: str,
    now: Callable[[], Stamp],
    connect: Callable[[Path], sqlite3.Connection],
    ring: KeyRing = NO_KEYS,
) -> Opened:
    """Opens the ledger of `gateway`, makes one if there is none, replaces it if it is damaged.

    It is encrypted with the first key of `ring`; one that is in clear, or has another key of it, is brought to that.
    Raises LedgerUnavailable, LedgerLocked.
    """
    try:
        return _open(path, gateway, now, connect, ring)
    except LedgerDamaged:
        return _open(path, gateway, now, connect, ring)


def connect_file(path: Path) -> sqlite3.Connection:
    """A connection without implicit transactions. The file is made if absent, readable by its owner only."""
    path.touch(mode=0o600)
    return sqlite3.connect(path, isolation_level=None, factory=LedgerConnection)


def configure(connection: sqlite3.Connection) -> None:
    """Sets every setting and reads it back. Raises LedgerUnavailable if one did not take effect."""
    for name, value in SETTINGS:
        connection.execute(f"PRAGMA {name} = {value}").fetchall()
        held = connection.execute(f"PRAGMA {name}").fetchone()
        if held != (value,):
            raise LedgerUnavailable(f"SQLite does not hold {name} = {value}: it says {held}")


def _open(
    path: Path,
    gateway: str,
    now: Callable[[], Stamp],
    connect: Callable[[Path], sqlite3.Connection],
    ring: KeyRing,
) -> Opened:
    """A ledger that passed every check; a damaged one is set aside before LedgerDamaged is raised."""
    with ExitStack() as on_failure:
        try:
            _refuse_lone_log(path)
            with translated(path):
                connection = connect(path)
                on_failure.callback(connection.close)
                opened = _checked(connection, path, gateway, now, ring)
        except LedgerDamaged as error:
            # Renamed while open, for SQLite deletes the WAL as it closes, and the WAL may hold the only copy.
            why = Aside.BEHIND if isinstance(error, LedgerBehind) else Aside.DAMAGED
            _set_aside(path, name_aside(path, now().utc_us, why))
            raise
        on_failure.pop_all()
        return opened


def _checked(
    connection: sqlite3.Connection, path: Path, gateway: str, now: Callable[[], Stamp], ring: KeyRing
) -> Opened:
    configure(connection)
    checked = file_check.is_due(path)
    if checked:
        _check_pages(connection)
    schema.migrate(connection, path)
    bind(connection, rekeying.codec_for(connection, ring))
    if not codec_of(connection).reads:
        raise LedgerLocked(f"{path} {ring.lacking(codec_of(connection).key_id)}")
    schema.require_guards(connection)
    origin = _origin(connection, path, gateway, now, ring)
    head = _check_chain(connection, origin)
    _require_anchored(connection, origin, head, path)
    policies.require(connection)
    if checked:
        file_check.check_waiting(connection)
        if file_check.is_marked(path):
            rekeying.require_readable(connection)
        file_check.clear(path)
    if origin.gateway != gateway:
        raise LedgerUnavailable(f"{path} is the ledger of gateway {origin.gateway}, not of {gateway}")
    _rekey(connection, path, origin, ring)
    if codec_of(connection).key_id and (copies := rekeying.copies_in_clear(path)):
        _log.error("copies beside the ledger name patients in clear: delete them", extra={"files": copies})
    _sweep(connection, path)
    carried = reads.carried_over(connection)
    if carried is None or head.seq != carried.carried + 1:
        set_aside, entries_lost, lost_since_us = None, False, None
    else:
        set_aside, entries_lost = path.with_name(carried.set_aside), carried.lost_any
        lost_since_us = carried.lost_since_us if carried.missing or not carried.carried else None
    signed_seq, known = reads.signed_seq(connection), policies.names(connection)
    return Opened(connection, origin, head, set_aside, entries_lost, lost_since_us, signed_seq, known, checked)


def _rekey(connection: sqlite3.Connection, path: Path, origin: LedgerOrigin, ring: KeyRing) -> None:
    """Bring the file to the site's key; without a key to a new place of the old one; a large file a person does."""
    codec, noted = codec_of(connection), reads.encryption(connection)
    wanted = "" if ring.first is None else ring.first.id
    if codec.key_id == wanted:
        if noted is not None and noted.key_file != str(ring.path):
            with writes.transaction(connection):
                rekeying.note_key(connection, origin, codec, ring)
        return
    if path.stat().st_size > MOST_SWEPT_BYTES or rekeying.row_count(connection) > MOST_REKEYED:
        _log.error("the ledger is not encrypted with the key in use, for it is large: see the page on encryption")
        return
    rekeying.rekey(connection, origin, ring)
    _log.warning("the ledger is encrypted", extra={"key": wanted, "before": codec.key_id or "in clear"})


def _sweep(connection: sqlite3.Connection, path: Path) -> None:
    """Rewrite a file of an earlier version, or one with another key; a large one a person does.

    Without room for that the next start does it.
    """
    try:
        if path.stat().st_size <= MOST_SWEPT_BYTES:
            if not schema.is_swept(connection):
                schema.sweep(connection)
                purging.empty_log(connection)
        elif not schema.is_swept(connection):
            _log.error(
                "what earlier versions deleted is still in the ledger's file, which is large: see the page on retention"
            )
    except sqlite3.Error as error:
        if not damages_nothing(error):
            raise
        _log.error("what earlier versions deleted is still in the ledger's file", extra={"reason": str(error)})


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Translates failures into LedgerDamaged, if the file is damaged, or LedgerUnavailable."""
    try:
        yield
    except (OSError, UnicodeDecodeError, sqlite3.Error) as error:
        fault = LedgerDamaged if _means_damage(error) else LedgerUnavailable
        raise fault(f"{path}: {error}") from error


def _refuse_lone_log(path: Path) -> None:
    """Raises if there is a WAL whose file is gone or empty: SQLite would delete it."""
    log = path.with_name(f"{path.name}-wal")
    if _size(log) and not _size(path):
        raise LedgerDamaged(f"{log} has lost its ledger")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _means_damage(error: OSError | UnicodeDecodeError | sqlite3.Error) -> bool:
    """Whether the error means a damaged file, and not the disk, permissions or the program."""
    match error:
        case UnicodeDecodeError():  # SQLite's message quotes a schema that is not text any more
            return True
        case sqlite3.OperationalError() if "decode to UTF-8" in str(error):  # a column, says Python, without a code
            return True
        case sqlite3.Error():
            code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
            return code & 0xFF in _DAMAGE
        case _:
            return False


def _check_pages(connection: sqlite3.Connection) -> None:
    if fault := file_check.fault_of(connection):
        raise LedgerDamaged(fault)


def _origin(
    connection: sqlite3.Connection, path: Path, gateway: str, now: Callable[[], Stamp], ring: KeyRing
) -> LedgerOrigin:
    origin = reads.origin(connection)
    if origin is None:
        if connection.execute("SELECT 1 FROM entry LIMIT 1").fetchone():
            raise LedgerDamaged("entries without an origin")
        if anchors(path) and set_aside_before(path) is None:
            raise LedgerBehind("the ledger is empty, and had entries")
        origin = _begin(connection, path, gateway, now().utc_us, ring)
    return origin


def _begin(connection: sqlite3.Connection, path: Path, gateway: str, now_us: int, ring: KeyRing) -> LedgerOrigin:
    """Make a new ledger, with what is proven in the damaged one that was set aside from `path`, if any."""
    aside = set_aside_before(path)
    before = None if aside is None else origin_of(aside, gateway, ring)
    salt = secrets.token_bytes(reads.SALT_BYTES) if before is None else before.salt
    origin = LedgerOrigin(gateway, epoch=secrets.token_hex(8), salt=salt)
    codec = codec_with(ring.first, origin.epoch)
    bind(connection, codec)
    with writes.transaction(connection):
        writes.insert_origin(connection, origin, now_us)
        rekeying.note_key(connection, origin, codec, ring)
        if aside is not None:
            known = None if before is None else anchored(path, before.epoch)
            carry_over(connection, origin, before, aside, ring, 0 if known is None else known.seq)
    return origin


def _check_chain(connection: sqlite3.Connection, origin: LedgerOrigin) -> Head:
    """The head, after verifying the chain's genesis and its last TAIL_ENTRIES. Raises LedgerDamaged."""
    head = reads.head(connection, origin)
    before_tail = max(0, head.seq - TAIL_ENTRIES)
    try:
        follow(origin.genesis, reads.entries(connection, limit=1))
        verified = reads.head_at(connection, origin, before_tail)
        while tail := reads.entries(connection, after_seq=verified.seq, limit=_PAGE):
            verified = follow(verified, tail)
    except (ChainBroken, ValueError) as error:  # ValueError: no such kind of entry
        raise LedgerDamaged(str(error)) from error
    return head


def _require_anchored(connection: sqlite3.Connection, origin: LedgerOrigin, head: Head, path: Path) -> None:
    """Raises LedgerBehind if the ledger has not all that was known of it."""
    known = anchored(path, origin.epoch)
    if known is None:
        return
    if head.seq < known.seq:
        raise LedgerBehind(f"the ledger ends at entry {head.seq}, and had {known.seq}")
    if reads.head_at(connection, origin, known.seq) != known:
        raise LedgerBehind(f"entry {known.seq} is not the one that was there")


def _set_aside(path: Path, aside: Path) -> None:
    """Renames the file and its companions so that they still belong together."""
    for companion in ("-wal", "-shm", ""):
        source = path.with_name(path.name + companion)
        if source.exists():
            source.rename(aside.with_name(aside.name + companion))
    file_check.clear(path)
