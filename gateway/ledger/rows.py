"""What the ledger says of its outbox, and the relay to it: a row, one attempt to publish it, and how much waits."""

import msgspec

UNPROVEN = -1  # MQTT 3.1.1 acknowledges without a reason, also what it silently drops


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
    """How many entries tell something of a session, and the number of the first (0 without one)."""

    count: int
    first_seq: int
