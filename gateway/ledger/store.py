"""The ledger: the store of everything that must survive a restart.

Theory of operation: one connection in one thread does every read and write of a running gateway. A batch has facts,
events, outbox rows (the transactional outbox) and identifiers, which are committed atomically. The batches that are
appended within a `group` share one transaction and one commit (group commit); reads meanwhile see them, except the
relay's, which wait for the commit. The caller computes the hash chain (`entry.append`) from `head`; it is verified
against the chain on disk. A commit cannot be cancelled half-way.

Whether a failed commit is on disk is unknown. After one the ledger refuses everything with LedgerBroken; the gateway
exits, starts again, and reads the outcome from the file.

Promise: once in the ledger, at least once on MQTT with repeats byte-equal, effectively once for a consumer that keys on
the event's `source` and `id`, which are the idempotency key.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

from drivers.reading import Stamp
from gateway.ledger import index, opening, purging, read_back, reads, rekeying, schema, sealing, staging, writes
from gateway.ledger.anchor import LedgerAnchor
from gateway.ledger.batch import Batch, Tally
from gateway.ledger.codec import Codec, Locked, bind, codec_of, open_file
from gateway.ledger.entry import Entry, EntryKind, Head
from gateway.ledger.errors import LedgerLocked, LedgerUnavailable
from gateway.ledger.file_check import BackgroundCheck, FileCheck, mark
from gateway.ledger.key_ring import NO_KEYS, KeyRing, read_ring
from gateway.ledger.look_up import Found, Names, look_up
from gateway.ledger.outbox import Outbox
from gateway.ledger.read_back import ClockKnown, Restart, clock_known
from gateway.ledger.retention import Cursor, Cutoffs, Due
from gateway.ledger.staging import Staged
from gateway.ledger.worker import Worker, settle, state_lock
from gateway.messages.details import About, Details
from gateway.messages.identity import Identity, Number, NumberKind
from gateway.session.facts import ActTold, AnyFact, UnitSwapped
from gateway.session.related import Anchor
from gateway.session.state import ReadBack

LEDGER_FILE = "ledger.db"  # in the state directory


class Ledger:
    """An open ledger. `head` is the end of the chain, `set_aside` the damaged file that it replaced, if any.

    `entries_lost`: not all of that file could be carried over. `lost_since_us`: entries may be lost from then on,
    UTC; None: none are.

    `signed_seq` is the last entry with a checkpoint; 0 for none. `policies` are the names of those whose text it has.
    """

    def __init__(self, worker: Worker, opened: opening.Opened, check: BackgroundCheck, anchor: LedgerAnchor) -> None:
        self.head = opened.head
        self.salt = opened.origin.salt
        self.set_aside = opened.set_aside
        self.entries_lost = opened.entries_lost
        self.lost_since_us = opened.lost_since_us
        self.signed_seq = opened.signed_seq
        self.policies = opened.policies
        self.outbox = Outbox(worker)
        self._origin = opened.origin
        self._worker = worker
        self._anchor = anchor
        self._check = check
        self._loop = asyncio.get_running_loop()
        self._appended = False  # whether the group has anything to commit
        self._has_rows = False  # whether it has outbox rows

    @property
    def file_check(self) -> FileCheck:
        """The result of the check of the whole file."""
        return self._check.result

    async def commit(self, batch: Batch) -> None:
        """Commits all of `batch`; cancellation of the caller does not stop it.

        Raises ChainBroken, DuplicateEvent or ConflictingEvent with nothing written; LedgerBroken if that is unknown.
        """
        await self._worker.run_apart(partial(self._commit, batch))

    @asynccontextmanager
    async def group(self) -> AsyncGenerator[None]:
        """Everything appended within the block is committed at its end, by one commit. Raises LedgerBroken."""
        async with self._worker.group:
            try:
                yield
            finally:
                if self._appended:
                    self._appended = False
                    await self._worker.run(self._commit_group)

    async def append(self, batch: Batch) -> None:
        """Adds `batch` to the group of the enclosing block. Raises as `commit`, with nothing of `batch` added."""
        self._appended = True
        await self._worker.run(partial(self._append, batch))

    async def entries(
        self, after_seq: int = 0, kinds: Iterable[EntryKind] | None = None, session: str | None = None
    ) -> list[Entry]:
        """Entries after `after_seq` in the order of the chain, only of `kinds` and of `session` where given."""
        return await self._worker.run(partial(reads.entries, after_seq=after_seq, kinds=kinds, session=session))

    async def restart(self, whole_from_us: int, idle_us: int) -> Restart:
        """The input of a start: `read_back.restart`."""
        return await self._worker.run(partial(read_back.restart, whole_from_us=whole_from_us, idle_us=idle_us))

    async def read_back(self, anchors: Iterable[Anchor], learned: Iterable[AnyFact], idle_us: int) -> ReadBack:
        """Facts and sessions that are not in memory: `read_back.read_back`."""
        job = partial(read_back.read_back, anchors=tuple(anchors), learned=tuple(learned), idle_us=idle_us)
        return await self._worker.run(job)

    async def clock_known(self) -> ClockKnown:
        """By what the machine's clock is judged at a start."""
        return await self._worker.run(clock_known)

    async def swaps(self) -> list[UnitSwapped]:
        """Every swap of a unit, in the order in which they were recorded."""
        return await self._worker.run(reads.swaps)

    async def act_told(self, login: str, key: str) -> ActTold | None:
        """What was recorded of the act to which an account gave that key, however long ago."""
        return await self._worker.run(partial(reads.act_told, login=login, key=key))

    async def look_up(self, names: Names, now_us: int) -> Found:
        """All that the ledger has of what a message names; anchors before `now_us`."""
        return await self._worker.run(partial(look_up, names=names, now_us=now_us))

    async def treatments(self, subjects: Iterable[str]) -> list[Anchor]:
        """The anchors of all treatments of these patients."""
        return await self._worker.run(partial(read_back.treatments, subjects=sorted(subjects)))

    async def knows_message(self, sealed: str, message_id: str, since_us: int) -> bool:
        """Whether a message was processed before: `index.knows_message`."""
        job = partial(index.knows_message, sealed=sealed, message_id=message_id, since_us=since_us)
        return await self._worker.run(job)

    async def commit_new(self, batch: Batch, sealed: str, message_id: str, since_us: int) -> bool:
        """Add `batch` to the enclosing block's group, and commit what it has so far, in one job; whether it was new.

        Nothing is added or committed of a message that was processed before, or waits for its visit.
        """

        def job(connection: sqlite3.Connection) -> bool:
            if staging.knows(connection, sealed) or index.knows_message(connection, sealed, message_id, since_us):
                return False
            self._append(batch, connection)
            self._commit_group(connection)
            return True

        before, self._appended = self._appended, True
        is_new = await self._worker.run(job)
        self._appended = before and not is_new
        return is_new

    async def staged(self, subjects: Iterable[str]) -> list[Staged]:
        """The messages about these subjects that wait, in the order of arrival."""
        wanted = sorted(subjects)
        return await self._worker.run(partial(staging.of_subjects, subjects=wanted)) if wanted else []

    async def heard_since(self, since_us: int, most: int) -> dict[str, int]:
        """When the newest message that waits for a visit arrived, by subject: since then, of the last `most` visits."""
        return await self._worker.run(partial(staging.heard_since, since_us=since_us, most=most))

    async def staged_count(self) -> int:
        """How many messages wait for their visit."""
        return await self._worker.run(staging.count)

    async def due(self, cutoffs: Cutoffs, after: Cursor) -> Due:
        """A page of what is to be purged: `purging.due`."""
        return await self._worker.run(partial(purging.due, cutoffs=cutoffs, after=after))

    async def seals_of_changes(self, changes: Iterable[int]) -> tuple[str, ...]:
        """The seals of these changes of numbers."""
        wanted = tuple(changes)

        def job(connection: sqlite3.Connection) -> tuple[str, ...]:
            where = f"id IN ({', '.join('?' * len(wanted))})"
            found = sealing.seals_of(connection, self.salt, "renumbered", where, wanted)
            return tuple(each for seals in found.values() for each in seals)

        return await self._worker.run(job) if wanted else ()

    async def empty_log(self) -> bool:
        """Rid the write-ahead log of what was purged: `purging.empty_log`."""
        return await self._worker.run_apart(purging.empty_log)

    async def identity(self, subject: str) -> Identity | None:
        """The identifiers of a subject; None if never recorded or purged."""
        return await self._worker.run(partial(reads.identity, subject=subject))

    async def details(self, subject: str, about: About, name: str) -> Details:
        """What is stated of a visit, an order or a charge; nothing if never recorded or purged."""
        return await self._worker.run(partial(reads.details, subject=subject, about=about, name=name))

    async def subjects(self, visits: Iterable[str]) -> dict[str, str]:
        """Visit number -> subject, for visits that the EHR has renumbered to these numbers."""
        wanted = sorted(visits)
        return await self._worker.run(partial(reads.subjects, visits=wanted)) if wanted else {}

    async def identified(self, kind: NumberKind, number: Number) -> list[Identity]:
        """The identities with that number."""
        return await self._worker.run(partial(reads.identified, kind=kind, number=number))

    async def tally(self, session: str) -> Tally:
        """The number of publications of a session, and the first one's entry."""
        return await self._worker.run(partial(reads.tally, session=session))

    def _commit(self, batch: Batch, connection: sqlite3.Connection) -> None:
        """Runs in the ledger's thread, so that the head is updated even if the caller was cancelled."""
        head = writes.append_batch(connection, self._origin, batch)
        self._moved(batch, head)
        self._committed()

    def _append(self, batch: Batch, connection: sqlite3.Connection) -> None:
        head = writes.append_to_group(connection, self._origin, batch)
        self._moved(batch, head)

    def _moved(self, batch: Batch, head: Head) -> None:
        self.head = head
        self.policies = self.policies.union(batch.policies)
        self._has_rows |= bool(batch.outbox or batch.resends)
        if batch.checkpoint is not None:
            self.signed_seq = batch.head.seq

    def _commit_group(self, connection: sqlite3.Connection) -> None:
        writes.commit_group(connection)
        self._committed()

    def _committed(self) -> None:
        self._anchor.set(self.head)  # before anything of it can be published
        if self._has_rows:
            self._has_rows = False
            self._loop.call_soon_threadsafe(self.outbox.committed)


