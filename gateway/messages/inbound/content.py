"""The content of a message in a canonical form, by which repeats are recognised. Pure."""

import re

import msgspec

_LINE_END = re.compile(rb"[\r\n]+")
FRAMING = b"\xef\xbb\xbf\x0b\x1c\r\n\t \x00"


def content_of(payload: bytes) -> bytes:
    """The payload without what transport may change: framing, line ends of HL7, blanks and order of keys of JSON."""
    bare = payload.strip(FRAMING)
    if bare.startswith(b"MSH"):
        return _LINE_END.sub(b"\r", bare)
    try:
        return msgspec.json.encode(msgspec.json.decode(bare), order="deterministic")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return bare
