"""What goes into the ledger and comes out of it: one commit's batch, the rows of the outbox, and counts of both.

A commit writes entries, the messages they cause (the transactional outbox) and the identifiers of whom they concern.
"""

import msgspec

from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, Head
from gateway.messages.identity import Identity, Merge
from gateway.messages.inbound.answers import ReceiptResult

UNPROVEN = -1  # MQTT 3.1.1 acknowledges without a reason, also what it silently drops


class OutboxMessage(msgspec.Struct, frozen=True):
    """A message to publish because of entry `seq`. Its `event_id` is unique for ever."""

    seq: int
    event_id: str
    topic: str
    payload: bytes
    retain: bool
    content_type: str  # "" for none
    key: str = ""  # of what the engine is to have: its receipts name it. "": nobody follows this message
    awaited: bool = False  # the engine sends receipts for it


class ReceiptRow(msgspec.Struct, frozen=True):
    """The receipt of the message `key`, as entry `seq` records it."""

    seq: int
    key: str
    result: ReceiptResult
    code: str
    text: str  # in the engine's words, which may name a patient: kept beside the chain, never in it
    message: str  # id of the receipt itself
    at_us: int  # when it was taken, UTC


class ResendOrder(msgspec.Struct, frozen=True):
    """A person's order to send the message `key` again, as entry `seq` records it."""

    seq: int
    key: str


class SessionDue(msgspec.Struct, frozen=True):
    """What is left to do about a session; instants and units as in its record. A start need not look at one without."""

    token: str
    opened_us: int
    done: bool
    wake_us: int
    due_us: int
    watched: tuple[str, ...]  # those of `units` whose readings move it on
    units: tuple[str, ...]


class Batch(msgspec.Struct, frozen=True):
    """One transaction: all of it is in the ledger, or none."""

    entries: tuple[Entry, ...]
    outbox: tuple[OutboxMessage, ...]
    identities: tuple[Identity, ...]  # kept apart from the chain, so that they can be purged
    head: Head  # after the entries; the ledger's own head when there are none
    checkpoint: Checkpoint | None = None  # of that head
    receipts: tuple[ReceiptRow, ...] = ()
    resends: tuple[ResendOrder, ...] = ()
    merges: tuple[Merge, ...] = ()
    sessions: tuple[SessionDue, ...] = ()  # how they stand after the entries

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.entries or self.outbox or self.identities or self.merges or self.checkpoint)


class OutboxRow(msgspec.Struct, frozen=True):
    """One message that waits for the broker. Its bytes never change, so that every repeat is byte-equal."""

    outbox_id: int  # rises in the order of commit
    event_id: str
    topic: str
    payload: bytes
    retain: bool
    content_type: str  # "" for none


class Attempt(msgspec.Struct, frozen=True):
    """What the broker said to one publish of a row: `reason` is the MQTT 5 PUBACK reason code, or UNPROVEN."""

    outbox_id: int
    at_us: int  # UTC
    reason: int
    delivered: bool  # the broker took it: the row is not offered again. Says nothing of any consumer


class Backlog(msgspec.Struct, frozen=True):
    """How many rows wait for the broker, and since when the oldest does (UTC; None when none waits)."""

    depth: int
    oldest_us: int | None


class Tally(msgspec.Struct, frozen=True):
    """How many entries record what was published of a session, and the number of the first (0 without one)."""

    count: int
    first_seq: int
