"""Who sent a message and of what type it is, in any format, whether or not the rest can be read. Pure."""

from typing import cast

import msgspec

from gateway.messages.hl7v2 import Er7Error, read_header
from gateway.messages.inbound.content import FRAMING

_MAX_LENGTH = 64  # of each
_HEADER_BYTES = 4096  # an MSH is shorter
_NEITHER = "?"


class Heading(msgspec.Struct, frozen=True):
    """Sender: MSH-3, `source`, or fhir. Type: MSH-9 as in RAS^O17, `type`, or `resourceType`. "?" where it has none."""

    sender: str
    type: str


def heading_of(payload: bytes) -> Heading:
    """The heading of one message. Raises nothing."""
    bare = payload.lstrip(FRAMING)
    if bare.startswith(b"MSH"):
        try:
            header = read_header(bare[:_HEADER_BYTES])
        except Er7Error:
            return _heading("", "MSH")
        return _heading(header.get(3), "^".join(filter(None, (header.get(9), header.get(9, 2)))))
    try:
        decoded: object = msgspec.json.decode(bare)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _heading("", "")
    match cast(dict[str, object], decoded) if isinstance(decoded, dict) else {}:
        case {"resourceType": str(resource)}:
            return _heading("fhir", resource)
        case {"source": str(source), "type": str(type_)}:
            return _heading(source, type_)
        case _:
            return _heading("", "")


def _heading(sender: str, type_: str) -> Heading:
    return Heading(_shown(sender), _shown(type_))


def _shown(text: str) -> str:
    """The text as one word of a report: bounded, and without what does not print."""
    return "".join(each if each.isprintable() else "?" for each in text[:_MAX_LENGTH]) or _NEITHER
