"""The README's picture of the page can be taken again, and is as large as the one that is there."""

import struct
from pathlib import Path

from tests.web.screenshot import PICTURE, SIZE, take

README = Path(__file__).parents[2] / "README.md"


def size_of(picture: Path) -> tuple[int, int]:
    """Width and height, as the PNG's header says."""
    head = picture.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:])
    return width, height


async def test_the_picture_in_the_readme_is_one_of_the_page(tmp_path: Path) -> None:
    await take(tmp_path / "site", tmp_path / "screens.png")
    assert size_of(tmp_path / "screens.png") == size_of(PICTURE) == SIZE
    assert f"(docs/{PICTURE.name})" in README.read_text()
