"""The bill of materials is what pip installs of the lock, and the page's vendored files; each has a licence."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from release.components import UPLOT, VENDORED, components
from release.sbom import BILL, LICENCES, bill, write

ROOT = Path(__file__).parents[2]
# of the files as version 1.6.32 was published
PUBLISHED = {
    "uPlot.esm.js": "5dd9b3281aa64b461b42d9945f6adb2649d346502b12281a9ae0d46599a80eba",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sbom")
    write(folder, "1.2.3")
    return folder


@pytest.mark.requirement("REQ-SUPPLY-2")
def test_it_names_what_pip_installs_of_the_lock_and_the_vendored_files(written: Path) -> None:
    """pip itself says what of the lock is for this machine; all of it is installed here, so it needs no network."""
    ask = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--dry-run", "-r", "requirements.txt"]
    said = subprocess.check_output([*ask, "--disable-pip-version-check"], cwd=ROOT, text=True)
    installed = set(re.findall(r"^Requirement already satisfied: (\S+==\S+)", said, re.MULTILINE))
    assert len(installed) > 20
    assert "Would install" not in said
    listed = json.loads((written / BILL).read_text())["components"]
    assert {f"{each['name']}=={each['version']}" for each in listed} == {*installed, "uplot==1.6.32"}


def test_the_vendored_files_are_those_that_were_published() -> None:
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VENDORED.iterdir()}
    assert (UPLOT.version, found) == ("1.6.32", PUBLISHED)


@pytest.mark.requirement("REQ-SUPPLY-2")
def test_everything_has_a_licence_and_its_text_is_handed_out(written: Path) -> None:
    listed = components()
    assert [part.name for part in listed if not part.licence] == []
    assert [part.name for part in listed if not part.texts] == ["pyserial"], "its wheel has none"
    texts = (written / LICENCES).read_text()
    assert [part.name for part in listed if f"\n{part.name} {part.version}: {part.licence}\n" not in texts] == []
    assert (VENDORED / "uPlot.LICENSE").read_text().strip() in texts


def test_a_component_without_a_licence_is_refused() -> None:
    with pytest.raises(ValueError, match=BILL):
        bill([replace(UPLOT, licence="")], "1.2.3")


def test_a_licence_that_spdx_does_not_know_stands_in_the_authors_words() -> None:
    (listed,) = json.loads(bill([replace(UPLOT, licence="BSD License")], "1.2.3"))["components"]
    assert listed["licenses"] == [{"license": {"name": "BSD License"}}]
