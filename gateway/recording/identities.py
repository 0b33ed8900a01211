"""A patient's identifiers between messages, which know what they were told, and the ledger, which keeps it."""

import msgspec

from gateway.ledger import batch
from gateway.messages.inbound import answers


def to_keep(told: answers.Identity) -> batch.Identity:
    """What the ledger keeps: "" for what is unknown."""
    return batch.Identity(told.subject, told.visit, *(value or "" for value in _beside_the_visit(told)))


def merge_to_keep(told: answers.Merge) -> batch.Merge:
    """A merge as the ledger carries it out."""
    return batch.Merge(told.kind, told.old, told.new)


def completed(told: answers.Identity | None, kept: batch.Identity | None) -> answers.Identity | None:
    """All that is known: what was told now, and of the rest what the ledger has. None: nobody, or purged."""
    if kept is None:
        return told
    _, visit, *rest = msgspec.structs.astuple(kept)
    newer = _beside_the_visit(told) if told is not None else [None] * len(rest)
    values = [new or old or None for new, old in zip(newer, rest, strict=True)]
    return answers.Identity(kept.subject, told.visit if told is not None else visit, *values)


def _beside_the_visit(told: answers.Identity) -> list[str | None]:
    return list(msgspec.structs.astuple(told)[2:])
