"""Looks up all that a message's reader asks for in one job, since each hand-over to the ledger's thread has a price."""

import sqlite3
from dataclasses import dataclass, field

import msgspec

from gateway.ledger import read_back, reads, staging
from gateway.messages.identity import Identity, Number, NumberKind
from gateway.session.facts import Key
from gateway.session.related import Anchor

NumberOf = tuple[NumberKind, Number]


@dataclass
class Names:
    """What a reader asks for."""

    keys: set[Key] = field(default_factory=set[Key])  # of facts
    visits: set[str] = field(default_factory=set[str])  # to which the EHR may have renumbered others
    subjects: set[str] = field(default_factory=set[str])  # their identities
    numbers: set[NumberOf] = field(default_factory=set[NumberOf])  # who has them
    unseen: set[str] = field(default_factory=set[str])  # subjects about whom messages may wait

    def add(self, other: "Names") -> None:
        """Add those of `other`."""
        self.keys |= other.keys
        self.visits |= other.visits
        self.subjects |= other.subjects
        self.numbers |= other.numbers
        self.unseen |= other.unseen

    def without(self, other: "Names") -> "Names":
        """Those that are not in `other`."""
        return Names(
            self.keys - other.keys,
            self.visits - other.visits,
            self.subjects - other.subjects,
            self.numbers - other.numbers,
            self.unseen - other.unseen,
        )

    @property
    def empty(self) -> bool:
        """Whether it asks for nothing."""
        return not (self.keys or self.visits or self.subjects or self.numbers or self.unseen)


class Found(msgspec.Struct, frozen=True):
    """What the ledger has of it."""

    renumbered: dict[str, str]  # visit -> the subject that it had before
    anchors: list[Anchor]  # the last one of each key, and of these subjects
    identities: dict[str, Identity]
    holders: dict[NumberOf, list[Identity]]
    staged: set[str]


def look_up(connection: sqlite3.Connection, names: Names, now_us: int) -> Found:
    """All that the ledger has of `names`; anchors before `now_us`."""
    renumbered = reads.subjects(connection, sorted(names.visits))
    before: set[Key] = {("patient", subject) for subject in renumbered.values()}
    return Found(
        renumbered,
        read_back.anchors(connection, sorted(names.keys | before), now_us),
        {each: known for each in names.subjects if (known := reads.identity(connection, each)) is not None},
        {each: reads.identified(connection, *each) for each in names.numbers},
        {each for each in names.unseen if staging.waits(connection, each)},
    )
