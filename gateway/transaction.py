"""One ledger transaction in the making: entries on the chain, and the messages that they cause."""

from collections.abc import Iterable

from gateway.formats.events import CONTENT_TYPE, Event, encode_event
from gateway.ledger.batch import Batch, Identity, OutboxMessage
from gateway.ledger.entry import Entry, EntryKind, Head, append


class Transaction:
    """Entries that continue the chain at `head`, all recorded at `recorded_us`."""

    def __init__(self, head: Head, recorded_us: int) -> None:
        self.recorded_us = recorded_us
        self.epoch = head.epoch
        self._head = head
        self._entries: list[Entry] = []
        self._outbox: list[OutboxMessage] = []

    @property
    def next_seq(self) -> int:
        """The number that the next entry will have; messages carry it."""
        return self._head.seq + 1

    @property
    def last_seq(self) -> int:
        """The number of the entry recorded last."""
        return self._head.seq

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._entries

    def record(self, kind: EntryKind, session: str, body: bytes) -> None:
        """Append an entry; `session` is "" for what is tied to none."""
        entry, self._head = append(self._head, self.recorded_us, kind, session, body.decode())
        self._entries.append(entry)

    def publish(self, topic: str, event: Event) -> None:
        """Send `event` because of the entry recorded last."""
        self._outbox.append(OutboxMessage(self._head.seq, event.id, topic, encode_event(event), False, CONTENT_TYPE))

    def batch(self, identities: Iterable[Identity] = ()) -> Batch:
        """All of it, to be committed as one."""
        return Batch(tuple(self._entries), tuple(self._outbox), tuple(identities), self._head)
