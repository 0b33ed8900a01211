"""CSV tables for spreadsheets: what others wrote is never taken for a formula."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

from gateway.runtime.logs import escaped

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # what a spreadsheet takes for the beginning of one, wide forms too


def write_table(file: TextIO, headings: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """The rows under their headings; None is an empty cell.

    What looks like a formula gets an apostrophe before it, and what cannot be printed is escaped, as on a terminal.
    """
    writer = csv.writer(file)
    writer.writerow(headings)
    writer.writerows([_cell(field) for field in row] for row in rows)


def _cell(field: object) -> object:
    if not isinstance(field, str):
        return field
    text = escaped(field)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
