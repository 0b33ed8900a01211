"""The pictures of the page can be taken again, are as large as those that are there, and stand in their pages."""

import struct
from pathlib import Path

import pytest

from tests.web.screenshot import PICTURES, ROOT, Picture, take


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height, as the PNG's header says."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:])
    return width, height


@pytest.mark.parametrize("picture", PICTURES, ids=lambda each: each.file)
async def test_a_picture_is_one_of_the_page_and_is_shown(picture: Picture, tmp_path: Path) -> None:
    await take(picture, tmp_path / "site", tmp_path / "new.png")
    assert size_of(tmp_path / "new.png") == size_of(ROOT / picture.file) == picture.size
    page = ROOT / picture.shown_in
    assert f"({(ROOT / picture.file).relative_to(page.parent)})" in page.read_text()
