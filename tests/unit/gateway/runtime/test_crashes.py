"""Crashes are remembered over starts; too many in ten minutes mean safe mode, which stays until somebody ends it."""

import faulthandler
import sys
from pathlib import Path

import pytest

from gateway.runtime.crashes import CRASHES_FILE, LATELY_US, TOO_MANY, TRACE_FILE, WITHIN_US, Crashes

MINUTE_US = 60_000_000


class Clock:
    def __init__(self) -> None:
        self.us = 1_790_000_000_000_000

    def __call__(self) -> int:
        return self.us


def crash(folder: Path, clock: Clock) -> None:
    try:
        raise LookupError("Doe, Jane")
    except LookupError as error:
        Crashes(folder, clock).note(ExceptionGroup("tree", [ExceptionGroup("part", [error])]))


@pytest.mark.parametrize(("apart_us", "safe"), [(MINUTE_US, True), (WITHIN_US // (TOO_MANY - 1), False)])
def test_so_many_within_ten_minutes_are_too_many(tmp_path: Path, apart_us: int, safe: bool) -> None:
    clock = Clock()
    for number in range(TOO_MANY):
        assert not Crashes(tmp_path, clock).in_safe_mode
        clock.us += apart_us if number else 0
        crash(tmp_path, clock)
    assert Crashes(tmp_path, clock).in_safe_mode is safe


def test_safe_mode_stays_until_it_is_ended(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(TOO_MANY):
        crash(tmp_path, clock)
    clock.us += 2 * LATELY_US
    later = Crashes(tmp_path, clock)
    assert (later.in_safe_mode, later.lately) == (True, ())
    later.clear()
    assert not Crashes(tmp_path, clock).in_safe_mode


def test_a_crash_is_told_by_kind_and_place_without_its_text(tmp_path: Path) -> None:
    crash(tmp_path, Clock())
    (told,) = Crashes(tmp_path, Clock()).lately
    assert told.what.startswith("LookupError in crash, test_crashes.py line ")
    assert "Doe" not in (tmp_path / CRASHES_FILE).read_text()


def test_the_trace_of_a_signal_is_a_crash_and_a_spoilt_file_is_none(tmp_path: Path) -> None:
    (tmp_path / TRACE_FILE).write_text("Fatal Python error: Aborted\n\nThread 0x1\n")
    clock = Clock()
    clock.us = int((tmp_path / TRACE_FILE).stat().st_mtime * 1e6)
    trace = Crashes(tmp_path, clock).watch_signals()
    assert trace is not None
    faulthandler.enable(sys.__stderr__ or sys.stderr)
    trace.close()
    assert [each.what for each in Crashes(tmp_path, clock).lately] == ["Fatal Python error: Aborted"]
    assert (tmp_path / TRACE_FILE).read_text() == ""
    (tmp_path / CRASHES_FILE).write_text("{")
    assert Crashes(tmp_path, clock).lately == ()


def test_starts_that_do_not_end_by_themselves_are_counted_for_ten_minutes(tmp_path: Path) -> None:
    clock = Clock()
    for _ in range(4):
        trace = Crashes(tmp_path, clock).watch_signals()
        assert trace is not None
        faulthandler.enable(sys.__stderr__ or sys.stderr)
        trace.close()
        clock.us += MINUTE_US
    known = Crashes(tmp_path, clock)
    assert (known.starts_lately, known.lately) == (4, ())
    clock.us += WITHIN_US
    assert known.starts_lately == 0
    known.clear()
    clock.us -= WITHIN_US
    assert Crashes(tmp_path, clock).starts_lately == 0, "it ended by itself"
