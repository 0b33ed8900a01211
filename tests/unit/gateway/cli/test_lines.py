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
        "    cap_front calibrated 2026-03-01 (-0.3 C), due 2027-03-01",
    ]


def test_a_bad_cable_is_named_and_exits_1(tmp_path: Path) -> None:
    result = lines(history(tmp_path / "t.db", BAD))
    assert result.exit_code == 1
    assert "net-1  BAD: cap-02: the unit or its cable; well on the same line: 1" in result.stdout
    assert "  on the line today: 90 bad-check" in result.stdout
    assert "  cap-02  answers arrive damaged: look for noise, shield, termination" in result.stdout
    assert "(900 of 1000 polls fail; too few days are known to compare with)" in result.stdout
    assert "    garbled: 90 today, 90 in 7 days, 90 in 30; 900.0 of 1000 today, median -" in result.stdout
    assert "    no calibration is known" in result.stdout


def test_what_is_worse_than_its_month_is_told_with_the_figures_of_its_kind(tmp_path: Path) -> None:
    month = [PollCount(f"2026-02-{number:02d}", "net-1", "cap-02", READ, 1000) for number in range(10, 29)]
    month += [PollCount(each.day, "net-1", "cap-02", "timeout", 1000) for each in month]
    today = [
        PollCount(DAY, "net-1", "cap-02", kind, count)
        for kind, count in {READ: 50, "timeout": 50, "garbled": 20}.items()
    ]
    result = lines(history(tmp_path / "t.db", [*month, *today]))
    assert result.exit_code == 1
    assert "worse than its own month: answers arrive damaged" in result.stdout
    assert "(167 of 1000 polls fail so; its median is 0.0)" in result.stdout


def test_json_has_the_figures(tmp_path: Path) -> None:
    shown = json.loads(lines(history(tmp_path / "t.db", BAD), "--json").stdout)
    (line,) = shown["lines"]
    assert (shown["today"], line["line"], line["bad"]) == (DAY, "net-1", True)
    units = {unit["unit"]: unit for unit in line["units"]}
    assert line["finding"] == "unit-cable"
    assert (units["cap-02"]["finding"], units["cap-02"]["cause"]) == ("bad", "garbled")
    assert units["cap-02"]["errors"] == [
        {
            "kind": "garbled",
            "today": 90,
            "days_7": 90,
            "days_30": 90,
            "per_mille_today": 900.0,
            "median_per_mille": None,
            "worse": False,
        }
    ]
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
