"""The line of each key of a TOML document: path -> line.

Theory of operation. `tomllib` gives values without positions. This recursive-descent scanner reads a text that tomllib
has accepted, so it validates nothing: it follows headers, keys and nested values, and records the line of each.
A path is a tuple of keys and of list indexes, base 0, as pydantic's `loc` has them: `("point", 2, "type")`.
"""

import re
import tomllib
from contextlib import suppress

Step = str | int
Path = tuple[Step, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_SPACE = re.compile(r"[ \t]*")
_KEY_PART = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[A-Za-z0-9_-]+')
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")


def scan_lines(text: str) -> dict[Path, int]:
    """The line (base 1) of every table, key and list item of a valid TOML `text`."""
    return _Scanner(text).scan()


def last_statement_line(text: str) -> int:
    """The line (base 1) where the last key or header begins in the beginning of a valid TOML text, cut off anywhere."""
    scanner = _Scanner(text)
    with suppress(IndexError, ValueError):  # the cut
        scanner.scan()
    return scanner.statement_line


class _Scanner:
    def __init__(self, text: str) -> None:
        self.statement_line = 1
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._lines: dict[Path, int] = {(): 1}
        self._tables_in: dict[Path, int] = {}  # path of an array of tables -> how many it has so far

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            self._note_line()
            self.statement_line = self._line
            table = self._header() if self._text[self._at] == "[" else self._pair(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> Path:
        """Scan `[a.b]` or `[[a.b]]`; returns the path of the table that it opens."""
        is_array = self._text.startswith("[[", self._at)
        self._note_line()
        self._at += 2 if is_array else 1
        *parents, last = self._key()
        path = self._resolve((), parents)
        if is_array:
            self._lines.setdefault((*path, last), self._line)
            index = self._tables_in.get((*path, last), 0)
            self._tables_in[(*path, last)] = index + 1
            path = (*path, last, index)
        else:
            path = self._resolve(path, [last])
        self._lines[path] = self._line
        self._at += 2 if is_array else 1
        return path

    def _resolve(self, path: Path, keys: list[str]) -> Path:
        """The path after `keys`; an array of tables means its newest table."""
        for key in keys:
            path = (*path, key)
            self._lines.setdefault(path, self._line)
            if path in self._tables_in:
                path = (*path, self._tables_in[path] - 1)
        return path

    def _pair(self, table: Path) -> Path:
        """Scan `key = value`; returns `table`, to which the next pair belongs too."""
        self._note_line()
        path = table
        for key in self._key():
            path = (*path, key)
            self._lines.setdefault(path, self._line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)
        return table

    def _key(self) -> list[str]:
        """Scan a dotted key, up to what follows it."""
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            token = self._take(_KEY_PART)
            parts.append(_unquoted(token))
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case "[":
                self._items(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_BARE_VALUE)

    def _items(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._next_in_brackets("]"):
            self._note_line()
            self._lines[(*path, index)] = self._line
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._next_in_brackets("}"):
            self._pair(path)

    def _next_in_brackets(self, closing: str) -> bool:
        """Advance to the next item; False, past `closing`, if there is none."""
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        if self._text.startswith(closing, self._at):
            self._at += 1
            return False
        return True

    def _note_line(self) -> None:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"not the TOML that tomllib accepted, at character {self._at}")
        self._at = found.end()
        return found.group()


def _unquoted(token: str) -> str:
    return next(iter(tomllib.loads(f"{token} = 0"))) if token[0] in "\"'" else token
