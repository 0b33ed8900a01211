"""The envelope of every JSON message: CloudEvents 1.0, structured, complete in the payload.

An event's `source` and `id` together are its idempotency key: a repeat is byte-equal and has the same.
Times are RFC 3339 in UTC with milliseconds; absent attributes are left out.
"""

from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from gateway.messages.instants import Rfc3339

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
TYPE_ROOT = "org.capgate"


class Classification(StrEnum):
    """Who may see the data: `internal` (no direct identifiers) or `restricted` (a patient's)."""

    INTERNAL = "internal"
    RESTRICTED = "restricted"


class EventType(msgspec.Struct, frozen=True):
    """One type of event: the constant part of its envelope."""

    type: str  # org.capgate.<thing>.v1
    dataschema: str  # urn:capgate:schema:<name>-1, the `$id` of schemas/<name>-1.json
    classification: Classification = Classification.INTERNAL


def kind(thing: str, schema: str, classification: Classification = Classification.INTERNAL) -> EventType:
    """The type `org.capgate.<thing>.v1`, whose data the schema `<schema>-1` describes."""
    return EventType(f"{TYPE_ROOT}.{thing}.v1", f"urn:capgate:schema:{schema}-1", classification)


class Origin(msgspec.Struct, frozen=True):
    """The gateway an event comes from."""

    site: str
    gateway: str

    @property
    def urn(self) -> str:
        """The CloudEvents `source`."""
        return f"urn:capgate:{self.site}:{self.gateway}"


class Trace(msgspec.Struct, frozen=True):
    """An event's relations to others, for the CloudEvents extensions; what is unknown is left out of the envelope."""

    sequence: int | None = None  # sequence number of the event's ledger entry
    session: str | None = None  # session token
    cause: str | None = None  # id of the message that caused the event
    recorded_at: Rfc3339 | None = None  # when it was recorded; `time` is when it happened


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 event with those of the registered extensions that apply."""

    specversion: str = "1.0"
    type: str
    source: str
    id: str
    time: Rfc3339
    subject: str
    datacontenttype: str = "application/json"
    dataschema: str
    sequence: str | UnsetType = UNSET  # compared as text, so padded to 16 digits
    correlationid: str | UnsetType = UNSET
    causationid: str | UnsetType = UNSET
    recordedtime: Rfc3339 | UnsetType = UNSET
    dataclassification: Classification
    dataregulation: str | UnsetType = UNSET
    datacategory: str | UnsetType = UNSET
    data: msgspec.Struct


_UNTRACED = Trace()


def make_event(
    origin: Origin,
    kind: EventType,
    *,
    event_id: str,
    time: Rfc3339,
    subject: str,
    data: msgspec.Struct,
    trace: Trace = _UNTRACED,
) -> Event:
    """Puts `data` in its envelope. `time` is when it happened."""
    restricted = kind.classification is Classification.RESTRICTED
    return Event(
        type=kind.type,
        source=origin.urn,
        id=event_id,
        time=time,
        subject=subject,
        dataschema=kind.dataschema,
        sequence=UNSET if trace.sequence is None else f"{trace.sequence:016d}",
        correlationid=trace.session or UNSET,
        causationid=trace.cause or UNSET,
        recordedtime=trace.recorded_at or UNSET,
        dataclassification=kind.classification,
        dataregulation="HIPAA" if restricted else UNSET,
        datacategory="phi" if restricted else UNSET,
        data=data,
    )


_encoder = msgspec.json.Encoder()


def encode_event(event: Event) -> bytes:
    """The event as one line of JSON, attributes in the order of their declaration."""
    return _encoder.encode(event)


def serial_id(origin: Origin, epoch: str, sequence: int) -> str:
    """The id of an event without a business key: gateway, epoch and sequence number."""
    return f"{origin.gateway}.{epoch}.{sequence:06d}"
