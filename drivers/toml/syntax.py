"""Says where a text stops being TOML, and what is accepted there. Pure.

tomllib says where it gave up. For a list, table or text that is never closed that is lines later, often the end of the
file; the line of the statement is then the one to look at.
"""

import re
from typing import NamedTuple

from drivers.toml.lines import last_statement_line

_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DEEP_KEY = re.compile(
    r"(?<![\w\"'.-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){64}"
)  # tomllib takes the square of a key's parts in time
_STATEMENT = re.compile(r"\s*(\[|[\w\"'.-]+\s*=|#|$)")
_TOKENS = (
    (re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[\w:.+-]*"), "not a date", "a day of the calendar, like 2026-03-04"),
    (re.compile(r"[+-]?\d+,\d+(?=\s*(#|$))"), "not a number", "a point before the decimals, like 0.5"),
    (re.compile(r"[+-]?0\d+"), "not a number", "no zero in front"),
    (re.compile(r"\d+:\d+[:\d]*"), "not a time", "hours, minutes and seconds, like 12:00:00"),
)
_VALUE = '"text" in quotes, a number, true or false, a date like 2026-03-04, [a list] or { a = "table" }'
_ACCEPTED = {  # by how tomllib's message begins
    "Cannot": "each key and each [table] once; [[table]] for several",
    "Expected newline": 'one key = value a line, text in "quotes"',
    "Expected '=' after": "key = value",
    "Expected ']": "[table] or [[table]]",
    'Expected "': "a closing quote",
    "Expected '": "a closing quote",
    "Found invalid character": "letters, digits, tabs and signs",
    "Illegal character '\\n'": "a closing quote on the same line",
    "Illegal character": "letters, digits, tabs and signs",
    "Invalid date": "a day of the calendar, like 2026-03-04",
    "Invalid initial character": "a key of A-Z, a-z, 0-9, _ and -, or one in quotes; in { } no comma after the last",
    "Invalid statement": "key = value, [table] or # a comment",
    "Invalid value": _VALUE,
    "Unclosed array": "a comma between the items, ] after the last",
    "Unclosed inline table": "a comma between the keys, } after the last, all on one line",
    "Unescaped '\\'": "'text' in single quotes, or two backslashes",
    "Unterminated string": "a closing quote",
    "Duplicate inline table key": "each key once",
}


class SyntaxFault(NamedTuple):
    """Where to look, line and column base 1 (column 0: the whole line), and what is wrong and accepted."""

    line: int
    column: int
    message: str


def syntax_fault(text: str, error: ValueError) -> SyntaxFault:
    """The fault of a `text` for which tomllib raised `error`."""
    what = str(error)
    found = _AT.search(what)
    what = _AT.sub("", what)
    text = text.replace("\r\n", "\n")  # as tomllib counts
    lines = text.split("\n")
    if found is None:  # a number of thousands of digits, which Python refuses without a place
        return SyntaxFault(_longest(lines), 0, "not TOML: a number that is too long, accepted: a whole number")
    line, column = (int(found[1]), int(found[2])) if found[1] else (len(lines), len(lines[-1]) + 1)
    before = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])
    began = last_statement_line(before)
    is_never_closed = what.startswith("Unclosed") and _STATEMENT.match(lines[line - 1], column - 1)
    if began < line and (not found[1] or is_never_closed):
        line, column = began, 0
    return SyntaxFault(line, column, _message(what, lines[line - 1], column))


def has_deep_key(text: str) -> bool:
    """Whether a dotted key has so many parts that no file of people's has it."""
    return _DEEP_KEY.search(text) is not None


def nesting_fault(text: str) -> SyntaxFault:
    """The fault of a text whose lists, tables or keys are too deep to be read."""
    lines = text.split("\n")
    depths = [line.count("[") + line.count("{") + line.count(".") for line in lines]
    return SyntaxFault(depths.index(max(depths)) + 1, 0, "nested too deeply, accepted: a few levels")


def _message(what: str, line: str, column: int) -> str:
    for pattern, wrong, accepted in _TOKENS:
        if any(each.start() < column <= each.end() + 1 for each in pattern.finditer(line)):
            return f"not TOML: {wrong}, accepted: {accepted}"
    accepted = next((accepted for start, accepted in _ACCEPTED.items() if what.startswith(start)), "TOML, toml.io")
    return f"not TOML: {what}, accepted: {accepted}"


def _longest(lines: list[str]) -> int:
    return max(range(len(lines)), key=lambda index: len(lines[index])) + 1
