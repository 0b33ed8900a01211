"""The page of peers names every one that is installed, by its distribution and version."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "peers.md").read_text()
REQUIRED = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements-peers.in").read_text(), re.MULTILINE)


@pytest.mark.parametrize(("name", "version"), REQUIRED)
def test_a_python_peer_is_on_the_page_with_its_version(name: str, version: str) -> None:
    assert f"`{name}` {version}" in PAGE


@pytest.mark.parametrize(
    "name",
    ["modbus-serial", "jsmodbus", "node-hl7-server", "node-hl7-client", "simple-hl7", "@medplum/hl7", "node-red"],
)
def test_a_peer_from_npm_is_on_the_page_with_its_version(name: str) -> None:
    versions = json.loads((ROOT / "tests" / "node" / "package.json").read_text())["dependencies"]
    assert f"`{name}` {versions[name]}" in PAGE
