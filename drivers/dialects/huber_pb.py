"""Huber's PB commands: request `{M`, variable and `****` (read) or a value (write); reply `{S`, variable and value.

A frame has ten characters, and a reply names its variable, so that a reply to another request is recognised. A late
reply to an equal request is not; hence the drain after a miss. A unit does not answer what it cannot carry out; for a
variable that the model lacks it answers 7FFF.

Source: Huber, data communication PB, V1.2.0EN (contents); frames as three published drivers agree on them.
"""

import re

from drivers.dialects.base import (
    Dialect,
    NeedMore,
    NumberQuery,
    Query,
    Raw,
    Refusal,
    Reject,
    RejectKind,
    Reply,
    Request,
    Verdict,
    numbered,
)

_START = b"{"
_SIZE = 10  # {S, two and four hexadecimal digits, CR, LF
_REPLY = re.compile(rb"\{S([0-9A-F]{2})([0-9A-F]{4})\r\n")
_REQUEST = re.compile(rb"\{M([0-9A-F]{2})\*{4}\r\n")


class HuberPb(Dialect):
    """Huber thermostats and chillers, on a serial line or inside TCP."""

    def encode(self, query: Query, transaction: int) -> bytes:
        """The request's bytes; always a read (`****`). Raises ValueError for a number that is not a variable."""
        query = numbered(query)
        if not 0 <= query.number <= 0xFF:
            raise ValueError(f"variable {query.number}, accepted: 0 to 255")
        return f"{{M{query.number:02X}****\r\n".encode("ascii")

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        query = numbered(query)
        if buffer.startswith(request := self.encode(query, transaction)):
            return Reject(len(request), RejectKind.ECHO)
        frame = _first_frame(buffer)
        if not isinstance(frame, bytes):
            return frame
        found = _REPLY.fullmatch(frame)
        if found is None:
            return Reject(_next_start(buffer), RejectKind.BAD_CHECK)
        if int(found[1], 16) != query.number:
            return Reject(_SIZE, RejectKind.WRONG_FUNCTION)
        return Reply(_SIZE, (int(found[2], 16),))

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first read request in `buffer`; a frame with a value is a write, and counts as noise."""
        frame = _first_frame(buffer)
        if not isinstance(frame, bytes):
            return frame
        found = _REQUEST.fullmatch(frame)
        if found is None:
            return Reject(_next_start(buffer), RejectKind.NOISE)
        return Request(_SIZE, NumberQuery(int(found[1], 16)))

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer, one word; empty for a Refusal."""
        query = numbered(request.query)
        match answer:
            case Refusal():
                return b""
            case (int(word),):
                return f"{{S{query.number:02X}{word:04X}\r\n".encode("ascii")
            case _:
                raise TypeError("a Huber answers with one word")

    def exchange_size(self, query: Query, content: int) -> int:
        """Two frames of fixed length."""
        return _SIZE + _SIZE


def _first_frame(buffer: bytes | bytearray) -> bytes | Reject | NeedMore:
    """The ten characters from the first brace on, not yet checked."""
    start = buffer.find(_START)
    if start < 0:
        return Reject(len(buffer), RejectKind.NOISE) if buffer else NeedMore()
    if start > 0:
        return Reject(start, RejectKind.NOISE)
    second = buffer.find(_START, 1, _SIZE)
    if second > 0:  # a truncated frame
        return Reject(second, RejectKind.BAD_CHECK)
    return bytes(buffer[:_SIZE]) if len(buffer) >= _SIZE else NeedMore()


def _next_start(buffer: bytes | bytearray) -> int:
    at = buffer.find(_START, 1)
    return at if at > 0 else len(buffer)
