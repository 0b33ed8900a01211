"""Reads TOML files and validates them against a pydantic model; every error has its line.

No message quotes an offending value, since the file may hold secrets.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar, cast

import msgspec
from pydantic import BaseModel, ValidationError

from drivers.toml import messages
from drivers.toml.files import files
from drivers.toml.lines import Path as KeyPath
from drivers.toml.lines import Step, scan_lines

M = TypeVar("M", bound=BaseModel)

_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Problem(msgspec.Struct, frozen=True):
    """An error or warning about a file. `line` is base 1; 0: the whole file."""

    file: str
    line: int
    path: str  # "point[2].type", base 0; "" for the document
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class TomlProblems(Exception):
    """One or more files are invalid; `problems` has every error."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Document(msgspec.Struct, frozen=True):
    """A TOML file's values, and the lines of its keys."""

    file: str
    data: dict[str, object]
    lines: dict[KeyPath, int]

    def line_of(self, *path: Step) -> int:
        """The line of a key; of its nearest table where the key is missing."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem with the value at `path`."""
        return Problem(self.file, self.line_of(*path), path_text(path), message)

    def fit(self, model: type[M]) -> "Loaded[M]":
        """Validate the values as `model`. Raises TomlProblems with every error."""
        try:
            return Loaded(self, model.model_validate(self.data))
        except ValidationError as error:
            raise TomlProblems(self._problems(model, error)) from None

    def _problems(self, model: type[BaseModel], error: ValidationError) -> tuple[Problem, ...]:
        misfits = messages.misfits(model, self.data, error)
        return tuple(sorted((self.problem(path, message) for path, message in misfits), key=lambda each: each.line))


class Loaded(msgspec.Struct, Generic[M], frozen=True):
    """A validated file, with its document for further checks that report line numbers."""

    document: Document
    model: M

    def line_of(self, *path: Step) -> int:
        """The line of a key; of its nearest table where the key is missing."""
        return self.document.line_of(*path)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem with the value at `path`."""
        return self.document.problem(path, message)


def load_toml(path: Path, model: type[M]) -> M:
    """The file as `model`. Raises TomlProblems with every error."""
    return read_toml(path).fit(model).model


def load_toml_lines(path: Path, model: type[M]) -> Loaded[M]:
    """The file as `model`, with its line numbers. Raises TomlProblems with every error."""
    return read_toml(path).fit(model)


def read_toml(path: Path) -> Document:
    """The file's values, not validated. Raises TomlProblems if it cannot be read or is not TOML."""
    file = str(path)
    try:
        content = files().read(path)
    except OSError as error:
        raise TomlProblems((Problem(file, 0, "", f"cannot be read: {error.strerror}"),)) from None
    try:
        return parse_toml(content.decode(), file)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TomlProblems((Problem(file, line, "", "not UTF-8, accepted: UTF-8 text"),)) from None


@lru_cache(maxsize=64)  # all profiles are parsed to find one by its id, at each check, reload and probe
def parse_toml(text: str, file: str) -> Document:
    """The text's values, not validated; `file` names it in problems. Raises TomlProblems if it is not TOML."""
    try:
        return Document(file, tomllib.loads(text), scan_lines(text))
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _AT_LINE.search(message)
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        reason = f"not TOML: {_AT_LINE.sub('', message)}"
        raise TomlProblems((Problem(file, line, "", reason),)) from None


def path_text(path: KeyPath) -> str:
    """`("point", 2, "type")` as `point[2].type`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def with_value(data: Mapping[str, object], path: KeyPath, value: object) -> dict[str, object]:
    """A copy of nested tables with the value at `path` set; missing tables are created."""
    first, *rest = path
    key = str(first)
    if not rest:
        return {**data, key: value}
    inner = data.get(key)
    table = cast("dict[str, object]", inner) if isinstance(inner, dict) else {}
    return {**data, key: with_value(table, tuple(rest), value)}
