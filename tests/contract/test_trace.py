"""Every requirement has a test, every mark names a requirement, and the page that says so is current."""

import re
from pathlib import Path

from tests.trace import PAGE, Area, Mark, areas, marks, page, problems

_PLANTED = """
import pytest

@pytest.mark.requirement("REQ-A-1", "REQ-A-9")
@pytest.mark.parametrize("x", [1])
async def test_one(x: int) -> None: ...

class TestTwo:
    @pytest.mark.requirement("REQ-A-1")
    def test_two(self) -> None: ...

@pytest.mark.requirement("REQ-A-2")
def no_test() -> None: ...
"""


def test_every_requirement_has_a_test_and_every_mark_a_requirement() -> None:
    assert problems(areas(), marks()) == []


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(areas(), marks()), "python -m tests.trace --write"


def test_the_papers_name_requirements_that_there_are() -> None:
    known = {requirement for area in areas() for requirement in area.requirements}
    named = {each for paper in PAGE.parent.glob("*.md") for each in re.findall(r"REQ-[A-Z]+-\d+", paper.read_text())}
    assert named - known == set()


def test_what_lacks_a_test_and_what_names_nothing_is_found(tmp_path: Path) -> None:
    """A mark on what pytest does not run shows nothing."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(_PLANTED)
    found = marks(tmp_path)
    assert found == [
        Mark("REQ-A-1", "tests/test_a.py::test_one"),
        Mark("REQ-A-9", "tests/test_a.py::test_one"),
        Mark("REQ-A-1", "tests/test_a.py::TestTwo::test_two"),
    ]
    assert problems([Area("A", {"REQ-A-1": "", "REQ-A-2": ""})], found) == [
        "REQ-A-2: no test has its mark",
        "tests/test_a.py::test_one: no requirement REQ-A-9",
    ]
