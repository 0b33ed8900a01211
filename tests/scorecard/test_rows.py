"""The scorecard's rows name tests that exist."""

import re
from pathlib import Path

import pytest

from tests.scorecard.rows import ROWS, Row

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_names_tests_that_are_there(row: Row) -> None:
    for test in row.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), path
        assert not name or re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_no_row_is_there_twice() -> None:
    numbers = [row.number for row in ROWS]
    assert len(set(numbers)) == len(numbers)
