"""One ledger transaction in the making: entries on the hash chain, and the messages that they cause.

Theory of operation. This is a transactional outbox: entries and messages are committed together, so that no message is
sent of what is not recorded, and none is missing of what is. A message's id is its idempotency key: it is made from the
session's token or the entry's number, and whatever is sent again has the same.
"""

from collections.abc import Iterable

from gateway.ledger.batch import Batch, OutboxMessage, ReceiptRow, ResendOrder, SessionDue
from gateway.ledger.bodies import Order, ReceiptBody, ReceiptNote, ResendBody, encode_body
from gateway.ledger.entry import Entry, EntryKind, Head, append
from gateway.messages.cloudevents import Event, encode_event
from gateway.messages.destination import Destination
from gateway.messages.identity import Identity, Merge
from gateway.recording.receipts import Settled
from gateway.session.keys import session_of
from gateway.session.outcome import SessionRecord

PUBLISHED_KINDS = frozenset({EntryKind.SESSION, EntryKind.INCREMENT, EntryKind.CHARGE})


class Transaction:
    """Entries that continue the chain at `head`, all recorded at `recorded_us`."""

    def __init__(self, head: Head, recorded_us: int) -> None:
        self.recorded_us = recorded_us
        self.epoch = head.epoch
        self._head = head
        self._entries: list[Entry] = []
        self._outbox: list[OutboxMessage] = []
        self._receipts: list[ReceiptRow] = []
        self._resends: list[ResendOrder] = []
        self._sessions: list[SessionDue] = []

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

    def publish(self, to: Destination, event: Event, *, key: str = "", awaited: bool = False) -> None:
        """Send `event` because of the entry recorded last; with a `key` it is followed to the engine."""
        self.publish_raw(to, event.id, encode_event(event), key=key, awaited=awaited)

    def publish_raw(
        self, to: Destination, message_id: str, payload: bytes, *, key: str = "", awaited: bool = False
    ) -> None:
        """Send these bytes, which need be no event. The outbox has no other message of that id, ever."""
        self._outbox.append(
            OutboxMessage(self._head.seq, message_id, to.topic, payload, to.retain, to.content_type, key, awaited)
        )

    def clear(self, to: Destination, event_id: str) -> None:
        """Let the broker keep nothing there any more."""
        self._outbox.append(OutboxMessage(self._head.seq, event_id, to.topic, b"", to.retain, content_type=""))

    def entries_of(self, session: str) -> list[Entry]:
        """The entries so far of what is published of the session."""
        return [entry for entry in self._entries if entry.session == session and entry.kind in PUBLISHED_KINDS]

    def receive(self, settled: Settled) -> None:
        """Record what the engine said of a message; its words stay beside the chain."""
        receipt = settled.receipt
        body = ReceiptBody(ReceiptNote(settled.key, receipt.result, settled.code))
        self.record(EntryKind.DELIVERY, settled.session, encode_body(body))
        self._receipts.append(
            ReceiptRow(
                self._head.seq,
                settled.key,
                settled.receipt.result,
                settled.code,
                settled.text,
                receipt.message_id,
                self.recorded_us,
            )
        )

    def order(self, order: Order) -> None:
        """Record that a person wants a message sent again."""
        self.record(EntryKind.DELIVERY, session_of(order.key), encode_body(ResendBody(order)))
        self._resends.append(ResendOrder(self._head.seq, order.key))

    def leave(self, records: Iterable[SessionRecord]) -> None:
        """Note with the entries what is left to do about these sessions."""
        self._sessions += [
            SessionDue(
                each.token,
                each.opened_us,
                each.done,
                each.wake_us,
                each.due_us,
                tuple(sorted(each.watched)),
                tuple(sorted(each.units)),
            )
            for each in records
        ]

    def batch(self, identities: Iterable[Identity] = (), merges: Iterable[Merge] = ()) -> Batch:
        """All of it, to be committed as one."""
        return Batch(
            tuple(self._entries),
            tuple(self._outbox),
            tuple(identities),
            self._head,
            receipts=tuple(self._receipts),
            resends=tuple(self._resends),
            merges=tuple(merges),
            sessions=tuple(self._sessions),
        )
