"""Captures explained, and converted to golden frames; with the golden polls of every profile."""

from itertools import pairwise
from pathlib import Path

import pytest

from drivers.diagnose.capture import Capture
from drivers.diagnose.dissect import dissected, summary
from drivers.diagnose.frames import Role
from drivers.dialects.registry import DialectName, dialect
from drivers.golden.frames import golden_tables
from drivers.golden.polls import golden_problems
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.load import load_profile
from drivers.toml.document import load_toml_lines, read_toml
from gateway.runtime.shipped import shipped_dir
from simulators.replayer import RecordedAnswers
from tests.bus.reads import crc16
from tests.unit.drivers.diagnose.capture_support import RX, TX, Piece, capture

PROFILES = sorted((shipped_dir() / "profiles").glob("*.toml"))


def golden_capture(path: Path) -> Capture:
    """The profile's golden polls that are no refusals, one after the other, an answer after 50 ms."""
    name = str(read_toml(path).data["dialect"])
    model = load_toml_lines(path, SHAPES[name]).model
    is_binary = dialect(DialectName(name)).is_binary
    pieces: list[Piece] = []
    for golden in model.golden:
        if golden.expect.exception is not None:
            continue
        for exchange in golden.exchanges:
            texts = (exchange.tx, exchange.rx)
            tx, rx = (bytes.fromhex(text) if is_binary else text.encode() for text in texts)
            at_s = float(len(pieces))
            pieces += [(at_s, TX, tx), (at_s + 0.05, RX, rx)]
    return capture(DialectName(name), *pieces, profile=model.identity.id)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_golden_poll_is_explained_with_its_points(path: Path) -> None:
    profile = load_profile(path)
    told = dissected(golden_capture(path), profile)
    total = summary(told)
    assert (total.unanswered, total.problems) == (0, {})
    assert total.answer_median_s == pytest.approx(0.05)
    supply = [point for each in told for point in each.points if point.name == "coolant_supply"]
    assert any(point.value is not None and float(point.value) < 0 for point in supply)
    for asked, answered in pairwise(told):
        if answered.role is Role.REPLY:
            assert asked.role is Role.REQUEST
            assert asked.block == answered.block is not None


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_golden_tables_from_a_capture_are_accepted_by_their_profile(path: Path, tmp_path: Path) -> None:
    tables = golden_tables(golden_capture(path), load_profile(path))
    assert 'coolant_supply = "-' in tables
    text = path.read_text()
    own = tmp_path / path.name
    own.write_text(text[: text.index("[[golden]]")] + tables)
    assert golden_problems(own) == ()


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_played_capture_answers_what_was_answered(path: Path) -> None:
    kept = golden_capture(path)
    language = dialect(load_profile(path).dialect)
    recorded = RecordedAnswers(kept, language)
    for asked, answered in zip(kept.chunks[::2], kept.chunks[1::2], strict=True):
        request = language.scan_request(asked.data)
        ((after_s, data),) = recorded.answer(request)  # pyright: ignore[reportArgumentType]
        assert (after_s, data) == (pytest.approx(0.05), answered.data)


def test_a_capture_of_another_unit_and_language_becomes_golden_in_the_profiles_own(tmp_path: Path) -> None:
    path = shipped_dir() / "profiles" / "smc-hrs.toml"
    words = "FFD6 0000 0031 0000 0601 0000 0000 0000 0000 0000 FFD8"
    asked, answered = (
        body + crc16(body).to_bytes(2, "little")
        for body in map(bytes.fromhex, ("07 03 0000 000B", f"07 03 16 {words}"))
    )
    kept = capture(DialectName.MODBUS_RTU, (0.0, TX, asked), (0.1, RX, answered), profile="smc-hrs", unit_id=7)
    tables = golden_tables(kept, load_profile(path))
    assert "unit id 7 written as 1" in tables
    assert 'tx = ":01030000000B' in tables
    text = path.read_text()
    own = tmp_path / path.name
    own.write_text(text[: text.index("[[golden]]")] + tables)
    assert golden_problems(own) == ()


def test_a_poll_with_a_miss_is_no_golden_poll() -> None:
    path = shipped_dir() / "profiles" / "julabo-cf.toml"
    kept = capture(
        DialectName.JULABO, (0.0, TX, b"STATUS\r"), (0.1, RX, b"00 MANUAL STOP\r\n"), (1.0, TX, b"IN_PV_00\r")
    )
    assert golden_tables(kept, load_profile(path)) == ""


def test_late_answers_gaps_and_damage_are_told() -> None:
    profile = load_profile(shipped_dir() / "profiles" / "julabo-cf.toml")
    kept = capture(
        DialectName.JULABO,
        (0.0, TX, b"IN_PV_00\r"),
        (profile.timing.timeout_s + 0.5, RX, b"-4.2\r\n"),
        (20.0, TX, b"IN_PV_00\r"),
        (20.1, RX, b"-\xb4.2\r\n"),
        (21.0, TX, b"STATUS\r"),
    )
    told = dissected(kept, profile)
    total = summary(told)
    assert told[1].problem == "later than the profile's timeout_ms"
    assert told[2].silence_s > 10
    assert total.problems == {"later than the profile's timeout_ms": 1, "bad-check": 1}
    assert (total.requests, total.answers, total.unanswered) == (3, 1, 2)
