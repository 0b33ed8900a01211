"""What one commit writes: entries, the messages they cause, and the identifiers of whom they concern."""

import msgspec

from gateway.ledger.checkpoint import Checkpoint
from gateway.ledger.entry import Entry, Head


class OutboxMessage(msgspec.Struct, frozen=True):
    """A message to publish because of entry `seq`. Its `event_id` is unique for ever."""

    seq: int
    event_id: str
    topic: str
    payload: bytes
    retain: bool
    content_type: str  # "" for none


class Identity(msgspec.Struct, frozen=True):
    """The patient identifiers behind a subject; kept apart so that they can be purged. "" is unknown."""

    subject: str
    visit: str
    mrn: str
    account: str


class Batch(msgspec.Struct, frozen=True):
    """One transaction: all of it is in the ledger, or none."""

    entries: tuple[Entry, ...]
    outbox: tuple[OutboxMessage, ...]
    identities: tuple[Identity, ...]
    head: Head  # after the entries; the ledger's own head when there are none
    checkpoint: Checkpoint | None = None  # of that head

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.entries or self.outbox or self.identities or self.checkpoint)
