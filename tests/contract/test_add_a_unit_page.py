"""docs/how-to/add-a-unit.md works as it stands: what is to be saved is accepted, what is to be seen is what comes."""

import asyncio
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.config.load import load_config
from simulators.scenario.scenario import load_scenario
from simulators.serve import Plant
from tests.contract.profile_wire import ROOT
from tests.unit.gateway.config.config_files import CONFIG, certificates, site

__all__ = ["certificates", "site"]

PAGE = (ROOT / "docs" / "how-to" / "add-a-unit.md").read_text()
BLOCKS = [text for _, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)]
PLACE = "127.0.0.1:40360"


def block(start: str) -> str:
    """The block of the page that begins so."""
    (found,) = (each for each in BLOCKS if each.startswith(start))
    return found


PROFILE = block('schema = 1\ndialect = "modbus-rtu"')
GOLDEN = block("[[golden]]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the page's folder of profiles, the profile in it."""
    here = tmp_path / "work"
    (here / "profiles").mkdir(parents=True)
    (here / "profiles" / "my-ez-zone.toml").write_text(f"{PROFILE}\n{GOLDEN}")
    monkeypatch.chdir(here)
    return here


def printed(command: str) -> str:
    """What the page's command prints, without the spaces at the ends of a table's lines."""
    result = CliRunner().invoke(main, command.split()[1:], catch_exceptions=False)
    return "".join(f"{line.rstrip()}\n" for line in result.stdout.splitlines())


def test_a_profile_without_golden_polls_is_told_that_one_below_zero_is_missing(folder: Path) -> None:
    (folder / "profiles" / "my-ez-zone.toml").write_text(PROFILE)
    assert printed(block("capgate check profiles")) == block("profiles/my-ez-zone.toml:1:")


def test_the_profile_with_its_golden_polls_is_accepted(folder: Path) -> None:
    assert printed(block("capgate check profiles")) == block("profile my-ez-zone:")


def test_the_golden_polls_find_a_wrong_order_of_words(folder: Path) -> None:
    path = folder / "profiles" / "my-ez-zone.toml"
    path.write_text(path.read_text().replace('"CDAB"', '"ABCD"'))
    assert printed(block("capgate check profiles")) == block("profiles/my-ez-zone.toml:117:")


def test_an_empty_request_is_told_what_it_could_be(folder: Path) -> None:
    path = folder / "profiles" / "my-ez-zone.toml"
    path.write_text(path.read_text().replace("01 03 01 68 00 03 85 EB", "", 1))
    assert "accepted: 01 03 01 68 00 03 85 EB, 01 03 07 58 00 01 04 AD" in printed(block("capgate check profiles"))


async def test_the_probe_shows_what_the_page_shows(folder: Path) -> None:
    (folder / "bench.toml").write_text(block('schema = 1\nname = "bench"').replace(PLACE, "127.0.0.1:0"))
    plant = Plant(load_scenario(folder / "bench.toml"), lambda: 0.0, lambda _: None)
    async with plant.serving() as urls:
        command = block("capgate probe").replace(f"socket://{PLACE}", urls["bench"])
        seen = await asyncio.to_thread(printed, command)
        assert seen.replace(urls["bench"], f"socket://{PLACE}") == block("Watlow EZ-ZONE PM at")
        other = await asyncio.to_thread(printed, command.replace("--unit-id 1", "--unit-id 2 --timeout 0.1"))
        assert "try next: wiring or address" in other


def test_the_gateway_takes_the_profile_from_the_folder(site: Path) -> None:
    assert block("[gateway]\n").splitlines()[1] in CONFIG
    (site / "profiles" / "my-ez-zone.toml").write_text(f"{PROFILE}\n{GOLDEN}")
    (site / "gateway.toml").write_text(CONFIG.replace('"julabo-cf"', '"my-ez-zone"\nunit_id = 1', 1))
    assert load_config(site / "gateway.toml").lines[0].units[0].profile.identity.id == "my-ez-zone"
