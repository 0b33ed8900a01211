"""Every shipped profile, and the documentation's example: what it concludes is shown by its own golden polls."""

from pathlib import Path

import pytest

from drivers.dialects.registry import dialect
from drivers.profile import shape
from drivers.profile.alarm_codes import UnitAlarmCode
from drivers.profile.load import find_profile, load_profile
from drivers.reading import Evidence
from drivers.toml.document import TomlProblems
from tests.contract.profile_wire import FILES, SHIPPED, frame_bytes, profile_shape

every_profile = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def _caps(path: Path) -> list[shape.ExpectedCap]:
    return [cap for golden in profile_shape(path).golden for cap in golden.expect.caps]


@every_profile
def test_every_run_state_that_a_profile_names_is_reached_by_a_golden_poll(path: Path) -> None:
    shown = {cap.run_state for cap in _caps(path) if cap.run_state}
    assert {rule.state for rule in profile_shape(path).run_state} <= shown


@every_profile
def test_circulation_is_worth_what_the_profile_states_and_golden_polls_show_it_both_ways(path: Path) -> None:
    circulating = profile_shape(path).circulating
    shown = {cap.circulating for cap in _caps(path) if cap.circulating is not None}
    if circulating.strength is Evidence.NONE:
        assert shown <= {"unknown"}, "what nothing proves is unknown"
    else:
        assert {True, False} <= shown


@every_profile
def test_alarms_are_canonical_and_a_golden_poll_shows_one_and_one_shows_none(path: Path) -> None:
    profile = profile_shape(path)
    expected = [golden.expect.alarms for golden in profile.golden if golden.expect.alarms is not None]
    assert {alarm.code for alarm in profile.alarm} <= set(UnitAlarmCode)
    assert () in expected
    assert any(expected)
    assert {code for codes in expected for code in codes} <= {alarm.code for alarm in profile.alarm}


@every_profile
def test_a_poll_of_golden_frames_fits_the_fastest_period_that_the_profile_allows(path: Path) -> None:
    """By the wire alone, from the frames' own lengths: the loader's estimate shares no code with this."""
    profile = load_profile(path)
    polls = [each for each in profile_shape(path).golden if not each.expect.exception]
    serial = profile.serial
    bit_s = 1 / serial.baud
    bits_a_character = 1 + serial.bits + (serial.parity != "none") + serial.stop
    gap_s = max(profile.timing.gap_s, dialect(profile.dialect).gap_s(serial.baud))
    for poll in polls:
        frames = [frame_bytes(profile, text) for each in poll.exchanges for text in (each.tx, each.rx)]
        wire_s = sum(map(len, frames)) * bits_a_character * bit_s
        assert wire_s + len(poll.exchanges) * gap_s <= profile.timing.fastest_poll_s


@every_profile
def test_timing_allows_for_an_answer_and_for_a_late_one(path: Path) -> None:
    timing = load_profile(path).timing
    assert 0.1 <= timing.timeout_s <= 5
    assert timing.drain_s > 0, "a late answer is waited out"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_profile_names_its_document_and_says_what_it_does_not_know(path: Path) -> None:
    profile = profile_shape(path)
    assert profile.identity.source
    assert profile.notes.unknown or profile.identity.id == "reference-cap-unit"
    assert profile.notes.wiring


@pytest.mark.parametrize("name", ["thermocube", "ThermoCube", "thermo-cube", "thermocube-200"])
def test_whoever_asks_for_a_thermocube_is_told_why_there_is_none(name: str) -> None:
    with pytest.raises(TomlProblems, match="left out on purpose: every command to a ThermoCube"):
        find_profile(name, [SHIPPED[0].parent])
