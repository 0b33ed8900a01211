"""Whatever is spoilt of a configuration, the last good one is loaded, and says why; the check still sees the disk."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from drivers.toml.document import TomlProblems
from gateway.config.last_good import LAST_GOOD_FILE, load_or_last_good, reloaded
from gateway.config.load import GatewayConfig, examine
from gateway.runtime.shipped import shipped_dir
from tests.support.ledger_keys import FIRST, KEY_FILE, TABLE, write_keys
from tests.support.pipeline import CONFIG, POLICY

PROFILE = "own-cap-unit.toml"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site with a policy, a profile and a secret of its own; its configuration was good once."""
    config = CONFIG.replace('state_dir = "state"', 'state_dir = "state"\nprofiles = ["profiles"]')
    config = config.replace("[tracking]", f'username = "u"\npassword_file = "secret"\n{TABLE}[tracking]')
    write_keys(tmp_path, FIRST)
    (tmp_path / "gateway.toml").write_text(config.replace("reference-cap-unit", "own-cap-unit"))
    (tmp_path / "policy.toml").write_text(POLICY)
    (tmp_path / "secret").write_text("s")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "profiles").mkdir()
    profile = (shipped_dir() / "profiles" / "reference-cap-unit.toml").read_text()
    (tmp_path / "profiles" / PROFILE).write_text(profile.replace('"reference-cap-unit"', '"own-cap-unit"'))
    return tmp_path


def rewrite(name: str, text: str) -> Callable[[Path], object]:
    return lambda site: (site / name).write_text(text)


def append(name: str, text: str) -> Callable[[Path], object]:
    def spoil(site: Path) -> None:
        with (site / name).open("a") as file:
            file.write(text)

    return spoil


def delete(name: str) -> Callable[[Path], object]:
    return lambda site: (site / name).unlink()


def replace_by_folder(name: str) -> Callable[[Path], object]:
    def spoil(site: Path) -> None:
        (site / name).unlink()
        (site / name).mkdir()

    return spoil


def open_to_all(name: str) -> Callable[[Path], object]:
    return lambda site: (site / name).chmod(0o666)


SPOILT = {
    "syntax": append("gateway.toml", "\n[mqtt\n"),
    "a key that is unknown": append("gateway.toml", "\n[nothing]\nx = 1\n"),
    "no text": rewrite("gateway.toml", ""),
    "no file": delete("gateway.toml"),
    "a folder": replace_by_folder("gateway.toml"),
    "the policy's values": rewrite("policy.toml", "first_threshold_s = 1\n"),
    "no policy": delete("policy.toml"),
    "a profile": append(f"profiles/{PROFILE}", "\n[["),
    "no profile": delete(f"profiles/{PROFILE}"),
    "another profile": rewrite("profiles/new.toml", "[["),
    "no secret": delete("secret"),
    "no key of the ledger": delete(KEY_FILE),
    "an open secret": open_to_all("secret"),
    "loaners": rewrite("state/loaners.json", "{"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_the_last_good_one_is_loaded_and_says_why(
    site: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(site / "state"))  # as systemd sets it
    good = load_or_last_good(site / "gateway.toml")
    assert good.refused == ()
    spoil(site)
    errors = examine(site / "gateway.toml").errors
    assert errors
    found = load_or_last_good(site / "gateway.toml")
    assert found.refused == errors
    assert same(found, good)
    assert reloaded(good).refused == errors


def test_a_gateway_that_never_had_a_good_one_is_refused(site: Path) -> None:
    (site / "gateway.toml").write_text("[gateway")
    with pytest.raises(TomlProblems):
        load_or_last_good(site / "gateway.toml")


def test_another_gateways_configuration_is_not_taken(site: Path) -> None:
    load_or_last_good(site / "gateway.toml")
    (site / "other.toml").write_text('[gateway]\nstate_dir = "state"\n')
    with pytest.raises(TomlProblems):
        load_or_last_good(site / "other.toml")


def test_it_is_for_its_owner_alone_and_has_no_secret(site: Path) -> None:
    (site / "secret").write_text("canary")
    load_or_last_good(site / "gateway.toml")
    kept = site / "state" / LAST_GOOD_FILE
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "canary" not in kept.read_text()
    kept.write_text("{")
    assert load_or_last_good(site / "gateway.toml").refused == (), "a spoilt copy harms nothing"


def test_a_mended_file_is_taken_up(site: Path) -> None:
    good = load_or_last_good(site / "gateway.toml")
    (site / "policy.toml").write_text("")
    refused = load_or_last_good(site / "gateway.toml")
    (site / "policy.toml").write_text(POLICY.replace("960", "900"))
    mended = reloaded(refused)
    assert (mended.refused, same(mended, good)) == ((), False)


def same(one: GatewayConfig, other: GatewayConfig) -> bool:
    """Whether two configurations run alike."""
    bare = [msgspec.structs.replace(each, refused=(), warnings=()) for each in (one, other)]
    return bare[0] == bare[1]
