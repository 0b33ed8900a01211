"""How long what is settled is kept, and what a purge of it is. Pure."""

from enum import StrEnum

import msgspec

from gateway.session.spans import US_PER_S

_DAY_US = 86_400 * US_PER_S


class RetentionPlan(msgspec.Struct, frozen=True):
    """After how many days what is settled is purged; None: never."""

    identifiers_days: int | None = None
    messages_days: int | None = None
    copies_days: int | None = None

    @property
    def purges(self) -> bool:
        """Whether anything is ever purged."""
        return any(days is not None for days in msgspec.structs.astuple(self))

    def cutoffs(self, now_us: int) -> "Cutoffs":
        """What is due at an instant, UTC."""
        return Cutoffs(*(None if days is None else now_us - days * _DAY_US for days in msgspec.structs.astuple(self)))


class Cutoffs(msgspec.Struct, frozen=True):
    """What is older than these instants, UTC, is due; None: nothing is."""

    identifiers_us: int | None
    messages_us: int | None
    copies_us: int | None


class KeptFor(StrEnum):
    """Why what is old enough is not purged."""

    OPEN = "open"
    INCOMPLETE = "incomplete"
    HELD = "held"
    CORRECTION = "correction"  # a person is to decide about a charge
    UNDELIVERED = "undelivered"


class Kept(msgspec.Struct, frozen=True):
    """A session for which the identifiers of a patient are kept, though old enough."""

    session: str
    why: KeptFor


class Cursor(msgspec.Struct, frozen=True):
    """How far a sweep has come."""

    subject: str = ""
    outbox_id: int = 0
    receipt_seq: int = 0


class Purge(msgspec.Struct, frozen=True):
    """What one transaction purges."""

    subjects: tuple[str, ...] = ()
    messages: tuple[int, ...] = ()  # their rows of the outbox
    entries: tuple[int, ...] = ()  # that those messages come from
    texts: tuple[int, ...] = ()  # entries of their receipts
    changes: tuple[int, ...] = ()  # of numbers

    @property
    def empty(self) -> bool:
        """Whether it purges nothing."""
        return not (self.subjects or self.messages or self.texts or self.changes)


class Due(msgspec.Struct, frozen=True):
    """A page of what is due; `cursor` is where the next one begins, None after the last."""

    purge: Purge
    kept: tuple[Kept, ...]
    cursor: Cursor | None
