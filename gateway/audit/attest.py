"""Verification against checkpoints: those in the ledger itself, and those that a receiver holds."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from gateway.audit.report import Area, AuditProblem
from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.errors import CheckpointInvalid
from gateway.ledger.keys import signed
from gateway.ledger.reads import LedgerOrigin

NO_OUTSIDE = "no checkpoints from outside were given: a cut tail or a chain written anew would not show"
NO_KEY = "no public key was given: signatures are held to the key that each checkpoint names itself"


class CheckpointReport(msgspec.Struct, frozen=True):
    """The result of checking checkpoints from outside; `seq` is the last entry that one of them proves."""

    count: int
    seq: int
    problems: tuple[AuditProblem, ...]
    notes: tuple[str, ...]


def check_inside(
    held: Sequence[Checkpoint], origin: LedgerOrigin, hashes: Mapping[int, str], keys: Collection[bytes] | None
) -> Iterator[AuditProblem]:
    """Checks the checkpoints in the ledger. `hashes` has the chain's hashes by sequence number."""
    for checkpoint in held:
        try:
            head = checkpoint.head
        except CheckpointInvalid as error:
            yield AuditProblem(Area.CHECKPOINT, 0, f"a checkpoint in the ledger cannot be read: {error}")
            continue
        if (head.gateway, head.epoch) != (origin.gateway, origin.epoch):
            yield AuditProblem(Area.CHECKPOINT, head.seq, "a checkpoint in the ledger is one of another ledger")
        yield from _compare(checkpoint, hashes, keys, "in the ledger")


def check_outside(
    outside: Sequence[Checkpoint],
    origin: LedgerOrigin,
    hashes: Mapping[int, str],
    last_seq: int,
    keys: Collection[bytes] | None,
) -> CheckpointReport:
    """Checks the checkpoints that a receiver holds against a ledger that ends at `last_seq`."""
    notes = [] if outside else [NO_OUTSIDE]
    if keys is None:
        notes.append(NO_KEY)
    problems: list[AuditProblem] = []
    ours = [each for each in outside if (each.head.gateway, each.head.epoch) == (origin.gateway, origin.epoch)]
    others = {(each.head.gateway, each.head.epoch) for each in outside if each not in ours}
    for gateway, epoch in sorted(others):
        notes.append(f"checkpoints of {gateway}/{epoch} vouch for another ledger, which should be verified too")
    if outside and not ours:
        problems.append(AuditProblem(Area.CHECKPOINT, 0, "none of the checkpoints from outside is of this ledger"))
    for checkpoint in ours:
        head = checkpoint.head
        if head.seq > last_seq:
            text = f"was signed at {checkpoint.at} and is missing: the ledger ends at {last_seq}"
            problems.append(AuditProblem(Area.CHECKPOINT, head.seq, text))
        problems += _compare(checkpoint, hashes, keys, "from outside")
    good = {problem.seq for problem in problems}
    seq = max((each.head.seq for each in ours if each.head.seq not in good), default=0)
    return CheckpointReport(len(ours), seq, tuple(problems), tuple(notes))


def _compare(
    checkpoint: Checkpoint, hashes: Mapping[int, str], keys: Collection[bytes] | None, where: str
) -> Iterator[AuditProblem]:
    head = checkpoint.head
    if keys is not None and checkpoint.public_key not in keys:
        yield AuditProblem(Area.CHECKPOINT, head.seq, f"a checkpoint {where} was signed with another key")
    elif not signed(checkpoint.public_key, checkpoint.signature, checkpoint.note.encode()):
        yield AuditProblem(Area.CHECKPOINT, head.seq, f"a checkpoint {where} has no valid signature")
    if head.seq in hashes and hashes[head.seq] != head.hash:
        yield AuditProblem(Area.CHECKPOINT, head.seq, f"is not the entry that a checkpoint {where} vouches for")
