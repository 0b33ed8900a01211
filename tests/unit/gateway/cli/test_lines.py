"""`capgate lines`: in words and as JSON, from the history file alone."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.ledger.temperatures import READ, Calibration, PollCount, TemperatureFile

DAY = "2026-03-10"


def lines(file: Path, *options: str) -> Result:
    result = CliRunner().invoke(main, ["lines", str(file), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def history(path: Path, counts: Iterable[PollCount], calibrated_on: str = "2026-03-01") -> Path:
    with closing(TemperatureFile(path)) as file:
        file.count(counts)
        file.calibrate([Calibration("cap-01", "cap_front", 1, -0.3, calibrated_on)], 1)
    return path


GOOD = [PollCount(DAY, "net-1", "cap-01", READ, 1000), PollCount(DAY, "net-1", "", "requests", 1000)]
BAD = [
    *GOOD,
    PollCount(DAY, "net-1", "cap-02", READ, 10),
    PollCount(DAY, "net-1", "cap-02", "garbled", 90),
    PollCount(DAY, "net-1", "", "bad-check", 90),
]


def test_all_well_is_said_and_exits_0(tmp_path: Path) -> None:
    result = lines(history(tmp_path / "t.db", GOOD))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "as of 2026-03-10, counted since 2026-03-10",
        "net-1  well",
        "  cap-01  it answers well",
        "    today 0.0 of 1000 polls failed, median -, 1000 polls",
        "    errors today: none",
        "    errors 7 days: none",
        "    errors 30 days: none",
        "    cap_front calibrated 2026-03-01 (-0.3 C), due 2027-03-01",
    ]


def test_a_bad_cable_is_named_and_exits_1(tmp_path: Path) -> None:
    result = lines(history(tmp_path / "t.db", BAD))
    assert result.exit_code == 1
    assert "net-1  BAD: cap-02: the unit or its cable; the other 1 on the line is well" in result.stdout
    assert "  on the line today: 90 bad-check" in result.stdout
    assert "  cap-02  answers arrive damaged: look for noise, shield, termination" in result.stdout
    assert "    errors today: 90 garbled" in result.stdout
    assert "    no calibration is known" in result.stdout


def test_json_has_the_figures(tmp_path: Path) -> None:
    shown = json.loads(lines(history(tmp_path / "t.db", BAD), "--json").stdout)
    (line,) = shown["lines"]
    assert (shown["today"], line["line"], line["bad"]) == (DAY, "net-1", True)
    units = {unit["unit"]: unit for unit in line["units"]}
    assert units["cap-02"]["today"] == units["cap-02"]["days_7"] == units["cap-02"]["days_30"] == {"garbled": 90}
    assert units["cap-02"]["per_mille_today"] == 900.0
    assert units["cap-01"]["calibrations"][0]["due_on"] == "2027-03-01"


def test_an_overdue_calibration_exits_1(tmp_path: Path) -> None:
    file = history(tmp_path / "t.db", GOOD, calibrated_on="2025-09-01")
    assert lines(file).exit_code == 0
    result = lines(file, "--calibration-days", "90")
    assert result.exit_code == 1
    assert "cap_front calibrated 2025-09-01 (-0.3 C), OVERDUE since 2025-11-30" in result.stdout


def test_a_file_without_counts_or_of_another_kind_is_said(tmp_path: Path) -> None:
    empty = lines(history(tmp_path / "t.db", []))
    assert (empty.exit_code, empty.stdout) == (1, "")
    assert "nothing was counted" in empty.stderr
    (tmp_path / "x.db").write_bytes(b"no database at all" * 100)
    other = lines(tmp_path / "x.db")
    assert (other.exit_code, other.stdout) == (2, "")
    assert "file is not a database" in other.stderr
