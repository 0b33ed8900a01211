"""Reads TOML files and validates them against a pydantic model; every error has its line.

No message quotes an offending value, since the file may hold secrets.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar, cast

import msgspec
from pydantic import BaseModel, ValidationError

from drivers.toml.files import files
from drivers.toml.lines import Path as KeyPath
from drivers.toml.lines import Step, scan_lines
from drivers.toml.messages import misfits
from drivers.toml.syntax import SyntaxFault, has_deep_key, nesting_fault, syntax_fault
from drivers.toml.text import NotText, text_of

M = TypeVar("M", bound=BaseModel)

_SHOWN_LINES = 5  # of further places with the same problem
_READABLE = "accepted: a file that this user can read"


class Problem(msgspec.Struct, frozen=True):
    """An error or warning about a file. `line` and `column` are base 1; 0: the whole file, the whole line."""

    file: str
    line: int
    path: str  # "point[2].type", base 0; "" for the document
    message: str
    column: int = 0  # of a syntax error

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])
        return ": ".join(part for part in (place, self.path, self.message) if part)


def each_once(problems: Iterable[Problem], key: Callable[[Problem], str]) -> tuple[Problem, ...]:
    """The problems in the order of their lines; of those with equal keys the first, which names the others' lines."""
    first: dict[str, Problem] = {}
    others: dict[str, list[int]] = {}
    for problem in sorted(problems, key=lambda each: each.line):
        if first.setdefault(key(problem), problem) is not problem:
            others.setdefault(key(problem), []).append(problem.line)
    return tuple(_with_lines(problem, others.get(name, ())) for name, problem in first.items())


def _with_lines(problem: Problem, lines: Sequence[int]) -> Problem:
    more = f", and {len(lines) - _SHOWN_LINES} more" if len(lines) > _SHOWN_LINES else ""
    also = f"; also in line {', '.join(map(str, lines[:_SHOWN_LINES]))}{more}" if lines else ""
    return msgspec.structs.replace(problem, message=f"{problem.message}{also}")


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
        meant, problems = self.checked(model)
        if problems:
            raise TomlProblems(problems)
        return Loaded(meant, model.model_validate(meant.data))

    def checked(self, model: type[BaseModel]) -> tuple["Document", tuple[Problem, ...]]:
        """Every error against `model`, and the document as it was meant: each misspelt key under its right name.

        Further checks read what was meant, so that a misspelt key is one error and not a missing one besides.
        """
        document, problems = self, list[Problem]()
        while True:  # ends: each round puts a key right, or is the last
            try:
                model.model_validate(document.data)
                found = []
            except ValidationError as error:
                found = list(misfits(model, document.data, error))
            renamed = {(*each.path[:-1], each.meant): each for each in reversed(found) if each.meant is not None}
            now = list(renamed.values()) or found
            problems += [document.problem(each.path, each.message) for each in now]
            if not renamed:
                return document, tuple(sorted(problems, key=lambda each: each.line))
            for path, misfit in renamed.items():
                document = document.renamed(misfit.path, str(path[-1]))

    def renamed(self, path: KeyPath, key: str) -> "Document":
        """The document with the last key of `path` named `key`; it keeps its line."""
        depth = len(path) - 1
        lines = {
            (*each[:depth], key, *each[depth + 1 :]) if each[: depth + 1] == path else each: line
            for each, line in self.lines.items()
        }
        return Document(self.file, cast("dict[str, object]", _renamed(self.data, path, key)), lines)


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
        return parse_toml(text_of(files().read(path)), file)
    except OSError as error:
        raise TomlProblems((Problem(file, 0, "", f"cannot be read: {error.strerror}, {_READABLE}"),)) from None
    except NotText as error:
        raise TomlProblems((Problem(file, error.line, "", str(error)),)) from None


@lru_cache(maxsize=64)  # all profiles are parsed to find one by its id, at each check, reload and probe
def parse_toml(text: str, file: str) -> Document:
    """The text's values, not validated; `file` names it in problems. Raises TomlProblems if it is not TOML."""
    try:
        if has_deep_key(text):
            raise RecursionError
        return Document(file, tomllib.loads(text), scan_lines(text))
    except RecursionError:
        fault = nesting_fault(text)
    except ValueError as error:
        fault = syntax_fault(text, error)
    raise TomlProblems((_problem_of(file, fault),)) from None


def _problem_of(file: str, fault: SyntaxFault) -> Problem:
    return Problem(file, fault.line, "", fault.message, fault.column)


def _renamed(value: object, path: KeyPath, key: str) -> object:
    """A copy of nested tables and lists with the last key of `path` named `key`, at the same place in its table."""
    first, *rest = path
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [_renamed(item, tuple(rest), key) if index == first else item for index, item in enumerate(items)]
    table = cast("dict[str, object]", value)
    if not rest:
        return {key if name == first else name: item for name, item in table.items()}
    return {name: _renamed(item, tuple(rest), key) if name == first else item for name, item in table.items()}


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
