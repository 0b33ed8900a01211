"""Policy files: the three that ship, and what is refused."""

from pathlib import Path

import pytest

from drivers.toml.document import load_toml
from gateway.runtime.shipped import shipped_dir
from gateway.session.policy import Policy, PolicyError, PolicyFile, parse_policy

SHIPPED = sorted((shipped_dir() / "policies").glob("*.toml"))


def test_three_policies_ship_under_their_thresholds() -> None:
    policies = {path.stem: load_toml(path, PolicyFile).policy() for path in SHIPPED}
    assert {stem: (each.name, each.first_threshold_s) for stem, each in policies.items()} == {
        "default": ("midpoint", 960),
        "midpoint-strict": ("midpoint_strict", 901),
        "complete": ("complete", 1800),
    }


def test_the_default_file_says_the_documented_defaults() -> None:
    assert parse_policy((shipped_dir() / "policies" / "default.toml").read_text()) == Policy()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_policy_explains_every_key_and_is_approved_by_nobody(path: Path) -> None:
    lines = path.read_text().splitlines()
    for key in PolicyFile.model_fields:
        found = [index for index, line in enumerate(lines) if line.removeprefix("# ").startswith(f"{key} =")]
        assert len(found) == 1, key
    assert load_toml(path, PolicyFile).approved_by == ""


def test_every_problem_of_a_text_is_named() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy('name = "A b"\nrevision = "1"\nfirst_threshold_s = 0\ntimezone = "Mars/Olympus"\nfoo = 1')
    message = str(caught.value)
    assert all(key in message for key in ("name", "effective", "first_threshold_s", "timezone", "foo"))


def test_a_text_that_is_no_toml_is_refused() -> None:
    with pytest.raises(PolicyError, match="not TOML"):
        parse_policy("name =")
