"""Tables for spreadsheets with hostile texts: each stays one cell, and none is a formula."""

import csv
import io

from gateway.audit.tables import write_table
from tests.support.hostile_texts import TEXTS

BEGINS = set("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def test_every_text_is_one_cell_that_no_spreadsheet_computes() -> None:
    file = io.StringIO()
    write_table(file, ("first", "second"), [(text, "after") for text in TEXTS])
    rows = list(csv.reader(io.StringIO(file.getvalue())))[1:]
    assert len(rows) == len(TEXTS)
    for text, (cell, after) in zip(TEXTS, rows, strict=True):
        assert after == "after"
        assert cell.isprintable()
        assert cell.lstrip()[:1] not in BEGINS
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
        assert cell in (shown, f"'{shown}"), "and it stays readable"
