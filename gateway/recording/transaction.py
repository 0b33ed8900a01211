"""Builds one ledger transaction: entries on the hash chain, and the messages that they cause.

Theory of operation. This is a transactional outbox: entries and messages are committed together, so that there is no
message without its entry and no entry without its messages. A message's id is its idempotency key: it is made from the
session's token or the entry's number, and is the same whenever the message is sent again.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gateway.ledger.batch import Batch, OutboxMessage, ReceiptRow, ResendOrder, SessionDue
from gateway.ledger.bodies import Order, PurgeBody, PurgeNote, ReceiptBody, ReceiptNote, ResendBody, encode_body
from gateway.ledger.entry import Entry, EntryKind, Head, append
from gateway.ledger.policies import name_of, named
from gateway.ledger.retention import Purge
from gateway.ledger.staging import Bounds, Staged
from gateway.messages.cloudevents import Event, encode_event
from gateway.messages.destination import Destination
from gateway.messages.details import Stated
from gateway.messages.identity import Identity, Merge
from gateway.recording.receipts import Settled
from gateway.session.facts import SessionOpened, encode_fact
from gateway.session.keys import session_of
from gateway.session.outcome import SessionRecord

PUBLISHED_KINDS = frozenset({EntryKind.SESSION, EntryKind.INCREMENT, EntryKind.CHARGE})


class Mark(NamedTuple):
    """How far a transaction had come."""

    head: Head
    entries: int
    outbox: int
    details: int


class Transaction:
    """Entries that continue the chain at `head`, all recorded at `recorded_us`.

    `policies` are the names of those whose text the ledger has.
    """

    def __init__(self, head: Head, recorded_us: int, policies: Collection[str]) -> None:
        self.recorded_us = recorded_us
        self.epoch = head.epoch
        self._head = head
        self._policies = policies
        self._pinned: set[str] = set()  # policies that the entries here have the text of
        self._entries: list[Entry] = []
        self._outbox: list[OutboxMessage] = []
        self._receipts: list[ReceiptRow] = []
        self._resends: list[ResendOrder] = []
        self._sessions: list[SessionDue] = []
        self._details: list[Stated] = []
        self._staged: list[Staged] = []
        self._taken_up: list[int] = []
        self._staging: Bounds | None = None
        self._purge: Purge | None = None

    @property
    def next_seq(self) -> int:
        """The sequence number of the next entry; messages carry it."""
        return self._head.seq + 1

    @property
    def last_seq(self) -> int:
        """The sequence number of the entry recorded last."""
        return self._head.seq

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._entries

    def record(self, kind: EntryKind, session: str, body: bytes) -> None:
        """Append an entry; `session` is its session's token, or ""."""
        entry, self._head = append(self._head, self.recorded_us, kind, session, body.decode())
        self._entries.append(entry)

    def open_session(self, opened: SessionOpened) -> None:
        """Record that a session began; the text of its policy is written out unless the ledger has it."""
        name = name_of(opened.policy)
        if name in self._policies or name in self._pinned:
            opened = named(opened)
        self._pinned.add(name)
        self.record(EntryKind.FACT, opened.token, encode_fact(opened))

    def publish(self, to: Destination, event: Event, *, key: str = "", awaited: bool = False) -> None:
        """Send `event`, caused by the entry recorded last; with a `key` its delivery to the engine is tracked."""
        self.publish_raw(to, event.id, encode_event(event), key=key, awaited=awaited)

    def publish_raw(
        self, to: Destination, message_id: str, payload: bytes, *, key: str = "", awaited: bool = False
    ) -> None:
        """Send any bytes, as `publish` sends an event. `message_id` must be unique in the outbox for ever."""
        self._outbox.append(
            OutboxMessage(self._head.seq, message_id, to.topic, payload, to.retain, to.content_type, key, awaited)
        )

    def clear(self, to: Destination, event_id: str) -> None:
        """Clear the retained message at `to`."""
        self._outbox.append(OutboxMessage(self._head.seq, event_id, to.topic, b"", to.retain, content_type=""))

    def mark(self) -> "Mark":
        """The place to which `rewind` returns."""
        return Mark(self._head, len(self._entries), len(self._outbox), len(self._details))

    def rewind(self, mark: "Mark") -> None:
        """Take back the entries, messages and details since `mark`."""
        self._head = mark.head
        del self._entries[mark.entries :]
        del self._outbox[mark.outbox :]
        del self._details[mark.details :]

    def entries_of(self, session: str) -> list[Entry]:
        """The transaction's entries about publications of the session."""
        return [entry for entry in self._entries if entry.session == session and entry.kind in PUBLISHED_KINDS]

    def record_receipt(self, settled: Settled) -> None:
        """Record a receipt; its free text is kept outside the hash chain, as it may name a patient."""
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

    def record_resend(self, order: Order) -> None:
        """Record a person's order to send a message again."""
        self.record(EntryKind.DELIVERY, session_of(order.key), encode_body(ResendBody(order)))
        self._resends.append(ResendOrder(self._head.seq, order.key))

    def keep(self, *stated: Stated) -> None:
        """Keep what is stated for charges, outside the hash chain."""
        self._details += stated

    def stage(self, message: Staged) -> None:
        """Let a message wait for its visit."""
        self._staged.append(message)

    def take_up(self, message: Staged) -> None:
        """End the wait of a message."""
        self._taken_up.append(message.id)

    def bound_staging(self, bounds: Bounds) -> None:
        """Drop the messages beyond `bounds` that wait for their visit."""
        self._staging = bounds

    def record_purge(self, note: PurgeNote, what: Purge) -> None:
        """Record a purge; what it deletes is deleted with the entry's commit."""
        self.record(EntryKind.STATUS, "", encode_body(PurgeBody(note)))
        self._purge = what

    def update_sessions(self, records: Iterable[SessionRecord]) -> None:
        """Store when these sessions are due next, for the next start."""
        self._sessions += [
            SessionDue(
                each.token,
                each.opened_us,
                each.done,
                each.wake_us,
                each.due_us,
                tuple(sorted(each.watched)),
                tuple(sorted(each.units)),
                each.patient,
            )
            for each in records
        ]

    def batch(self, identities: Iterable[Identity] = (), merges: Iterable[Merge] = ()) -> Batch:
        """Everything to be committed as one."""
        return Batch(
            tuple(self._entries),
            tuple(self._outbox),
            tuple(identities),
            self._head,
            receipts=tuple(self._receipts),
            resends=tuple(self._resends),
            merges=tuple(merges),
            sessions=tuple(self._sessions),
            details=tuple(self._details),
            policies=tuple(sorted(self._pinned)),
            staged=tuple(self._staged),
            taken_up=tuple(self._taken_up),
            staging=self._staging,
            purge=self._purge,
        )
