"""What the text dialects share: commands that fit one line, replies of one line, an address before either. Pure."""

import re

from drivers.dialects.base import Dialect, NeedMore, Query, Reject, RejectKind, TextQuery


class TextDialect(Dialect):
    """A language whose requests are commands that end in CR, and whose replies are one line."""

    def exchange_size(self, query: Query, content: int) -> int:
        """The command and its end, and a reply of `content` characters. An address is not counted."""
        return len(text_query(query).command) + 1 + content

    def may_be_request(self, query: Query) -> bool:
        """Units are asked in words and answer in numbers: a number is nobody's request."""
        return text_query(query).command[:1].isalpha()


def text_query(query: Query) -> TextQuery:
    """The query, if it is a text that fits one command. Raises TypeError for other kinds, ValueError for other text."""
    if not isinstance(query, TextQuery):
        raise TypeError(f"not a text query: {query}")
    if not query.command.isascii() or not query.command.isprintable() or not query.command:
        raise ValueError(f"command {query.command!r}, accepted: printable ASCII")
    return query


def ended_line(
    buffer: bytes | bytearray, end: bytes, longest: int, longest_unended: int
) -> tuple[int, bytes] | Reject | NeedMore:
    """The first line as (characters consumed, its bytes). Longer than allowed, with or without its end, it is none."""
    at = buffer.find(end)
    if at < 0:
        return NeedMore() if len(buffer) <= longest_unended else Reject(len(buffer), RejectKind.BAD_CHECK)
    consumed = at + len(end)
    return Reject(consumed, RejectKind.BAD_CHECK) if at > longest else (consumed, bytes(buffer[:at]))


def judged_line(consumed: int, text: str) -> tuple[int, str] | Reject:
    """A line's text, if it has any; one unreadable character spoils all of it."""
    if not text:
        return Reject(consumed, RejectKind.NOISE)
    if not text.isascii() or not text.isprintable():
        return Reject(consumed, RejectKind.BAD_CHECK)
    return consumed, text


def decoded(line: bytes) -> str:
    """The line as text; what is no ASCII becomes a character that is none either."""
    return line.decode("ascii", errors="replace")


def split_address(text: str, addressed: re.Pattern[str]) -> tuple[int | None, str]:
    """The address that `addressed` finds before a text, and the text without it."""
    found = addressed.fullmatch(text)
    return (int(found[1]), found[2].strip()) if found else (None, text)
