"""The types written to and read from the ledger: the batch of one commit, outbox rows, counts.

A commit writes entries, the messages that they cause (the transactional outbox) and the identifiers of their patients.
"""

import msgspec

from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, Head
from gateway.ledger.retention import Purge
from gateway.ledger.staging import Bounds, Staged
from gateway.messages.details import Stated
from gateway.messages.identity import Identity, Merge
from gateway.messages.inbound.answers import ReceiptResult

UNPROVEN = -1  # in place of a reason code: MQTT 3.1.1 acknowledges without one, also what the broker drops


class OutboxMessage(msgspec.Struct, frozen=True):
    """A message to publish, caused by entry `seq`. Its `event_id` is unique for ever."""

    seq: int
    event_id: str
    topic: str
    payload: bytes
    retain: bool
    content_type: str  # "" for none
    key: str = ""  # by which the engine's receipts name the message; "": its delivery to the engine is not followed
    awaited: bool = False  # the engine sends receipts for it


class ReceiptRow(msgspec.Struct, frozen=True):
    """The receipt of the message `key`, as entry `seq` records it."""

    seq: int
    key: str
    result: ReceiptResult
    code: str
    text: str  # the engine's text, which may name a patient: stored outside the chain
    message: str  # id of the receipt itself
    at_us: int  # when it was received, UTC


class ResendOrder(msgspec.Struct, frozen=True):
    """A person's order to send the message `key` again, as entry `seq` records it."""

    seq: int
    key: str


class SessionDue(msgspec.Struct, frozen=True):
    """When a session is due next; instants and units as in its SessionRecord. It saves a start from assessing all."""

    token: str
    opened_us: int
    done: bool
    wake_us: int
    due_us: int
    watched: tuple[str, ...]  # those of `units` whose readings can change it
    units: tuple[str, ...]
    patient: str = ""  # "": nobody is known


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
    sessions: tuple[SessionDue, ...] = ()  # after the entries
    details: tuple[Stated, ...] = ()  # kept apart, as the identities
    policies: tuple[str, ...] = ()  # names of those whose text the entries have
    staged: tuple[Staged, ...] = ()
    taken_up: tuple[int, ...] = ()  # numbers of those that wait no longer
    staging: Bounds | None = None  # what is beyond them is dropped
    purge: Purge | None = None  # as the entries say

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        beside = self.identities or self.merges or self.details or self.staged or self.taken_up or self.staging
        return not (self.entries or self.outbox or beside or self.checkpoint)


class OutboxRow(msgspec.Struct, frozen=True):
    """One message of the outbox. Its bytes never change, so that every repeat is byte-equal."""

    outbox_id: int  # ascending in the order of commit
    event_id: str
    topic: str
    payload: bytes
    retain: bool
    content_type: str  # "" for none


class Attempt(msgspec.Struct, frozen=True):
    """The broker's answer to one publish of a row: `reason` is the MQTT 5 PUBACK reason code, or UNPROVEN."""

    outbox_id: int
    at_us: int  # UTC
    reason: int
    delivered: bool  # the broker accepted it: the row is not published again. It proves nothing of any consumer


class Backlog(msgspec.Struct, frozen=True):
    """How many outbox rows wait for the broker, and since when the oldest does (UTC; None when none waits)."""

    depth: int
    oldest_us: int | None


class Tally(msgspec.Struct, frozen=True):
    """The number of entries of a session's publications, and the sequence number of the first (0 without one)."""

    count: int
    first_seq: int