@asynccontextmanager
async def open_ledger(
    path: Path,
    gateway: str,
    now: Callable[[], Stamp],
    connect: Callable[[Path], sqlite3.Connection] = opening.connect_file,
    ring: KeyRing = NO_KEYS,
) -> AsyncGenerator[Ledger]:
    """The ledger of `gateway` at `path`, made if there is none, replaced under a new epoch if it is damaged.

    It is encrypted with the first key of `ring`. Raises StateLocked if another gateway uses the directory,
    LedgerUnavailable if the file cannot be used, LedgerLocked if the ring lacks the key that it is encrypted with.
    """
    loop = asyncio.get_running_loop()
    with state_lock(path.parent), ThreadPoolExecutor(1, thread_name_prefix="ledger") as thread, ExitStack() as owned:

        def start() -> tuple[opening.Opened, LedgerAnchor]:
            opened = opening.open_or_replace(path, gateway, now, connect, ring)
            owned.callback(opened.connection.close)
            anchor = LedgerAnchor(path)
            owned.callback(anchor.close)
            anchor.set(opened.head)
            return opened, anchor

        try:
            opened, anchor = await settle(loop.run_in_executor(thread, start))
            result = FileCheck.SOUND if opened.checked else FileCheck.RUNNING
            check = BackgroundCheck(path, result, codec_of(opened.connection))
            async with check.running():
                yield Ledger(Worker(thread, opened.connection, partial(mark, path)), opened, check, anchor)
        finally:
            await settle(loop.run_in_executor(thread, owned.close))


