"""CSV tables for spreadsheets: what others wrote is never taken for a formula."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one


def write_table(file: TextIO, headings: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """The rows under their headings; None is an empty cell, what looks like a formula gets an apostrophe before it."""
    writer = csv.writer(file)
    writer.writerow(headings)
    writer.writerows([_cell(field) for field in row] for row in rows)


def _cell(field: object) -> object:
    return f"'{field}" if isinstance(field, str) and field.startswith(_FORMULA) else field
