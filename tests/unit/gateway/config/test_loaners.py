"""Loaners: the configuration with a unit replaced, and what is refused."""

import json
from pathlib import Path

import pytest

from gateway.config.load import examine
from gateway.config.loaners import LOANERS_FILE, Loaner, read_loaners, swapped, write_loaners
from gateway.messages.instants import Rfc3339
from gateway.session.facts import UnitSwapped
from tests.unit.gateway.config.config_files import certificates, site

__all__ = ["certificates", "site"]

AT = Rfc3339("2026-03-10T12:00:00.000Z")


def _loaner(unit: str = "cap-07", loaner: str = "loaner-2", **machine: object) -> Loaner:
    return Loaner(unit=unit, loaner=loaner, person="bm-1", reason="repair", at=AT, **machine)  # type: ignore[arg-type]


def test_what_is_written_is_read_and_nothing_is_nothing(tmp_path: Path) -> None:
    assert read_loaners(tmp_path) == ()
    write_loaners(tmp_path, [_loaner(profile="smc-hrs", set={"timing.gap_ms": 120})])
    assert read_loaners(tmp_path) == (_loaner(profile="smc-hrs", set={"timing.gap_ms": 120}),)


def test_a_loaner_takes_the_place_with_its_chairs_and_without_the_others_calibration(site: Path) -> None:
    config = examine(site / "gateway.toml", [_loaner()]).config
    assert config is not None
    unit = config.units[0]
    assert (unit.id, unit.profile.id, dict(unit.chairs)) == ("loaner-2", "julabo-cf", {1: "c12"})
    assert (unit.offsets, unit.poll_period_s) == ((), 20)


def test_what_the_ehr_calls_the_place_means_the_loaner_while_it_stands_there(site: Path) -> None:
    text = (site / "gateway.toml").read_text()
    (site / "gateway.toml").write_text(f'{text}\n[ehr]\nunits = {{ CAP0007 = "cap-07", CAP0008 = "cap-08" }}\n')
    examined = examine(site / "gateway.toml", [_loaner()])
    assert (examined.errors, examined.warnings) == ((), ())
    assert examined.config is not None
    assert dict(examined.config.words.units) == {"cap0007": "loaner-2", "cap0008": "cap-08"}


def test_a_loaner_of_another_kind_may_stand_on_another_line(site: Path) -> None:
    loaner = _loaner(profile="reference-cap-unit", unit_id=3, url="socket://10.20.0.40:502")
    config = examine(site / "gateway.toml", [loaner]).config
    assert config is not None
    line = config.lines[0]
    assert (line.url, line.units[0].unit_id, line.dialect) == ("socket://10.20.0.40:502", 3, "modbus-tcp")


def test_the_gateway_reads_its_configuration_through_the_file(site: Path) -> None:
    (site / "state").mkdir()
    write_loaners(site / "state", [_loaner(), _loaner("cap-99", "loaner-3")])
    examined = examine(site / "gateway.toml")
    assert examined.config is not None
    assert examined.config.units[0].id == "loaner-2"
    assert any("loaner-3 stands in for cap-99" in str(warning) for warning in examined.warnings)


def test_what_is_wrong_with_a_loaner_is_told_at_the_units_place(site: Path) -> None:
    errors = examine(site / "gateway.toml", [_loaner(loaner="cap-08", profile="no-such")]).errors
    assert any("no such profile" in str(error) or "no-such" in str(error) for error in errors)
    assert any("another unit is named cap-08" in str(error) for error in errors)
    assert {error.file for error in errors} == {str(site / "gateway.toml")}


def test_swaps_that_the_ledger_has_decide_and_what_it_does_not_name_stays() -> None:
    def swap(unit: str, loaner: str) -> UnitSwapped:
        return UnitSwapped(at_us=1_773_144_000_000_000, known_at_us=2, unit=unit, loaner=loaner)

    before = (_loaner("cap-01", "loaner-9"), _loaner("cap-07", "loaner-2"))
    after = swapped(before, [swap("cap-08", "loaner-3"), swap("cap-07", "cap-07"), swap("cap-08", "loaner-4")])
    assert [(each.unit, each.loaner) for each in after] == [("cap-01", "loaner-9"), ("cap-08", "loaner-4")]
    assert after[1].at == AT


@pytest.mark.parametrize("content", ["", "[]", '{"loaners": [{"unit": 1}]}', '{"other": 1}'])
def test_a_file_that_no_gateway_wrote_is_an_error_and_no_start(site: Path, content: str) -> None:
    (site / "state").mkdir()
    (site / "state" / LOANERS_FILE).write_text(content)
    (error,) = examine(site / "gateway.toml").errors
    assert LOANERS_FILE in str(error)


def test_the_file_says_who_and_why(tmp_path: Path) -> None:
    write_loaners(tmp_path, [_loaner()])
    (told,) = json.loads((tmp_path / LOANERS_FILE).read_text())["loaners"]
    assert (told["person"], told["reason"], told["at"]) == ("bm-1", "repair", AT)
