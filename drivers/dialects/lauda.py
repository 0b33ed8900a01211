"""Lauda's text commands: request is a command and CR, reply one line that ends in CRLF, on RS-485 in CR only.

On RS-485 the address `A000_` to `A127_` precedes command and reply. A reply does not name its command, so only the
drain after a miss keeps a late reply from being taken for the next answer. A line with an unreadable character is
rejected whole: `-4.20` without its first character is another temperature.

Source: Pro P 10 manual, p. 46; RE 1050 G manual, p. 70, 78; RP 4050 C manual, p. 101; Microcool MC 250 manual, p. 43.
"""

import re

from drivers.dialects.base import (
    Exceptional,
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

UNKNOWN_COMMAND = 1  # for ERR_3: Modbus exception 01, illegal function
NOT_POSSIBLE = 3  # for every other ERR_n: Modbus exception 03, illegal data value

READS = r"^(IN_(PV|SP|MODE|PAR|DI)_\d{2}|STATUS|STAT|TYPE|VERSION(_[A-Z])?)$"  # OUT_, START and STOP set

_MAX_LINE = 64  # characters; the longest reply used is a type or version of about 20
_ADDRESSED = re.compile(r"A(\d{3})[_ ](.*)")
_ERROR = re.compile(r"ERR_(\d{1,3})")
_OVERFLOW, _COMMAND, _VALUE = 2, 3, 6  # the n of ERR_n


class Lauda(TextDialect):
    """Lauda thermostats and chillers, on a serial line or inside TCP."""

    def encode(self, query: Query, transaction: int) -> bytes:
        """The command's bytes. Raises ValueError for text that is not a command, or an address above 127."""
        query = text_query(query)
        if query.unit_id is not None and not 0 <= query.unit_id <= 127:
            raise ValueError(f"address {query.unit_id}, accepted: 0 to 127")
        return f"{_prefix(query)}{query.command}\r".encode("ascii")

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        request = self.encode(query, transaction)
        if buffer.startswith(request):
            return Reject(len(request), RejectKind.ECHO)
        line = _first_line(buffer, b"\r\n" if query.unit_id is None else b"\r")
        if not isinstance(line, tuple):
            return line
        consumed, text = line
        if query.unit_id is not None:
            unit_id, text = split_address(text, _ADDRESSED)
            if unit_id != query.unit_id:
                return Reject(consumed, RejectKind.WRONG_UNIT)
        return _judged(consumed, text)

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first command in `buffer`, with `_` for spaces; it may end in CR, CRLF or LFCR."""
        line = _first_line(buffer.replace(b"\n", b"\r"), b"\r")
        if not isinstance(line, tuple):
            return line
        consumed, text = line
        unit_id, command = split_address(text, _ADDRESSED)
        return Request(consumed, TextQuery(command.replace(" ", "_"), unit_id))

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's line."""
        if not isinstance(request.query, TextQuery) or isinstance(answer, tuple):
            raise TypeError("a Lauda answers with text")
        text = answer if isinstance(answer, str) else f"ERR_{_COMMAND if answer.code == UNKNOWN_COMMAND else _VALUE}"
        end = "\r\n" if request.query.unit_id is None else "\r"
        return f"{_prefix(request.query)}{text}{end}".encode("ascii")


def _judged(consumed: int, text: str) -> Verdict:
    error = _ERROR.fullmatch(text)
    if error is None:
        return Reply(consumed, text)
    number = int(error[1])
    if number == _OVERFLOW:  # the request was damaged in transit: a line error, not an answer
        return Reject(consumed, RejectKind.BAD_CHECK)
    return Exceptional(consumed, UNKNOWN_COMMAND if number == _COMMAND else NOT_POSSIBLE)


def _prefix(query: TextQuery) -> str:
    return "" if query.unit_id is None else f"A{query.unit_id:03d}_"


def _first_line(buffer: bytes | bytearray, end: bytes) -> tuple[int, str] | Reject | NeedMore:
    """The first line as (characters consumed, text without padding)."""
    line = ended_line(buffer, end, _MAX_LINE, _MAX_LINE)
    if not isinstance(line, tuple):
        return line
    text = decoded(line[1])
    judged = judged_line(line[0], text if text.strip() else "")
    return (judged[0], judged[1].strip()) if isinstance(judged, tuple) else judged
