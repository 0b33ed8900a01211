"""The entries of the ledger and their hash chain. Pure.

Theory of operation: every entry has the hash of its predecessor, and its own hash covers all of its fields, so no entry
can be changed, removed from the middle or moved without breaking every later hash. A chain alone cannot show a
truncated tail: for that, signed heads leave the machine (checkpoint.py).

A hash is SHA-256 over netstrings (`<length in bytes>:<UTF-8>,`) of the fields in the order gateway, epoch, seq, kind,
session, recorded_us, SHA-256 of the body in hex, prev_hash. Each field states its length, so no two lists of fields
give the same bytes. The body is included by its digest, so that an audit of one session can show the whole chain
without the bodies of other sessions' entries.
"""

import hashlib
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from gateway.ledger.errors import ChainBroken


class EntryKind(StrEnum):
    """What an entry records."""

    FACT = "fact"  # a fact of the tracker
    INCREMENT = "increment"  # emitted, amended or retracted
    SESSION = "session"  # opened, flagged, closed, finalised
    CHARGE = "charge"  # released, held or credited
    STATUS = "status"  # about the gateway itself, and its answers to inbound messages
    DELIVERY = "delivery"  # the engine's receipt for a message, or a person's order to send one again


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: the last entry's sequence number and hash. An empty chain has 0 and the genesis hash."""

    epoch: str
    seq: int
    hash: str
    gateway: str


class Entry(msgspec.Struct, frozen=True):
    """One immutable entry. `seq` counts from 1 without gaps within (gateway, epoch)."""

    seq: int
    recorded_us: int  # UTC
    kind: EntryKind
    session: str  # the session's token, or ""
    body: str  # JSON
    prev_hash: str
    hash: str


def genesis(gateway: str, epoch: str, salt: bytes) -> Head:
    """The head of a chain without entries. Its hash commits to the salt without revealing it."""
    return Head(epoch, 0, digest(gateway.encode(), epoch.encode(), salt), gateway)


def append(head: Head, recorded_us: int, kind: EntryKind, session: str, body: str) -> tuple[Entry, Head]:
    """The entry that follows `head`, and the head after it."""
    seq = head.seq + 1
    own_hash = link(head, kind.value, session, recorded_us, body)
    entry = Entry(seq, recorded_us, kind, session, body, head.hash, own_hash)
    return entry, Head(head.epoch, seq, own_hash, head.gateway)


def link(head: Head, kind: str, session: str, recorded_us: int, body: str) -> str:
    """The hash of an entry with these fields after `head`; `kind` may be any text, as in a forged ledger."""
    body_digest = hashlib.sha256(body.encode()).hexdigest()
    fields = (head.gateway, head.epoch, str(head.seq + 1), kind, session, str(recorded_us), body_digest, head.hash)
    return digest(*[field.encode() for field in fields])


def follow(head: Head, entries: Iterable[Entry]) -> Head:
    """The head after `entries`, which must continue the chain at `head`. Raises ChainBroken otherwise."""
    for entry in entries:
        own_hash = link(head, entry.kind, entry.session, entry.recorded_us, entry.body)
        if (entry.seq, entry.prev_hash, entry.hash) != (head.seq + 1, head.hash, own_hash):
            raise ChainBroken(
                f"entry {entry.seq} does not continue the chain as {head.gateway}/{head.epoch}/{head.seq + 1}"
            )
        head = Head(head.epoch, entry.seq, own_hash, head.gateway)
    return head


def subject_of(salt: bytes, visit: str) -> str:
    """The pseudonym of a visit in the ledger: 16 hex digits, made with the ledger's salt."""
    return hashlib.blake2b(visit.encode(), digest_size=8, key=salt).hexdigest()


def seal(salt: bytes, payload: bytes) -> str:
    """The digest of a message, keyed with the ledger's salt, so that without the salt no guess can be tested by it."""
    return hashlib.blake2b(payload, digest_size=16, key=salt).hexdigest()


def digest(*fields: bytes) -> str:
    """SHA-256, in hex, over the netstrings of `fields`."""
    return hashlib.sha256(b"".join([b"%d:%b," % (len(field), field) for field in fields])).hexdigest()
