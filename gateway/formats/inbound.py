"""Reads what an engine sends as JSON: bytes in, facts or a reason out. It never raises, whatever the bytes.

Theory of operation: the bytes become an envelope, the ending of its type picks a reader (inbound_readers.py), the
reader checks the data and makes facts. Any prefix of the type is accepted: engines have names of their own.
"""

from collections.abc import Callable
from typing import cast

import msgspec
from pydantic import ValidationError

from gateway.formats.answers import Accepted, Identity, Ignored, Inbound, Rejected, Site
from gateway.formats.inbound_message import Message, Stop
from gateway.formats.inbound_models import Envelope, explain
from gateway.formats.inbound_readers import READERS
from gateway.formats.instants import InstantError, read_instant

__all__ = ["MAX_BYTES", "Accepted", "Identity", "Ignored", "Inbound", "Rejected", "Site", "read_json"]

MAX_BYTES = 64 * 1024


def read_json(payload: bytes, known_at_us: int, site: Site) -> Inbound:
    """What a message that arrived at `known_at_us` means to this gateway."""
    try:
        message, read = _open(payload, known_at_us, site)
        return read(message)
    except Stop as stop:
        return stop.answer


def _open(payload: bytes, known_at_us: int, site: Site) -> tuple[Message, Callable[[Message], Inbound]]:
    if len(payload) > MAX_BYTES:
        raise Stop(Rejected("", "too-large", f"the message is larger than {MAX_BYTES} bytes"))
    try:
        decoded: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Stop(Rejected("", "not-json", "not JSON; accepted: a CloudEvents 1.0 event in UTF-8")) from None
    if not isinstance(decoded, dict):
        raise Stop(Rejected("", "not-an-event", "no JSON object; accepted: a CloudEvents 1.0 event"))
    fields = cast(dict[str, object], decoded)
    message_id = _message_id(fields)
    try:
        envelope = Envelope.model_validate(fields)
        read = _reader_of(envelope.type, message_id)
        time = read_instant(envelope.time, known_at_us, site.zone)
    except ValidationError as error:
        raise Stop(Rejected(message_id, "bad-envelope", explain(error, Envelope))) from None
    except InstantError as error:
        raise Stop(Rejected(message_id, "bad-time", f"time: {error}")) from None
    recorded_us = _recorded_us(envelope, known_at_us, site, message_id)
    return Message(message_id, time, recorded_us, known_at_us, site, envelope.data), read


def _message_id(fields: dict[str, object]) -> str:
    match fields:
        case {"source": str(source), "id": str(id_)} if source and id_:
            return f"{source[:256]}|{id_[:256]}"
        case _:
            return ""


def _recorded_us(envelope: Envelope, known_at_us: int, site: Site, message_id: str) -> int | None:
    if envelope.recordedtime is None:
        return None
    try:
        return read_instant(envelope.recordedtime, known_at_us, site.zone).at_us
    except InstantError as error:
        raise Stop(Rejected(message_id, "bad-time", f"recordedtime: {error}")) from None


def _reader_of(event_type: str, message_id: str) -> Callable[[Message], Inbound]:
    for ending, read in READERS.items():
        if event_type == ending or event_type.endswith(f".{ending}"):
            return read
    raise Stop(Rejected(message_id, "unknown-type", f"type: accepted are the endings {', '.join(READERS)}"))
