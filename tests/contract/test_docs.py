"""The pages keep what they promise: links lead somewhere, commands and options exist, examples work as they stand."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.replay import command as replay
from gateway.config.load import load_config
from gateway.control.requests import RequestRefused, read_request

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = ROOT / "docs" / "architecture.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_COMMAND = re.compile(r"(?:^|/|\$ |  |; )capgate +([a-z]+(?:-[a-z]+)*)((?: +[^\s;|&>#]+)*)", re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w-]*")
_PACKAGES = ("gateway", "drivers", "simulators")
_SOURCE = re.compile(r"(?<![\w/.\"-])(?:gateway|drivers|simulators|tests)/[\w./*-]*[\w*]")
_MACHINE = re.compile(r"(?<![\w.~])/(?:work|root|home|Users)/")
_REGISTRY = re.compile(r"pypi\.org|pythonhosted\.org|index-url|npmjs\.|crates\.io|proxy\.golang\.org|artifactory")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _anchor(heading: str) -> str:
    """The name under which a heading can be linked to: lower case, hyphens for spaces, no other punctuation."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_anchor(heading) for heading in _HEADING.findall(_FENCE.sub("", page.read_text()))}


def _dead_links(page: Path) -> Iterator[str]:
    text = _SPAN.sub("", _FENCE.sub("", page.read_text()))
    for link in _LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or ROOT not in target.parents:
            yield f"{link}: no such file"
        elif anchor and anchor not in _anchors(target):
            yield f"{link}: no such heading"


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each `capgate COMMAND` in blocks and spans of code, with the options that follow it.

    A command of a group is named with its group.
    """
    blocks = [block for _, block in _FENCE.findall(text)]
    spans = _SPAN.findall(_FENCE.sub("", text))
    for code in [*blocks, *spans]:
        for name, rest in _COMMAND.findall(code.replace("\\\n", " ")):
            inner = _find(name)
            if isinstance(inner, click.Group) and rest and not rest.split()[0].startswith("-"):
                name = f"{name} {rest.split()[0]}"
            yield name, _OPTION.findall(rest)


def _find(name: str) -> click.Command | None:
    found: click.Command | None = main
    for word in name.split():
        found = found.get_command(click.Context(found), word) if isinstance(found, click.Group) else None
    return found


def _unknown(name: str, options: list[str]) -> Iterator[str]:
    found = _find(name)
    if found is None:
        yield f"capgate {name}"
        return
    known = {spelling for each in found.params for spelling in (*each.opts, *each.secondary_opts)} | {"-h", "--help"}
    yield from (f"capgate {name} {option}" for option in options if option not in known)


def _tutorial_block(name: str) -> str:
    """The block of code that follows the words "Save ... as `name`"."""
    found = re.search(
        rf"as `{re.escape(name)}`[^`]*\n\n```\w*\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"the tutorial shows no {name}"
    return found[1]


@every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert list(_dead_links(page)) == []


@every_page
def test_every_source_path_that_a_page_names_exists(page: Path) -> None:
    """Whole paths from the root of the tree; one with a `*` must match something."""
    assert [path for path in _SOURCE.findall(page.read_text()) if not any(ROOT.glob(path))] == []


def test_the_architecture_names_every_package_and_its_layers() -> None:
    packages = [path.parent.relative_to(ROOT) for root in _PACKAGES for path in (ROOT / root).glob("*/__init__.py")]
    page = ARCHITECTURE.read_text()
    assert [str(each) for each in packages if f"{each}/ " not in page] == []
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["type"] == "layers")
    assert "```\n" + "\n".join(layers) + "\n```" in page


@every_page
def test_no_page_names_a_path_of_one_machine_or_a_registry(page: Path) -> None:
    text = page.read_text()
    assert _MACHINE.findall(text) == []
    assert _REGISTRY.findall(text) == []


@every_page
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    assert [problem for name, options in _commands(page.read_text()) for problem in _unknown(name, options)] == []


def test_the_pages_name_every_command() -> None:
    named = {name.split()[0] for page in PAGES for name, _ in _commands(page.read_text())}
    assert named >= set(main.list_commands(click.Context(main)))


def test_the_page_on_operation_has_every_request_of_the_socket() -> None:
    with pytest.raises(RequestRefused) as refused:
        read_request(b'{"request": "?"}')
    page = (ROOT / "docs" / "how-to" / "operate.md").read_text()
    named = re.findall(r'^\| `{"request": "([a-z-]+)"', page, re.MULTILINE)
    assert sorted(named) == sorted(refused.value.accepted.split(", "))


def test_the_check_sees_commands_where_pages_have_them() -> None:
    block = "```sh\ncapgate run \\\n  --confg x\n$ capgate watch --jsn > log\n```\n"
    text = f"{block}Say `sudo /opt/bin/capgate chek FILE --json`."
    found = list(_commands(text))
    assert found == [("run", ["--confg"]), ("watch", ["--jsn"]), ("chek", ["--json"])]
    assert [problem for name, options in found for problem in _unknown(name, options)] == [
        "capgate run --confg",
        "capgate watch --jsn",
        "capgate chek",
    ]


def test_the_tutorials_configuration_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text(_tutorial_block("quick.toml"))
    (tmp_path / "gateway.toml").write_text(_tutorial_block("gateway.toml"))
    config = load_config(tmp_path / "gateway.toml")
    assert [unit.id for unit in config.units] == ["cap-01"]
    assert config.policies.all[0].name == "quick"


def test_the_tutorials_case_prints_what_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    path.write_text(_tutorial_block("session.json"))
    printed = CliRunner().invoke(replay, [str(path), "--policy", "midpoint"]).stdout
    assert printed
    assert printed in TUTORIAL.read_text()
