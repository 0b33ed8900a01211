"""Splits a payload into messages: HL7 batch files, JSON arrays, FHIR Bundles. Each is read and answered alone. Pure.

A batch (HL7 2.x, 2.10.3) has FHS and BHS before and BTS and FTS after its messages. Every message begins with its own
MSH, which names its delimiters, so a payload is split there, whether or not the batch envelope is complete.
"""

import re
from collections.abc import Iterator
from typing import cast

import msgspec

from gateway.messages.inbound.fhir_bundle import is_bundle, resources_in

MAX_PARTS_BYTES = 1 << 20  # of a payload with several messages
_ENVELOPE = re.compile(rb"(?:FHS|BHS|BTS|FTS)[^A-Za-z0-9\s]")
_HEADER = re.compile(rb"(?:^|(?<=[\r\n]))MSH(?=[^A-Za-z0-9\s])")
_TRAILER = re.compile(rb"[\r\n](?:BHS|BTS|FTS)[^A-Za-z0-9\s][^\r\n]*")
_BLANK = b"\xef\xbb\xbf\x0b\x1c\r\n\t \x00"


def messages_in(payload: bytes) -> tuple[bytes, ...]:
    """The messages of the payload, in order; the payload itself if it is one message or of no known form."""
    bare = payload.strip(_BLANK)
    if len(payload) > MAX_PARTS_BYTES:
        return (payload,)
    if bare.startswith(b"MSH") or _ENVELOPE.match(bare):
        return tuple(_of_hl7(bare)) or (payload,)
    if bare.startswith((b"[", b"{")):
        return tuple(_of_json(bare)) or (payload,)
    return (payload,)


def _of_hl7(bare: bytes) -> Iterator[bytes]:
    """The messages of a batch."""
    starts = [match.start() for match in _HEADER.finditer(bare)]
    if starts == [0] and not _TRAILER.search(bare):
        return
    for start, end in zip(starts, [*starts[1:], len(bare)], strict=False):
        yield _TRAILER.sub(b"", bare[start:end])


def _of_json(bare: bytes) -> Iterator[bytes]:
    """The elements of an array, and the administrations of a Bundle."""
    try:
        decoded: object = msgspec.json.decode(bare)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    elements = cast(list[object], decoded) if isinstance(decoded, list) else [decoded]
    for element in elements:
        if is_bundle(element):
            yield from map(msgspec.json.encode, resources_in(element))
        elif isinstance(decoded, list):
            yield msgspec.json.encode(element)