@contextmanager
def open_readonly(path: Path, key_file: Path | None = None) -> Generator[sqlite3.Connection]:
    """A connection for the functions of `reads`, with or without a running gateway. Never makes a ledger.

    `key_file` has the key of an encrypted ledger; None: the file that the gateway took it from, if it can be read.
    Without the key what is encrypted cannot be read, and whatever asks for it raises LedgerLocked.
    Raises LedgerUnavailable if there is no ledger of this version's schema, LedgerLocked if `key_file` lacks its key.
    """
    ring = read_ring(key_file)
    try:
        connection = open_file(path)
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{path} cannot be opened: {error}") from error
    try:
        schema.require_current(connection, path)
        bind(connection, _codec_for_reading(connection, path, ring))
        yield connection
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"{path}: {error}") from error
    finally:
        connection.close()


def _codec_for_reading(connection: sqlite3.Connection, path: Path, given: KeyRing) -> Codec:
    """Raises LedgerLocked if the ring that is given lacks the key, LedgerDamaged."""
    noted = reads.encryption(connection)
    ring = given
    if not given.keys and noted is not None:
        with suppress(LedgerLocked):  # this user cannot read that file
            ring = read_ring(Path(noted.key_file))
    codec = rekeying.codec_for(connection, ring)
    if codec.reads:
        return codec
    if given.keys:
        raise LedgerLocked(f"{path} {given.lacking(codec.key_id)}")
    had = "" if noted is None else f", which {noted.key_file} had"
    return Locked(codec.key_id, f"{path} is encrypted with key {codec.key_id}{had}: name a file that has it with --key")
