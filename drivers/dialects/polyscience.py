"""PolyScience's text commands: two or three characters and CR out, one text and CR back, never an LF.

A reply does not say what it answers, so only the silence after a miss keeps a late one from being taken for the next
answer. Units send the command back first where their echo is on. `?` is a refusal and `!` the acknowledgement of a
setting, which answers nothing that is asked here; some models put `!` behind a value as well.

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

UNKNOWN_COMMAND = 1  # `?` says no more; as a Modbus unit's exception it would be "illegal function"

READS = r"^(R[TSUWFPKGL12ACHRV]|RUT|REI)$"  # exact case; commands with S set

_END = b"\r"
_MAX_LINE = 32  # characters; the longest reply is `+xxx.x!`
_REFUSED = "?"
_DONE = "!"


class PolyScience(TextDialect):
    """PolyScience chillers and circulators, on a serial line or inside TCP."""

    def encode(self, query: Query, transaction: int) -> bytes:
        """The command's bytes, in the case that it was given in. Raises ValueError for text that is no command."""
        query = text_query(query)
        return query.command.encode("ascii") + _END

    def scan(self, buffer: bytes | bytearray, query: Query, transaction: int) -> Verdict:
        """The first verdict on what lies at the start of `buffer`."""
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
        """The first command in `buffer`, as it was sent."""
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
    """The first text up to CR as (characters consumed, text)."""
    line = ended_line(buffer, _END, _MAX_LINE, _MAX_LINE)
    return judged_line(line[0], decoded(line[1])) if isinstance(line, tuple) else line
