"""The Debian package has every page, unit and example, and its environment works where it will lie.

Without the libraries, which take minutes: with them it is built, installed and run by tests/scorecard.
"""

import gzip
import os
import re
import subprocess
from pathlib import Path

import click
import pytest

from release import deb, environment
from release.commands import contexts
from release.manual import COMPLETIONS
from release.sbom import BILL, LICENCES
from tests.support.tools import tool

VERSION = "1.2.3"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the package would install, and its description of itself in DEBIAN."""
    root = tmp_path_factory.mktemp("package")
    environment.make(root, deb.PREFIX, [])
    deb.add_files(root, VERSION)
    deb.describe(root, VERSION, "amd64")
    return root


def test_every_command_has_a_man_page_with_all_its_options(tree: Path) -> None:
    pages = {page.name: gzip.decompress(page.read_bytes()).decode() for page in (tree / "usr/share/man/man1").iterdir()}
    commands = {f"{context.command_path.replace(' ', '-')}.1.gz": context.command for context in contexts(100)}
    assert pages.keys() == commands.keys()
    for name, command in commands.items():
        options = [each.opts[-1].replace("-", r"\-") for each in command.params if isinstance(each, click.Option)]
        assert [option for option in options if option not in pages[name]] == [], name
        assert "Example" in pages[name], name
        assert f'"{VERSION}"' in pages[name], name


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_every_shell_completes(tree: Path, shell: str) -> None:
    assert "_CAPGATE_COMPLETE" in (tree / COMPLETIONS[shell]).read_text()


def test_what_lies_in_etc_is_never_overwritten(tree: Path) -> None:
    configuration = {f"/{path.relative_to(tree)}" for path in (tree / "etc").rglob("*") if path.is_file()}
    assert set((tree / "DEBIAN/conffiles").read_text().split()) == configuration
    assert "/etc/capgate/gateway.toml" not in configuration, "the site's own"


def test_every_unit_is_there_and_starts_what_is_there(tree: Path) -> None:
    units = list((tree / "usr/lib/systemd/system").iterdir())
    assert {unit.name for unit in units} == {"capgate.service", "capgate-bridge.service"}
    for unit in units:
        programs = set(re.findall(r"^Exec\w+=(\S+)", unit.read_text(), re.MULTILINE))
        assert [tree / program.removeprefix("/") for program in programs] == [tree / "opt/capgate/bin/capgate"]
    assert os.readlink(tree / "usr/bin/capgate") == "/opt/capgate/bin/capgate"


def test_it_says_what_it_is_made_of(tree: Path) -> None:
    doc = tree / "usr/share/doc/capgate"
    assert {BILL, LICENCES} <= {file.name for file in doc.iterdir()}
    assert f'"{VERSION}"' in (doc / BILL).read_text()


@pytest.mark.parametrize("script", ["preinst", "postinst", "prerm", "postrm"])
def test_the_scripts_are_shell_that_runs(tree: Path, script: str) -> None:
    file = tree / "DEBIAN" / script
    assert os.access(file, os.X_OK)
    subprocess.run(["sh", "-n", file], check=True)


def test_the_package_wants_the_pythons_that_it_has_libraries_for(tree: Path) -> None:
    wanted = re.findall(r"python3 \((>=|<<) 3\.(\d+)\)", (tree / "DEBIAN/control").read_text())
    taken = [minor for minor in range(30) if _fits(minor, wanted)]
    assert [f"3.{minor}" for minor in taken] == list(deb.PYTHONS)


def _fits(minor: int, wanted: list[tuple[str, str]]) -> bool:
    """The wish is: at least the first, not the hole between, below the last."""
    (_, first), (_, hole), (_, again), (_, last) = wanted
    return int(first) <= minor < int(hole) or int(again) <= minor < int(last)


def test_it_is_packed_without_root_as_files_of_root_and_always_the_same(tree: Path, tmp_path: Path) -> None:
    packages = [tmp_path / name for name in ("first.deb", "second.deb")]
    for package in packages:
        deb.build(tree, package, compression="none")
    assert packages[0].read_bytes() == packages[1].read_bytes()
    listed = subprocess.check_output([tool("dpkg-deb"), "--contents", packages[0]], text=True).splitlines()
    assert {line.split()[1] for line in listed} == {"root/root"}
    (secrets,) = [line for line in listed if line.endswith("./etc/capgate/secrets/")]
    assert secrets.startswith("drwx------")


def test_the_environment_has_its_own_libraries_and_no_others(tmp_path: Path) -> None:
    home = tmp_path / "opt"
    environment.make(Path("/"), home, [])
    python = home / "bin/python3"
    ask = [python, "-I", "-c", "import sys, sysconfig; print(sysconfig.get_path('purelib'), *sys.path, sep='\\n')"]
    own, *searched = subprocess.check_output(ask, text=True).splitlines()
    assert Path(own).is_relative_to(home)
    Path(own).mkdir(parents=True)
    (Path(own) / "only_here.py").write_text("")
    subprocess.run([python, "-I", "-c", "import only_here"], check=True)
    assert not any("dist-packages" in path for path in searched)


def test_a_file_that_two_pythons_have_alike_is_stored_once(tmp_path: Path) -> None:
    for python, special in (("3.11", "a"), ("3.13", "b")):
        folder = tmp_path / python
        folder.mkdir()
        (folder / "same.py").write_text("same")
        (folder / "special.so").write_text(special)
    environment.store_once(tmp_path / "3.11", tmp_path / "3.13")
    links = {name: (tmp_path / "3.13" / name).stat().st_nlink for name in ("same.py", "special.so")}
    assert links == {"same.py": 2, "special.so": 1}
    assert (tmp_path / "3.13" / "special.so").read_text() == "b"
