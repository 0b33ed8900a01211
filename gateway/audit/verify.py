"""Verification of a whole ledger: its hash chain, index, outbox and checkpoints, and its counts re-derived from facts.

Read-only, in one snapshot, beside a running gateway or without one. Every problem is reported; none hides the next.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from gateway.audit.attest import check_inside, check_outside
from gateway.audit.index_checks import IndexCheck
from gateway.audit.outbox_checks import message_problems
from gateway.audit.queue_checks import derived_problems, queue_problems, receipt_problems, staged_problems
from gateway.audit.rederive import Rederiver
from gateway.audit.report import Area, AuditProblem, AuditReport
from gateway.audit.sealed_checks import SealCheck, unreadable_texts
from gateway.audit.stream import RawEntry, open_snapshot, stream, transactions
from gateway.ledger import reads, schema
from gateway.ledger.anchor import anchors, last_of
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.codec import Codec, codec_of
from gateway.ledger.entry import Head, link
from gateway.ledger.errors import LedgerDamaged, LedgerUnavailable
from gateway.ledger.reads import LedgerOrigin


def verify(
    path: Path,
    outside: Sequence[Checkpoint] = (),
    keys: Collection[bytes] | None = None,
    key_file: Path | None = None,
) -> AuditReport:
    """Verifies the ledger at `path` against itself and the checkpoints that a receiver holds.

    `keys` are the accepted raw public keys; None accepts the key that each checkpoint itself names. `key_file` has the
    key of an encrypted ledger; without it what is encrypted is not compared with what the chain seals.
    Raises LedgerUnavailable if there is no ledger that this version reads, LedgerLocked if `key_file` lacks its key.
    """
    known = anchors(path)  # before the snapshot, for a running gateway moves it
    with open_snapshot(path, key_file) as connection:
        return verify_open(connection, outside, keys, known)


def verify_open(
    connection: sqlite3.Connection,
    outside: Sequence[Checkpoint] = (),
    keys: Collection[bytes] | None = None,
    known: Sequence[Head] = (),
) -> AuditReport:
    """As `verify`, of an open ledger; `known` are the heads in the anchor beside its file."""
    origin = reads.origin(connection)
    if origin is None:
        raise LedgerUnavailable("this is a ledger that no gateway has begun")
    anchored = last_of(known, origin.epoch)
    problems = list(_file_problems(connection))
    held = reads.checkpoints(connection)
    wanted = {each.head.seq for each in outside} | {seq for (seq,) in connection.execute("SELECT seq FROM checkpoint")}
    wanted |= {anchored.seq} if anchored else set()
    chain, indexed, rederiver = _Chain(origin.genesis, wanted), IndexCheck(connection), Rederiver(connection)
    sealed = SealCheck()
    for transaction in transactions(stream(connection)):
        for entry in transaction:
            problems += chain.take(entry)
            sealed.take(entry)
        problems += indexed.take(transaction)
        problems += rederiver.take(transaction)
    problems += indexed.end()
    codec = codec_of(connection)
    if codec.reads:
        problems += sealed.end(connection, origin.salt)
        problems += unreadable_texts(connection)
    problems += _key_problems(connection, origin)
    problems += message_problems(connection, origin.salt)
    problems += queue_problems(connection)
    of_receipts = list(receipt_problems(connection))
    problems += of_receipts
    problems += derived_problems(connection, by_receipts=not of_receipts)
    problems += staged_problems(connection)
    problems += check_inside(held, origin, chain.hashes, keys)
    if anchored and chain.hashes.get(anchored.seq) != anchored.hash:
        problems.append(AuditProblem(Area.CHAIN, anchored.seq, "was there, by the anchor: the end is lost or another"))
    found = check_outside(outside, origin, chain.hashes, chain.head.seq, keys)
    problems += found.problems
    return AuditReport(
        gateway=origin.gateway,
        epoch=origin.epoch,
        entries=chain.count,
        head_hash=chain.head.hash,
        messages=connection.execute("SELECT count(*) FROM outbox").fetchone()[0],
        increments=rederiver.increments,
        charges=rederiver.charges,
        checkpoints_inside=len(held),
        checkpoints_outside=found.count,
        attested_seq=found.seq,
        problems=tuple(sorted(problems, key=lambda problem: problem.seq)),
        notes=(*rederiver.notes, *found.notes, *(() if codec.reads else (_unread(codec),))),
    )


def _unread(codec: Codec) -> str:
    return f"patients and messages are encrypted with key {codec.key_id}: without it they are not held to their seals"


def _key_problems(connection: sqlite3.Connection, origin: LedgerOrigin) -> Iterator[AuditProblem]:
    """The key and the genesis hash that an encrypted ledger names, by which it is read without the key, are its own."""
    noted, key_id = reads.encryption(connection), codec_of(connection).key_id
    keys = [each for (each,) in connection.execute("SELECT key_id FROM encryption")]
    if keys != ([key_id] if key_id else []):
        text = f"it is noted as encrypted with {', '.join(keys) or 'no key'}, and is with {key_id or 'none'}"
        yield AuditProblem(Area.FILE, 0, text)
    if noted is not None and noted.root != origin.genesis.hash:
        yield AuditProblem(Area.CHAIN, 0, "what an encrypted ledger says of its beginning is not so")


def _file_problems(connection: sqlite3.Connection) -> Iterator[AuditProblem]:
    for (verdict,) in connection.execute("PRAGMA integrity_check(20)"):
        if verdict != "ok":
            yield AuditProblem(Area.FILE, 0, verdict)
    try:
        schema.require_guards(connection)
    except LedgerDamaged as error:
        yield AuditProblem(Area.FILE, 0, str(error))


class _Chain:
    """Verifies the hash chain and goes on after a broken link. `hashes` has the genesis and the wanted entries."""

    def __init__(self, genesis: Head, wanted: set[int]) -> None:
        self.head = genesis
        self.count = 0
        self.hashes = {genesis.seq: genesis.hash}
        self._wanted = wanted

    def take(self, entry: RawEntry) -> Iterator[AuditProblem]:
        before = self.head
        if entry.seq != before.seq + 1:
            what = "is missing" if entry.seq == before.seq + 2 else f"to {entry.seq - 1} are missing"
            yield AuditProblem(Area.CHAIN, before.seq + 1, what)
        elif entry.prev_hash != before.hash:
            yield AuditProblem(Area.CHAIN, entry.seq, "does not follow the entry before it")
        claimed = Head(before.epoch, entry.seq - 1, entry.prev_hash, before.gateway)
        if link(claimed, entry.kind, entry.session, entry.recorded_us, entry.body) != entry.hash:
            yield AuditProblem(Area.CHAIN, entry.seq, "is not what was hashed")
        self.count += 1
        self.head = Head(before.epoch, entry.seq, entry.hash, before.gateway)
        if entry.seq in self._wanted:
            self.hashes[entry.seq] = entry.hash
