"""Every shipped profile has its page, and each says what the profile says."""

import pytest

from tests.contract.device_pages import FOLDER, PROJECT_README, README, index, pages, summary
from tests.contract.profile_wire import ROOT, SHIPPED

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_says_what_the_profile_says(page: object) -> None:
    (path,) = (each for each in PAGES if each == page)
    assert path.exists(), f"{path.relative_to(ROOT)}: python -m tests.contract.device_pages writes it"
    assert path.read_text() == PAGES[path], "python -m tests.contract.device_pages writes it anew"


def test_there_is_a_page_for_each_profile_and_no_other() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == {path.stem for path in SHIPPED}


def test_both_tables_name_every_profile_with_its_page() -> None:
    assert index() in README.read_text()
    assert summary() in PROJECT_README.read_text()
    assert all(f"(units/{path.stem}.md)" in index() for path in SHIPPED)
    assert all(f"(docs/devices/units/{path.stem}.md)" in summary() for path in SHIPPED)


def test_whoever_looks_for_a_thermocube_finds_why_it_is_left_out() -> None:
    assert "ThermoCube" in README.read_text()
