"""The entries of the ledger and the hash chain that binds them. Pure.

Theory of operation: every entry carries the hash of its predecessor, and its own hash covers all that it says, so no
entry can be changed, dropped from the middle or moved without breaking every later hash. What a chain alone cannot
show is a truncated tail: for that, heads are sent out of the box.

A hash is SHA-256 over netstrings (`<length in bytes>:<UTF-8>,`) of the fields in the order gateway, epoch, seq, kind,
session, recorded_us, SHA-256 of the body in hex, prev_hash. Each field states its length, so no two lists of fields
give the same bytes. The body stands there by its digest, so that an audit of one session can show the chain past the
entries of all others without their bodies.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from gateway.ledger.errors import ChainBroken


class EntryKind(StrEnum):
    """What an entry records."""

    FACT = "fact"  # what happened, when, when it was learned and who said so
    INCREMENT = "increment"  # emitted, amended or retracted
    SESSION = "session"  # opened, flagged, closed, finalised
    CHARGE = "charge"  # released, held or credited
    STATUS = "status"  # what the gateway did or noticed about itself
    DELIVERY = "delivery"  # the engine's receipt for a message, or a person's order to send one again


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: its last entry's number and hash. An empty chain has `seq` 0 and the genesis hash."""

    epoch: str
    seq: int
    hash: str
    gateway: str


class Entry(msgspec.Struct, frozen=True):
    """One immutable entry. `seq` counts from 1 without gaps within (gateway, epoch)."""

    seq: int
    recorded_us: int  # UTC
    kind: EntryKind
    session: str  # the session's token; "" when tied to none
    body: str  # JSON
    prev_hash: str
    hash: str


def genesis(gateway: str, epoch: str, salt: bytes) -> Head:
    """The head of a chain without entries. Its hash vouches for the salt and does not show it."""
    return Head(epoch, 0, digest(gateway.encode(), epoch.encode(), salt), gateway)


def append(head: Head, recorded_us: int, kind: EntryKind, session: str, body: str) -> tuple[Entry, Head]:
    """The entry that follows `head`, and the head after it."""
    seq = head.seq + 1
    own_hash = link(head, kind.value, session, recorded_us, body)
    entry = Entry(seq, recorded_us, kind, session, body, head.hash, own_hash)
    return entry, Head(head.epoch, seq, own_hash, head.gateway)


def link(head: Head, kind: str, session: str, recorded_us: int, body: str) -> str:
    """The hash of the entry that says this after `head`; `kind` may be any text, for what is verified may be forged."""
    body_digest = hashlib.sha256(body.encode()).hexdigest()
    fields = (head.gateway, head.epoch, str(head.seq + 1), kind, session, str(recorded_us), body_digest, head.hash)
    return digest(*[field.encode() for field in fields])


def follow(head: Head, entries: Iterable[Entry]) -> Head:
    """The head after `entries`, which must continue the chain at `head`. Raises ChainBroken at the first misfit."""
    for entry in entries:
        own_hash = link(head, entry.kind, entry.session, entry.recorded_us, entry.body)
        if (entry.seq, entry.prev_hash, entry.hash) != (head.seq + 1, head.hash, own_hash):
            raise ChainBroken(
                f"entry {entry.seq} does not continue the chain as {head.gateway}/{head.epoch}/{head.seq + 1}"
            )
        head = Head(head.epoch, entry.seq, own_hash, head.gateway)
    return head


def subject_of(salt: bytes, visit: str) -> str:
    """The name under which the ledger knows a visit: 16 hex digits, meaningless without the ledger's salt."""
    return hashlib.blake2b(visit.encode(), digest_size=8, key=salt).hexdigest()


def seal(salt: bytes, payload: bytes) -> str:
    """What an entry keeps of a message that names a patient: who lacks the ledger's salt can test no guess by it."""
    return hashlib.blake2b(payload, digest_size=16, key=salt).hexdigest()


def digest(*fields: bytes) -> str:
    """SHA-256, in hex, over the netstrings of `fields`."""
    return hashlib.sha256(b"".join([b"%d:%b," % (len(field), field) for field in fields])).hexdigest()
