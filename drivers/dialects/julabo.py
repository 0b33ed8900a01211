"""Julabo's text commands: request is a command and CR, reply one line that ends in LF or CRLF.

A reply does not name its command, so only the drain after a miss keeps a late reply from being taken for the next
answer. A line with an unreadable character is rejected whole: `-4.2` without its first character is another
temperature.

Source: Julabo Magnum 91 manual, p. 65-66 (RS-485 puts `Axxx_` before the command and before the reply);
LC 6 manual, p. 46; F38-ME manual, p. 63. Manuals print commands in both cases; some units take upper case alone.
"""

import re

from drivers.dialects.base import (
    NeedMore,
    Query,
    Raw,
    Refusal,
    Reject,
    RejectKind,
    Reply,
    Request,
    TextQuery,
    Verdict,
)
from drivers.dialects.text import TextDialect, decoded, ended_line, judged_line, split_address, text_query

READS = r"^(?i:in_[a-z]{2,4}_\d{2}|status|version)$"  # OUT_ commands write

_MAX_LINE = 128  # characters; the longest text is a status message of about 60
_MAX_UNENDED = 1023  # characters to wait for the end of an over-long line, so that its tail is not taken for a line
_ADDRESSED = re.compile(r"A(\d{3})_(.*)", re.IGNORECASE)


class Julabo(TextDialect):
    """Julabo circulators, on a serial line or inside TCP."""

    def encode(self, query: Query, transaction: int) -> bytes:
        """The command's bytes. Raises ValueError for text that is not a single command."""
        query = text_query(query)
        prefix = "" if query.unit_id is None else f"A{query.unit_id:03d}_"
        return f"{prefix}{query.command.upper()}\r".encode("ascii")

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        request = self.encode(query, transaction)
        if buffer.startswith(request):
            return Reject(len(request), RejectKind.ECHO)
        line = _first_line(buffer, b"\n")
        if not isinstance(line, tuple):
            return line
        consumed, text = line
        if query.unit_id is None:
            return Reply(consumed, text)
        unit_id, text = split_address(text, _ADDRESSED)
        return Reply(consumed, text) if unit_id == query.unit_id else Reject(consumed, RejectKind.WRONG_UNIT)

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first command in `buffer`, converted to upper case."""
        line = _first_line(buffer, b"\r")
        if not isinstance(line, tuple):
            return line
        consumed, text = line
        unit_id, command = split_address(text.upper(), _ADDRESSED)
        return Request(consumed, TextQuery(command, unit_id))

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's line; empty for a Refusal, since units ignore unknown commands."""
        if isinstance(answer, Refusal):
            return b""
        if not isinstance(answer, str):
            raise TypeError("a Julabo answers with text")
        prefix = "" if request.query.unit_id is None else f"A{request.query.unit_id:03d}_"
        return f"{prefix}{answer}\r\n".encode("ascii")


def _first_line(buffer: bytes | bytearray, end: bytes) -> tuple[int, str] | Reject | NeedMore:
    """The first line as (characters consumed, text without padding)."""
    line = ended_line(buffer, end, _MAX_LINE, _MAX_UNENDED)
    return judged_line(line[0], decoded(line[1].strip())) if isinstance(line, tuple) else line
