"""TOML files from people: every error at once, each with its line and what is accepted."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from drivers.toml.document import Problem, TomlProblems, load_toml, load_toml_lines, parse_toml, path_text, with_value
from drivers.toml.lines import scan_lines


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class _Round(_Table):
    kind: Literal["round"]
    radius: Annotated[StrictInt, Field(ge=1, le=9)]


class _Square(_Table):
    kind: Literal["square"]
    side: int


class _Item(_Table):
    name: Annotated[str, Field(pattern="^[a-z]+$")]
    colour: _Colour
    tags: tuple[Annotated[str, Field(min_length=2)], ...] = ()


class _File(_Table):
    title: str
    password: Annotated[str, Field(max_length=8)] = ""
    item: tuple[_Item, ...] = ()
    shape: Annotated[_Round | _Square, Field(discriminator="kind")] | None = None


def _problems(text: str, model: type[BaseModel] = _File) -> list[tuple[int, str, str]]:
    with pytest.raises(TomlProblems) as caught:
        parse_toml(text, "f.toml").fit(model)
    assert all(each.file == "f.toml" for each in caught.value.problems)
    return [(each.line, each.path, each.message) for each in caught.value.problems]


def test_a_good_file_becomes_the_model(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text('title = "t"\n[[item]]\nname = "a"\ncolour = "red"\n')
    assert load_toml(path, _File) == _File(title="t", item=(_Item(name="a", colour=_Colour.RED),))


def test_all_errors_come_at_once_in_the_order_of_lines() -> None:
    text = 'zz = 1\n[[item]]\nname = "A"\ncolour = "green"\n\n[[item]]\nname = "b"\ntags = [\n  "ok",\n  "x",\n]\n'
    assert _problems(text) == [
        (1, "title", "missing, accepted: text"),
        (1, "zz", "unknown key, accepted: title, password, item, shape"),
        (3, "item[0].name", "not of the right form, accepted: text that matches ^[a-z]+$"),
        (4, "item[0].colour", "unknown value, accepted: red, blue"),
        (6, "item[1].colour", "missing, accepted: red, blue"),
        (10, "item[1].tags[1]", "too short, accepted: 2 characters or more"),
    ]


def test_a_tables_kind_decides_which_keys_are_accepted() -> None:
    assert _problems('title = ""\nshape = { kind = "round", side = 3 }\n') == [
        (2, "shape.radius", "missing, accepted: a whole number"),
        (2, "shape.side", "unknown key, accepted: kind, radius"),
    ]
    assert _problems('title = ""\n[shape]\n\nkind = "oval"\n') == [
        (4, "shape.kind", "unknown value, accepted: round, square")
    ]
    assert _problems('title = ""\n[shape]\nside = 2\n') == [(2, "shape.kind", "missing, accepted: round, square")]


def test_a_range_says_which_side_was_left() -> None:
    assert _problems('title = ""\n[shape]\nkind = "round"\nradius = 12\n') == [
        (4, "shape.radius", "too large, accepted: 9 or less")
    ]
    assert _problems('title = ""\n[shape]\nkind = "round"\nradius = 0\n') == [
        (4, "shape.radius", "too small, accepted: 1 or more")
    ]


def test_a_wrong_type_says_which_is_right() -> None:
    assert _problems("title = 3\nitem = 7\n") == [
        (1, "title", "wrong type, accepted: text"),
        (2, "item", "wrong type, accepted: a list"),
    ]


def test_no_message_shows_the_offending_value() -> None:
    with pytest.raises(TomlProblems) as caught:
        parse_toml('title = ""\npassword = "swordfish99"\n', "f.toml").fit(_File)
    assert "swordfish" not in str(caught.value)
    assert "swordfish" not in repr(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = = 2\n", 2), ("a = 1\n\na = 2\n", 3), ("a = 1\n[b\n", 2), ('a = "x\n', 1)]
)
def test_a_syntax_error_is_one_problem_with_its_line(text: str, line: int) -> None:
    with pytest.raises(TomlProblems) as caught:
        parse_toml(text, "f.toml")
    (problem,) = caught.value.problems
    assert problem.line == line
    assert problem.message.startswith("not TOML")


def test_a_file_that_cannot_be_read_is_a_problem_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(TomlProblems) as caught:
        load_toml(tmp_path / "none.toml", _File)
    assert (
        str(caught.value)
        == f"{tmp_path}/none.toml: cannot be read: No such file or directory, accepted: a file that this user can read"
    )


def test_text_that_is_not_utf8_is_a_problem_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'a = 1\nb = "\xe9"\n')
    with pytest.raises(TomlProblems) as caught:
        load_toml(path, _File)
    assert [each.line for each in caught.value.problems] == [2]


def test_a_problem_reads_file_line_path_message() -> None:
    assert str(Problem("f.toml", 3, "a.b", "missing")) == "f.toml:3: a.b: missing"
    assert path_text(("point", 2, "type")) == "point[2].type"


def test_a_loaded_file_tells_lines_for_later_checks(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text('title = "t"\n\n[[item]]\nname = "a"\ncolour = "red"\n')
    loaded = load_toml_lines(path, _File)
    assert loaded.line_of("item", 0, "colour") == 5
    assert loaded.line_of("item", 0, "tags") == 3, "a missing key stands where its table begins"
    assert str(loaded.problem(("item", 0, "name"), "taken")) == f"{path}:4: item[0].name: taken"


def test_lines_follow_every_form_that_toml_has() -> None:
    text = "\n".join(
        [
            "# [comment] = 1",
            'a.b."c d" = 1 # x = [',
            "s = '''",
            "[no.header]",
            "k = 1'''",
            't = """a \\""" ',
            '"quote" """',
            "n = [ [1, 2], # ]",
            "  { p = 'q=r', 'u v' = [ 3,",
            "  4 ] },",
            "]",
            "[x]",
            "[[x.y]]",
            "one = 1",
            "[[x.y]]",
            "two = 2",
            "[x.y.z]",
            "three = 3",
            "[[x.y.w]]",
            "four = 4",
        ]
    )
    lines = scan_lines(text)
    assert {path: lines[path] for path in lines if path[:1] == ("n",)} == {
        ("n",): 8,
        ("n", 0): 8,
        ("n", 0, 0): 8,
        ("n", 0, 1): 8,
        ("n", 1): 9,
        ("n", 1, "p"): 9,
        ("n", 1, "u v"): 9,
        ("n", 1, "u v", 0): 9,
        ("n", 1, "u v", 1): 10,
    }
    assert lines["a", "b", "c d"] == 2
    assert (lines[("s",)], lines[("t",)]) == (3, 6)
    assert (lines["x", "y", 0], lines["x", "y", 0, "one"]) == (13, 14)
    assert (lines["x", "y", 1, "two"], lines["x", "y", 1, "z", "three"]) == (16, 18)
    assert lines["x", "y", 1, "w", 0, "four"] == 20
    assert not any("no" in path for path in lines)


