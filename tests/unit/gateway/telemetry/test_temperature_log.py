"""The history of temperatures: what is kept of readings, for how long, and what is written out of it."""

import asyncio
import csv
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner

from drivers.profile.load import find_profile
from drivers.reading import CapReading, FaultKind, Measurement, Quality, Reading, Reason, RunState, Stamp
from gateway.cli.export import command
from gateway.config.lines import SensorOffset, UnitSpec
from gateway.config.tables import HistoryTable
from gateway.ledger.temperatures import (
    READ,
    Calibration,
    HistoryUnavailable,
    PollCount,
    Sample,
    TemperatureFile,
    read_counts,
    read_history,
    units_in,
)
from gateway.monitoring.counters import UnitCounters
from gateway.runtime.clock import US_PER_S
from gateway.runtime.kernel_clock import Kept
from gateway.runtime.set_aside import lying_aside
from gateway.runtime.shipped import shipped_dir
from gateway.telemetry.poll_counts import PollCounts
from gateway.telemetry.temperature_log import COUNTED_DAYS, History

DAY_US = 86_400 * US_PER_S
T0_US = 1_773_144_000 * US_PER_S  # 2026-03-10T12:00:00Z
EVER_US = 1 << 62
SAMPLE = Sample("cap-01", T0_US, 1, "cap_front", -2.5, "Cel", "good", "", "running")


class HandClock:
    """A clock that is moved by hand."""

    speed = 1.0
    released_us = 0
    at_us = T0_US

    def now(self) -> Stamp:
        return Stamp(self.at_us, self.at_us)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        return 0

    def align(self) -> None:
        raise AssertionError("nobody aligns this clock")

    def resume(self, stamp: Stamp) -> None:
        raise AssertionError("nobody goes on from another stamp")


def _reading(at_us: int, front: Measurement | None = None) -> Reading:
    front = front or Measurement(-2.5, "Cel")
    cap = CapReading(1, RunState.RUNNING, True, True, {"cap_front": front})
    return Reading("cap-01", Stamp(at_us, at_us), (cap,), {"flow": Measurement(1.5, "L/min")})


def _unit(*offsets: SensorOffset) -> UnitSpec:
    profile = find_profile("reference-cap-unit", [shipped_dir() / "profiles"], {})
    return UnitSpec("cap-01", profile, 1, 5.0, {}, offsets, simulated=False)


def _history(
    path: Path, clock: HandClock, unit: UnitSpec, kept: HistoryTable, counters: UnitCounters | None = None
) -> History:
    """The history of one unit on line net-1, whose wire counts nothing but a damaged frame."""
    counters = counters or UnitCounters()
    polls = PollCounts({"cap-01": "net-1"}, lambda: {"cap-01": counters}, lambda: {"net-1": {"bad-check": 1}})
    return History(path, clock, [unit], kept, polls, ZoneInfo("America/New_York"))


def _kept(path: Path) -> list[tuple[int, str, float | None]]:
    rows = read_history(path, "cap-01", 0, EVER_US)
    return [(row.sample.at_us, row.sample.point, row.sample.value) for row in rows]


