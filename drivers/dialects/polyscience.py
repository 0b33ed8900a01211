"""PolyScience's text commands: request is two or three characters and CR, reply one text and CR, never an LF.

A reply does not name its command, so only the drain after a miss keeps a late reply from being taken for the next
answer. With echo switched on a unit repeats the command first. `?` is a refusal; `!` acknowledges a write, which is
never sent here, but some models also append `!` to a value.

Source: DuraChill 58 manual 110-392, p. 32; LS manual, p. 19; chiller manual 110-240, p. 40. Case counts.
"""

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
from drivers.dialects.text import TextDialect, decoded, ended_line, judged_line, text_query

UNKNOWN_COMMAND = 1  # for `?`: Modbus exception 01, illegal function

READS = r"^(R[TSUWFPKGL12ACHRV]|RUT|REI)$"  # case-sensitive; commands that begin with S write

_END = b"\r"
_MAX_LINE = 32  # characters; the longest reply is `+xxx.x!`
_REFUSED = "?"
_DONE = "!"


class PolyScience(TextDialect):
    """PolyScience chillers and circulators, on a serial line or inside TCP."""

    def encode(self, query: Query, transaction: int) -> bytes:
        """The command's bytes, its case kept. Raises ValueError for text that is not a command."""
        query = text_query(query)
        return query.command.encode("ascii") + _END

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The verdict on the bytes at the start of `buffer`."""
        request = self.encode(query, transaction)
        if buffer.startswith(request):
            return Reject(len(request), RejectKind.ECHO)
        line = _first_line(buffer)
        if not isinstance(line, tuple):
            return line
        consumed, text = line
        if text == _REFUSED:
            return Exceptional(consumed, UNKNOWN_COMMAND)
        value = text.removesuffix(_DONE)
        return Reply(consumed, value) if value else Reject(consumed, RejectKind.WRONG_FUNCTION)

    def scan_request(self, buffer: bytes | bytearray) -> Request | Reject | NeedMore:
        """The first command in `buffer`, its case kept."""
        line = _first_line(buffer)
        if not isinstance(line, tuple):
            return line
        consumed, command = line
        return Request(consumed, TextQuery(command))

    def encode_reply(self, request: Request, answer: Raw | Refusal) -> bytes:
        """A simulated unit's answer."""
        if isinstance(answer, Refusal):
            return _REFUSED.encode("ascii") + _END
        if not isinstance(answer, str):
            raise TypeError("a PolyScience answers with text")
        return answer.encode("ascii") + _END


def _first_line(buffer: bytes | bytearray) -> tuple[int, str] | Reject | NeedMore:
    """The text up to the first CR, as (characters consumed, text)."""
    line = ended_line(buffer, _END, _MAX_LINE, _MAX_LINE)
    return judged_line(line[0], decoded(line[1])) if isinstance(line, tuple) else line
