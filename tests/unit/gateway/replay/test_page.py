"""docs/how-97009-is-counted.md: its example is what replay prints, and its table has every key and default."""

import re
from enum import StrEnum
from pathlib import Path

from click.testing import CliRunner

from gateway.cli.replay import command
from gateway.session.policy import PolicyFile

PAGE = Path(__file__).parents[4] / "docs" / "how-97009-is-counted.md"
_SIGNED = {"name", "revision", "effective", "approved_by"}


def _block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.+?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    return text


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text(_block("json"))
    assert CliRunner().invoke(command, [str(path)]).stdout == _block("text")


def test_the_table_has_every_choice_and_its_default() -> None:
    rows: list[tuple[str, str]] = re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.read_text(), flags=re.MULTILINE)
    defaults = {
        name: _text(960 if name == "first_threshold_s" else field.default)
        for name, field in PolicyFile.model_fields.items()
        if name not in _SIGNED
    }
    assert {name: value.strip("`") for name, value in rows if name != "complete"} == defaults


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case StrEnum():
            return value.value
        case _:
            return str(value)
