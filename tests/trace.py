"""Which tests show which requirement: `python -m tests.trace` prints the table, `--write` writes docs/review/trace.md.

The requirements: docs/review/requirements.toml; a test says which it shows: `@pytest.mark.requirement("REQ-COUNT-1")`.
The marks are read from the source, so nothing is collected or run.
"""

import argparse
import ast
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/review/trace.md"
_REQUIREMENTS = ROOT / "docs/review/requirements.toml"
_MARK = "pytest.mark.requirement"
_HEAD = """# Requirements and the tests that show them

Made of [requirements.toml](requirements.toml) and of the marks in the tests, by `python -m tests.trace --write`.
A test holds it current. `.venv/bin/pytest NAME` runs one of the tests below.
"""


@dataclass(frozen=True)
class Area:
    """Requirements that belong together: what each says, by its id."""

    title: str
    requirements: dict[str, str]


@dataclass(frozen=True)
class Mark:
    """One test's word that it shows a requirement. `test` is as pytest takes it: "tests/FILE.py::NAME"."""

    requirement: str
    test: str


def areas(file: Path = _REQUIREMENTS) -> list[Area]:
    """All requirements, in the file's order."""
    tables: dict[str, dict[str, str]] = tomllib.loads(file.read_text())
    return [Area(table.pop("title"), table) for table in tables.values()]


def marks(root: Path = ROOT) -> list[Mark]:
    """The marks of all tests under `root`/tests, by test."""
    sources = ((file, file.read_text()) for file in sorted((root / "tests").rglob("test_*.py")))
    return [
        mark
        for file, source in sources
        if _MARK in source
        for mark in _marks_of(ast.parse(source), file.relative_to(root).as_posix())
    ]


def _marks_of(node: ast.Module | ast.ClassDef, name: str) -> Iterator[Mark]:
    for each in node.body:
        if isinstance(each, ast.ClassDef):
            yield from _marks_of(each, f"{name}::{each.name}")
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
            for decorator in each.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == _MARK:
                    for argument in decorator.args:
                        yield Mark(str(ast.literal_eval(argument)), f"{name}::{each.name}")


def problems(known: list[Area], marked: list[Mark]) -> list[str]:
    """Requirements without a test, and marks of what is none."""
    wanted = {requirement for area in known for requirement in area.requirements}
    shown = {mark.requirement for mark in marked}
    return [
        *(f"{requirement}: no test has its mark" for requirement in sorted(wanted - shown)),
        *(f"{mark.test}: no requirement {mark.requirement}" for mark in marked if mark.requirement not in wanted),
    ]


def page(known: list[Area], marked: list[Mark]) -> str:
    """The table, as Markdown."""
    return "\n".join([_HEAD, *("\n".join(_section(area, marked)) for area in known)])


def _section(area: Area, marked: list[Mark]) -> Iterator[str]:
    yield from (f"## {area.title}", "", "| id | requirement | tests |", "|---|---|---|")
    for requirement, text in area.requirements.items():
        tests = "<br>".join(f"`{mark.test}`" for mark in marked if mark.requirement == requirement)
        yield f"| {requirement} | {text} | {tests} |"
    yield ""


def main() -> int:
    """The command line: 0, or 1 where requirements and marks do not fit."""
    parser = argparse.ArgumentParser(prog="python -m tests.trace", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    known, marked = areas(), marks()
    wrong = problems(known, marked)
    if parser.parse_args().write:
        PAGE.write_text(page(known, marked))
    else:
        sys.stdout.write(page(known, marked))
    sys.stderr.writelines(f"{each}\n" for each in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