async def _run(history: History) -> None:
    """As long as it takes to write once, and to end."""
    task = asyncio.create_task(history.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


async def test_one_sample_a_period_is_kept_of_each_point(tmp_path: Path) -> None:
    history = _history(tmp_path / "t.db", HandClock(), _unit(), HistoryTable(period_s=60))
    for second in range(0, 121, 5):
        history.take(_reading(T0_US + second * US_PER_S))
    await _run(history)
    minutes = [T0_US + minute * 60 * US_PER_S for minute in range(3)]
    assert _kept(tmp_path / "t.db") == [
        each for at_us in minutes for each in ((at_us, "flow", 1.5), (at_us, "cap_front", -2.5))
    ]


async def test_a_value_that_is_missing_keeps_its_reason(tmp_path: Path) -> None:
    history = _history(tmp_path / "t.db", HandClock(), _unit(), HistoryTable())
    history.take(_reading(T0_US, Measurement(None, "Cel", Quality.BAD, Reason.PROBE_FAULT)))
    await _run(history)
    (_, row) = read_history(tmp_path / "t.db", "cap-01", 0, EVER_US)
    assert (row.sample.value, row.sample.quality, row.sample.reason) == (None, "bad", "probe-fault")


async def test_samples_older_than_the_site_wants_are_dropped(tmp_path: Path) -> None:
    clock = HandClock()
    history = _history(tmp_path / "t.db", clock, _unit(), HistoryTable(keep_days=2))
    history.take(_reading(T0_US))
    await _run(history)
    clock.at_us = T0_US + 2 * DAY_US + 1
    history.take(_reading(clock.at_us))
    await _run(history)
    assert {at_us for at_us, _, _ in _kept(tmp_path / "t.db")} == {clock.at_us}


async def test_what_cannot_be_written_waits_and_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gone" / "t.db"
    history = _history(path, HandClock(), _unit(), HistoryTable())
    history.take(_reading(T0_US))
    await _run(history)
    await _run(history)
    assert "No such file" in history.trouble
    path.parent.mkdir()
    await _run(history)
    assert history.trouble == ""
    assert [record.getMessage() for record in caplog.records] == [
        "the history of temperatures is lost",
        "the history of temperatures is back",
    ]
    assert len(_kept(path)) == 2


async def test_results_of_polls_are_counted_by_day_and_go_on_after_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "t.db", HandClock()
    for _ in range(2):  # two runs of the gateway on a day
        counters = UnitCounters()
        history = _history(path, clock, _unit(), HistoryTable(), counters)
        for _ in range(3):
            counters.ok(0.1, 1)
        for _ in range(4):
            counters.fault(FaultKind.TIMEOUT)
            await _run(history)
    day = "2026-03-10"
    assert read_counts(path) == [
        PollCount(day, "net-1", "", "bad-check", 2),
        PollCount(day, "net-1", "cap-01", READ, 6),
        PollCount(day, "net-1", "cap-01", "timeout", 8),
    ]


async def test_a_day_is_the_site_s_and_old_days_are_dropped(tmp_path: Path) -> None:
    path, clock, counters = tmp_path / "t.db", HandClock(), UnitCounters()
    history = _history(path, clock, _unit(), HistoryTable(), counters)
    clock.at_us = T0_US + 16 * 3600 * US_PER_S - 1  # 23:59:59 in New York
    counters.ok(0.1, 1)
    await _run(history)
    clock.at_us += 1
    counters.ok(0.1, 1)
    await _run(history)
    assert [(each.day, each.count) for each in read_counts(path) if each.kind == READ] == [
        ("2026-03-10", 1),
        ("2026-03-11", 1),
    ]
    clock.at_us += COUNTED_DAYS * DAY_US
    counters.ok(0.1, 1)
    await _run(history)
    assert "2026-03-10" not in {each.day for each in read_counts(path)}
    assert "2026-03-11" in {each.day for each in read_counts(path)}


async def test_what_cannot_be_counted_now_is_counted_once_later(tmp_path: Path) -> None:
    path, counters = tmp_path / "gone" / "t.db", UnitCounters()
    history = _history(path, HandClock(), _unit(), HistoryTable(), counters)
    counters.ok(0.1, 1)
    await _run(history)
    path.parent.mkdir()
    counters.ok(0.1, 1)
    await _run(history)
    await _run(history)
    assert [each.count for each in read_counts(path) if each.kind == READ] == [2]


def test_a_file_of_before_has_no_counts_and_takes_them_up(tmp_path: Path) -> None:
    with closing(TemperatureFile(tmp_path / "t.db")) as file:
        file.append([SAMPLE])
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("DROP TABLE poll_count")
        connection.commit()
    assert read_counts(tmp_path / "t.db") == []
    with closing(TemperatureFile(tmp_path / "t.db")) as file:
        file.count([PollCount("2026-03-10", "net-1", "cap-01", READ, 1)])
    assert len(read_counts(tmp_path / "t.db")) == 1
    assert len(_kept(tmp_path / "t.db")) == 1


async def test_the_offset_in_use_stands_beside_each_sample(tmp_path: Path) -> None:
    path, clock = tmp_path / "t.db", HandClock()
    calibrated = SensorOffset("cap_front", 0.4, date(2026, 3, 4))
    for hours, offsets in enumerate([(), (calibrated,), ()]):
        clock.at_us = T0_US + hours * 3600 * US_PER_S
        await _run(_history(path, clock, _unit(*offsets), HistoryTable()))
        history = _history(path, clock, _unit(*offsets), HistoryTable())
        history.take(_reading(clock.at_us + 1))
        await _run(history)
    recorded_offsets = [
        (row.offset_c, row.calibrated_on)
        for row in read_history(path, "cap-01", 0, EVER_US)
        if row.sample.point == "cap_front"
    ]
    assert recorded_offsets == [(0.0, ""), (0.4, "2026-03-04"), (0.0, "")]


def test_an_unchanged_offset_is_noted_once(tmp_path: Path) -> None:
    with closing(TemperatureFile(tmp_path / "t.db")) as file:
        for now_us in (T0_US, T0_US + 1):
            file.calibrate([Calibration("cap-01", "cap_front", now_us, 0.4, "2026-03-04")], now_us)
        file.append([SAMPLE, msgspec.structs.replace(SAMPLE, at_us=T0_US + 2)])
    rows = list(read_history(tmp_path / "t.db", "cap-01", 0, EVER_US))
    assert [row.calibrated_on for row in rows] == ["2026-03-04"] * 2


def test_a_file_of_another_form_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    path.write_bytes(b"no database, " * 100)
    with pytest.raises(HistoryUnavailable, match=r"t\.db"):
        TemperatureFile(path)
    with pytest.raises(HistoryUnavailable):
        units_in(path)


class TestExport:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "temperatures.db"
        missing = msgspec.structs.replace(SAMPLE, at_us=T0_US + DAY_US, value=None, quality="bad", reason="sentinel")
        with closing(TemperatureFile(path)) as file:
            file.append([SAMPLE, missing])
        return path

    def test_csv_has_one_line_a_sample_and_no_number_where_there_is_none(self, path: Path) -> None:
        result = CliRunner().invoke(command, ["temperatures", str(path), "cap-01"])
        rows = list(csv.DictReader(StringIO(result.output)))
        assert result.exit_code == 0
        assert [(row["at"], row["value"], row["reason"]) for row in rows] == [
            ("2026-03-10T12:00:00.000Z", "-2.5", ""),
            ("2026-03-11T12:00:00.000Z", "", "sentinel"),
        ]

    def test_json_is_one_object_a_line_in_the_time_asked_for(self, path: Path) -> None:
        asked = ["temperatures", str(path), "cap-01", "--since", "2026-03-11", "--format", "json"]
        result = CliRunner().invoke(command, asked)
        assert [json.loads(line)["value"] for line in result.output.splitlines()] == [None]

    def test_a_unit_that_is_not_there_is_told_with_those_that_are(self, path: Path) -> None:
        result = CliRunner().invoke(command, ["temperatures", str(path), "cap-9"])
        assert result.exit_code == 1
        assert "units in the file: cap-01" in result.output

    def test_a_file_is_written_where_it_is_asked_for(self, path: Path, tmp_path: Path) -> None:
        result = CliRunner().invoke(command, ["temperatures", str(path), "cap-01", "--out", str(tmp_path / "out.csv")])
        assert (result.exit_code, (tmp_path / "out.csv").read_text().count("\n")) == (0, 3)


def _torn(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)


def _without_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()


@pytest.mark.parametrize("damage", [_torn, _without_tables, Path.mkdir])
async def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "t.db"
    damage(path)
    history = _history(path, HandClock(), _unit(), HistoryTable())
    history.take(_reading(T0_US))
    await _run(history)
    assert _kept(path) == [(T0_US, "flow", 1.5), (T0_US, "cap_front", -2.5)]
    assert lying_aside(tmp_path) == ("t.db.set-aside-1",)
