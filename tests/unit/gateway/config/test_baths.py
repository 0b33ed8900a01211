"""Units whose address is optional, and the consent that the configuration passes to the driver."""

from pathlib import Path

import pytest

from drivers.toml.document import TomlProblems
from gateway.config.load import load_config
from tests.unit.gateway.config.config_files import CONFIG, certificates, site

__all__ = ["certificates", "site"]

ALONE = CONFIG.replace('profile = "julabo-cf"', 'profile = "lauda-pro"', 1)
SECOND = """
[[line.unit]]
id = "cap-06"
profile = "lauda-pro"
poll_period_s = 20
unit_id = 16
"""


def _with_a_neighbour(text: str) -> str:
    return text.replace('\n[[line]]\nid = "bay-b"', f'{SECOND}\n[[line]]\nid = "bay-b"')


def test_alone_on_its_line_a_bath_is_asked_without_an_address(site: Path) -> None:
    (site / "gateway.toml").write_text(ALONE)
    (unit,) = load_config(site / "gateway.toml").lines[0].units
    assert (unit.unit_id, unit.consent_to_reads) == (None, False)


def test_on_a_bus_every_bath_needs_its_address(site: Path) -> None:
    (site / "gateway.toml").write_text(_with_a_neighbour(ALONE))
    with pytest.raises(TomlProblems, match="unit_id is missing, accepted: one that no other unit of the line has"):
        load_config(site / "gateway.toml")
    addressed = ALONE.replace('profile = "lauda-pro"', 'profile = "lauda-pro"\nunit_id = 15')
    (site / "gateway.toml").write_text(_with_a_neighbour(addressed))
    assert [unit.unit_id for unit in load_config(site / "gateway.toml").lines[0].units] == [15, 16]


def test_two_baths_cannot_have_one_address(site: Path) -> None:
    same = ALONE.replace('profile = "lauda-pro"', 'profile = "lauda-pro"\nunit_id = 16')
    (site / "gateway.toml").write_text(_with_a_neighbour(same))
    with pytest.raises(TomlProblems, match="another unit of this line is named 16"):
        load_config(site / "gateway.toml")


def test_consent_reaches_the_unit_that_it_was_given_for(site: Path) -> None:
    given = ALONE.replace('profile = "lauda-pro"', 'profile = "lauda-pro"\nconsent_to_reads = true')
    (site / "gateway.toml").write_text(given)
    lines = load_config(site / "gateway.toml").lines
    assert [unit.consent_to_reads for line in lines for unit in line.units] == [True, False, False]
