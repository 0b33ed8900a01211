"""The topics that must have a subscriber follow from the configuration."""

from pathlib import Path

import pytest

from gateway.app import must_arrive
from gateway.config.load import load_config
from gateway.mqtt.topics import Topics
from tests.unit.gateway.config.config_files import CONFIG, certificates, site

__all__ = ["certificates", "site"]


@pytest.mark.parametrize(
    ("more", "topics"),
    [
        ("", {"charge/json"}),
        ('[charges]\nformats = ["hl7"]\n[receipts]\nexpected = "hl7"\n', {"charge/hl7"}),
        ('[charges]\nformats = ["hl7", "fhir"]\n', {"charge/hl7", "charge/fhir"}),
        ('[receipts]\nof = ["charge", "increment"]\n', {"charge/json", "increment/json"}),
    ],
)
def test_what_receipts_and_charges_name_must_arrive_and_nothing_else(site: Path, more: str, topics: set[str]) -> None:
    without = CONFIG.replace('[receipts]\nexpected = "json"\n', "")
    (site / "gateway.toml").write_text(f"{without}\n{more}")
    config = load_config(site / "gateway.toml")
    found = must_arrive(config, Topics(config.site, config.id, config.mode))
    assert found == {f"capgate/v1/north/ehr/gw-01/{each}" for each in topics}
