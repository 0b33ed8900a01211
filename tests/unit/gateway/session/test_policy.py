"""Policy files: the three that ship, and what is refused."""

from datetime import date
from pathlib import Path

import pytest

from drivers.toml.document import TomlProblems, load_toml
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


def test_a_file_takes_no_value_in_quotes_and_a_text_that_a_session_pinned_keeps_its_meaning(tmp_path: Path) -> None:
    text = (
        'name = "p"\nrevision = "1"\neffective = "2026-02-01"\nfirst_threshold_s = "960"\ncount_thaw = "false"\n'
        'max_gap_s = "30"\nsecond_person = 1\n'
    )
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(TomlProblems) as refused:
        load_toml(file, PolicyFile)
    assert [(each.line, each.message) for each in refused.value.problems] == [
        (3, "wrong type, accepted: a date like 2026-03-04"),
        (4, "wrong type, accepted: a whole number"),
        (5, "wrong type, accepted: true or false"),
        (6, "wrong type, accepted: a number"),
        (7, "wrong type, accepted: true or false"),
    ]
    pinned = parse_policy(text)
    assert (pinned.effective, pinned.first_threshold_s, pinned.count_thaw) == (date(2026, 2, 1), 960, False)
