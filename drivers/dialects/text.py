"""What the text dialects share: one-line commands and replies, with an optional address in front. Pure."""

import re

from drivers.dialects.base import Dialect, NeedMore, Query, Reject, RejectKind, TextQuery


class TextDialect(Dialect):
    """A dialect whose requests are commands that end in CR, and whose replies are one line."""

    def exchange_size(self, query: Query, content: int) -> int:
        """Characters of the command with its CR, and a reply of `content` characters; an address is not counted."""
        return len(text_query(query).command) + 1 + content

    def may_be_request(self, query: Query) -> bool:
        """False for a number: commands are words, so a number is a reply."""
        return text_query(query).command[:1].isalpha()


def text_query(query: Query) -> TextQuery:
    """The query as a TextQuery of one command. Raises TypeError for another kind, ValueError for other text."""
    if not isinstance(query, TextQuery):
        raise TypeError(f"not a text query: {query}")
    if not query.command.isascii() or not query.command.isprintable() or not query.command:
        raise ValueError(f"command {query.command!r}, accepted: printable ASCII")
    return query


def ended_line(
    buffer: bytes | bytearray, end: bytes, longest: int, longest_unended: int
) -> tuple[int, bytes] | Reject | NeedMore:
    """The first line as (characters consumed, its bytes); a Reject if it is too long, complete or not."""
    at = buffer.find(end)
    if at < 0:
        return NeedMore() if len(buffer) <= longest_unended else Reject(len(buffer), RejectKind.BAD_CHECK)
    consumed = at + len(end)
    return Reject(consumed, RejectKind.BAD_CHECK) if at > longest else (consumed, bytes(buffer[:at]))


def judged_line(consumed: int, text: str) -> tuple[int, str] | Reject:
    """A line's text; a Reject if it is empty or has an unreadable character."""
    if not text:
        return Reject(consumed, RejectKind.NOISE)
    if not text.isascii() or not text.isprintable():
        return Reject(consumed, RejectKind.BAD_CHECK)
    return consumed, text


def decoded(line: bytes) -> str:
    """The line as text; bytes that are not ASCII become replacement characters."""
    return line.decode("ascii", errors="replace")


def split_address(text: str, addressed: re.Pattern[str]) -> tuple[int | None, str]:
    """The address that `addressed` matches in front of a text (None without), and the text without it."""
    found = addressed.fullmatch(text)
    return (int(found[1]), found[2].strip()) if found else (None, text)
