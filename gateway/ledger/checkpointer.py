"""Decides when a checkpoint is made, and adds it and its message to the batch whose head it signs."""

import msgspec

from gateway.ledger.batch import Batch, OutboxMessage
from gateway.ledger.checkpoint import CHECKPOINT, Checkpoint, note_of, to_data
from gateway.ledger.entry import EntryKind, Head
from gateway.ledger.keys import SigningKey
from gateway.messages.cloudevents import Event, Origin, encode_event, make_event, serial_id
from gateway.messages.destination import Destination
from gateway.messages.instants import rfc3339

PERIOD_US = 3_600_000_000
ATTESTED = frozenset({EntryKind.INCREMENT, EntryKind.SESSION, EntryKind.CHARGE})


class Checkpointer:
    """Signs heads for one gateway. `signed_seq` is the last entry with a checkpoint in the ledger; 0 for none."""

    def __init__(self, key: SigningKey, origin: Origin, destination: Destination, signed_seq: int = 0) -> None:
        self._key = key
        self._origin = origin
        self._destination = destination
        self._signed_seq = signed_seq
        self._signed_us = 0

    def sign(self, head: Head, at_us: int) -> Checkpoint:
        """The checkpoint of `head`, signed at `at_us`, UTC."""
        note = note_of(head, rfc3339(at_us))
        return Checkpoint(note, self._key.sign(note.encode()), self._key.public_raw)

    def with_checkpoint(self, batch: Batch, at_us: int, *, closing: bool = False) -> Batch:
        """The batch with a checkpoint of its head and the checkpoint's message, if one is due.

        One is due with every batch that records increments, sessions or charges, PERIOD_US after the last one, and
        at a clean end (`closing`); never twice for one head.
        """
        attested = any(entry.kind in ATTESTED for entry in batch.entries)
        due = attested or closing or at_us - self._signed_us >= PERIOD_US
        if not due or batch.head.seq <= self._signed_seq:
            return batch
        checkpoint = self.sign(batch.head, at_us)
        self._signed_seq, self._signed_us = batch.head.seq, at_us
        event = checkpoint_event(self._origin, checkpoint, at_us)
        to = self._destination
        message = OutboxMessage(batch.head.seq, event.id, to.topic, encode_event(event), to.retain, to.content_type)
        return msgspec.structs.replace(batch, checkpoint=checkpoint, outbox=(*batch.outbox, message))


def checkpoint_event(origin: Origin, checkpoint: Checkpoint, at_us: int) -> Event:
    """The event that publishes a checkpoint signed at `at_us`."""
    head = checkpoint.head
    return make_event(
        origin,
        CHECKPOINT,
        event_id=f"{serial_id(origin, head.epoch, head.seq)}.checkpoint",
        time=rfc3339(at_us),
        subject=f"gateway/{origin.gateway}",
        data=to_data(checkpoint),
    )