def test_a_value_is_set_without_touching_the_original() -> None:
    data: dict[str, object] = {"link": {"serial": {"baud": 9600}}}
    assert with_value(data, ("link", "serial", "baud"), 300) == {"link": {"serial": {"baud": 300}}}
    assert with_value(data, ("timing", "gap_ms"), 5) == {**data, "timing": {"gap_ms": 5}}
    assert data == {"link": {"serial": {"baud": 9600}}}


def _only_problem(path: Path) -> Problem:
    with pytest.raises(TomlProblems) as caught:
        load_toml(path, _File)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "line", "column", "accepted"),
    [
        ("title = [1, 2\n[shape]\n", 1, 0, "] after the last"),
        ('a = 1\ntitle = """x\ny\n', 2, 0, "a closing quote"),
        ("title = [\n  1\n  2,\n]\n", 3, 3, "a comma between the items"),
        ("d = 2026-13-01\n", 1, 9, "a day of the calendar"),
        ("d = { on = 2026-02-31 }\n", 1, 12, "a day of the calendar"),
        ("d = 10,5\n", 1, 7, "a point before the decimals"),
        ("d = yes\n", 1, 5, "true or false"),
        ('title "t"\n', 1, 7, "key = value"),
        ('title = "t\nb = 1\n', 1, 11, "a closing quote on the same line"),
        (f"b = 1\nd = {'[' * 9000}\n", 2, 0, "a few levels"),
        (f"b = 1\n{'.'.join('a' * 900)} = 1\n", 2, 0, "a few levels"),
        (f"b = 1\nd = {'9' * 9000}\n", 2, 0, "a whole number"),
    ],
)
def test_a_syntax_error_says_where_and_what_is_accepted(
    tmp_path: Path, text: str, line: int, column: int, accepted: str
) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    problem = _only_problem(path)
    assert (problem.line, problem.column) == (line, column)
    assert f"accepted: {accepted}" in problem.message or accepted in problem.message.partition("accepted: ")[2]


@pytest.mark.parametrize(
    ("content", "accepted"),
    [
        (b'\xef\xbb\xbftitle = "t"\n', "UTF-8 without a byte order mark"),
        ('title = "t"\n'.encode("utf-16"), "UTF-8 without a byte order mark"),
        (b"#" * 2_000_000, "1048576 bytes or fewer"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path: Path, content: bytes, accepted: str) -> None:
    path = tmp_path / "other.toml"
    path.write_bytes(content)
    assert _only_problem(path).message.endswith(f"accepted: {accepted}")


def test_a_pipe_or_a_directory_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is no regular file" in _only_problem(tmp_path / "pipe").message
    assert "it is a directory" in _only_problem(tmp_path).message


def test_a_misspelt_key_is_one_error_and_what_it_holds_is_still_judged() -> None:
    assert _problems('titel = "t"\n[shpe]\nkind = "round"\nradius = 12\n') == [
        (1, "titel", "unknown key, accepted: title, password, item, shape (did you mean title?)"),
        (2, "shpe", "unknown key, accepted: title, password, item, shape (did you mean shape?)"),
        (4, "shape.radius", "too large, accepted: 9 or less"),
    ]


def test_a_list_with_a_wrong_item_is_not_too_short_besides() -> None:
    class Listed(_Table):
        item: Annotated[tuple[_Item, ...], Field(min_length=1)]

    assert _problems('[[item]]\nname = "a"\ncolour = "rad"\n', Listed) == [
        (3, "item[0].colour", "unknown value, accepted: red, blue (did you mean red?)")
    ]


def test_a_value_that_fits_no_form_is_one_error() -> None:
    class Formed(_Table):
        unit: _Colour | _Square | None = None

    assert _problems('unit = "grey"\n', Formed) == [(1, "unit", "unknown value, accepted: red, blue, or a table")]
    assert _problems('unit = { kind = "square" }\n', Formed) == [(1, "unit.side", "missing, accepted: a whole number")]
