"""What the profile loader refuses, and what a site may change."""

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from drivers.dialects.base import ModbusQuery, TextQuery
from drivers.dialects.registry import DialectName
from drivers.profile.alarm_codes import UnitAlarmCode
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.load import find_profile, load_profile, load_profiles
from drivers.profile.types import PointCondition, Registers
from drivers.reading import Evidence
from drivers.toml.document import TomlProblems
from drivers.transport.base import Handshake, Parity

SHIPPED = Path(__file__).parents[4] / "config" / "profiles"
TWO_CAPS = "reference-cap-unit"


def _edited(tmp_path: Path, name: str, *edits: tuple[str, str]) -> Path:
    """A shipped profile with its first occurrence of each text replaced."""
    text = (SHIPPED / f"{name}.toml").read_text()
    for old, new in edits:
        assert old in text, f"{old!r} is no longer in {name}"
        text = text.replace(old, new, 1)
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return path


def _refusals(path: Path, overrides: Mapping[str, object] | None = None) -> list[str]:
    """Problems as `line text: path: message`, where the line's text is what the line number points at."""
    with pytest.raises(TomlProblems) as caught:
        load_profile(path, overrides)
    lines = ["", *path.read_text().splitlines()]
    return [f"{lines[each.line]} | {each.path}: {each.message}" for each in caught.value.problems]


def test_a_profile_speaks_seconds_fractions_and_queries() -> None:
    profile = load_profile(SHIPPED / "smc-hrs.toml")
    assert profile.id == "smc-hrs"
    assert (profile.timing.gap_s, profile.timing.timeout_s) == (0.1, 1.0)
    assert (profile.serial.baud, profile.serial.bits, profile.serial.parity) == (19200, 7, Parity.EVEN)
    assert profile.points[0].scale == Fraction(1, 10)
    assert [block.query(7) for block in profile.blocks] == [ModbusQuery(7, 3, 0, 11)]
    assert profile.after_miss is not None
    assert profile.after_miss.source == Registers(3, 4, 1)
    assert (profile.evidence, profile.caps) == (Evidence.REPORTED, 1)
    assert profile.run_states[-1].when == (PointCondition("status", True, 0),)


def test_points_with_the_same_command_share_an_exchange(tmp_path: Path) -> None:
    path = _edited(tmp_path, "julabo-cf", ('command = "IN_PV_02"', 'command = "IN_PV_00"'))
    profile = load_profile(path)
    assert [block.query(None) for block in profile.blocks] == [
        TextQuery("STATUS"),
        TextQuery("IN_PV_00"),
        TextQuery("IN_MODE_05"),
    ]


def test_a_site_may_override_dialect_link_and_timing() -> None:
    overrides = {
        "dialect": "modbus-rtu",
        "link.serial.parity": "none",
        "link.serial.handshake": "rtscts",
        "link.address.default": 9,
        "timing.gap_ms": 5,
    }
    profile = load_profile(SHIPPED / f"{TWO_CAPS}.toml", overrides)
    assert profile.dialect is DialectName.MODBUS_RTU
    assert (profile.serial.parity, profile.serial.handshake) == (Parity.NONE, Handshake.RTSCTS)
    assert profile.address is not None
    assert (profile.address.default, profile.timing.gap_s) == (9, 0.005)


def test_golden_frames_stay_in_the_language_of_the_file_whatever_a_site_overrides() -> None:
    profile = load_profile(SHIPPED / "smc-hrs.toml", {"dialect": "modbus-rtu"})
    assert profile.dialect is DialectName.MODBUS_RTU


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"dialect": "julabo"}, "override dialect: accepted: modbus-rtu, modbus-ascii, modbus-tcp"),
        (
            {"identity.id": "x"},
            "override identity.id: not for a site to change, "
            "accepted: dialect, link.serial.*, link.address.*, timing.*",
        ),
        ({"timing.gap_ms": "x"}, "override timing.gap_ms: wrong type, accepted: a whole number"),
        (
            {"link.serial.speed": 1},
            "override link.serial.speed: unknown key, accepted: baud, bits, parity, stop, handshake",
        ),
        ({"link.serial.parity": "mark"}, "override link.serial.parity: unknown value, accepted: none, even, odd"),
    ],
)
def test_a_wrong_override_says_what_is_accepted(overrides: dict[str, object], expected: str) -> None:
    assert _refusals(SHIPPED / f"{TWO_CAPS}.toml", overrides) == [f" | {expected}"]


def test_an_overridden_baud_that_cannot_keep_the_poll_period_is_refused() -> None:
    (refusal,) = _refusals(SHIPPED / f"{TWO_CAPS}.toml", {"link.serial.baud": 300})
    assert refusal == (
        " | override link.serial.baud: does not fit timing.fastest_poll_ms: "
        "a poll takes 5170 ms at 300 baud and a gap of 0 ms, accepted: 5170 or more"
    )


@pytest.mark.parametrize(
    ("name", "edit", "expected"),
    [
        (
            TWO_CAPS,
            ('at = 40\ntype = "uint16"', 'at = 48\ntype = "uint16"'),
            "at = 48 | point[18].at: outside block all, accepted: 0 to 47",
        ),
        (
            TWO_CAPS,
            ('name = "all"\nfc = 4', 'name = "every"\nfc = 4'),
            'block = "all" | point[0].block: there is no block all, accepted: every; also in line 65, '
            "71, 77, 83, 95, and 13 more",
        ),
        (
            "smc-hrs",
            ('at = 4\ntype = "bits16"', 'at = 4\ntype = "uint16"'),
            'unit = { bit = "status.10", zero = "degC", one = "degF" } | point[0].unit.bit: '
            "status is uint16, accepted: bit 0 to 15 of a bits16 point",
        ),
        (
            "smc-hrs",
            ('when = ["status.1"]', 'when = ["status.16"]'),
            'when = ["status.16"] # operation-stop alarm | run_state[0].when[0]: '
            "status is bits16, accepted: bit 0 to 15",
        ),
        (
            "smc-hrs",
            ('name = "pressure"', 'name = "coolant_supply"'),
            'name = "coolant_supply" | point[1].name: '
            "coolant_supply is taken by an earlier point, accepted: a name of its own",
        ),
        (
            "smc-hrs",
            ('at = 0\ntype = "int16"\n', "at = 0\n"),
            "[[point]] | point[0].type: missing, accepted: int16, uint16, int32, uint32, float32, bits16, ascii",
        ),
        (
            "smc-hrs",
            ('code = "coolant-low"', 'code = "coolant-lo"'),
            f'code = "coolant-lo" | alarm[0].code: unknown value, accepted: {", ".join(UnitAlarmCode)} '
            "(did you mean coolant-low?)",
        ),
        (
            "smc-hrs",
            ('scale = "0.1"', "scale = 0.1"),
            "scale = 0.1 | point[0].scale: wrong type, accepted: text",
        ),
        (
            "smc-hrs",
            ('scale = "0.1"', 'scale = "0,1"'),
            'scale = "0,1" | point[0].scale: not a decimal number, accepted: text like "0.1"',
        ),
        (
            "smc-hrs",
            ("range = [-30, 80]\n", ""),
            "[[point]] | point[0].range: missing, accepted: [lowest, highest] plausible value in the canonical unit",
        ),
        (
            "smc-hrs",
            ('invalid_if = ["alarm2.5"]', 'invalid_if = ["alarm3.5"]'),
            'invalid_if = ["alarm3.5"] # the register itself has no sentinel | point[0].invalid_if[0]: '
            "there is no point alarm3, accepted: coolant_supply, pressure, status, alarm1, alarm2 "
            "(did you mean alarm2?)",
        ),
        (
            "smc-hrs",
            ('strength = "reported"', 'strength = "flow"'),
            "[circulating] | circulating.flow: does not fit strength flow, accepted: flow = { point, at_least }",
        ),
        (
            "eurotherm-3200",
            ('strength = "none"', 'strength = "pump-bit"'),
            "[circulating] | circulating.when: does not fit strength pump-bit, accepted: the conditions",
        ),
        (
            TWO_CAPS,
            ('order = "ABCD"\n', ""),
            "[[point]] | point[17].order: does not fit uint32, accepted: ABCD, CDAB, BADC, DCBA",
        ),
        (
            TWO_CAPS,
            ("stride = 16\n", ""),
            "[caps] | caps: several caps need to be told apart, accepted: either stride or offsets",
        ),
        (
            TWO_CAPS,
            ('invalid_if = ["alarm_bits.3"]', 'invalid_if = ["cap_bits.3"]'),
            'invalid_if = ["cap_bits.3"] | point[4].invalid_if[0]: '
            "cap_bits belongs to a cap, accepted: points of the unit",
        ),
        (
            TWO_CAPS,
            ("address = 0\ncount = 4", "address = 0\ncount = 64"),
            "count = 64 | after_miss.count: a late reply to block all would pass, accepted: another fc or count",
        ),
        (
            TWO_CAPS,
            ("sentinels = [0x8000]", "sentinels = [-32768]"),
            "sentinels = [-32768] | point[4].sentinels[0]: too small, accepted: 0 or more",
        ),
        (
            TWO_CAPS,
            ('heartbeat"\nstill_s', 'serial_number"\nstill_s'),
            'point = "serial_number" | heartbeat.point: serial_number is not a point that holds whole numbers, '
            "accepted: map_id, map_revision, caps, heartbeat, coolant_supply, coolant_return, setpoint, flow",
        ),
        (
            "julabo-cf",
            ("gap_ms = 250", "gap_ms = 600"),
            "fastest_poll_ms = 2000 | timing.fastest_poll_ms: "
            "a poll takes 2675 ms at 4800 baud and a gap of 600 ms, accepted: 2675 or more",
        ),
        (
            "julabo-cf",
            ('dialect = "julabo"', 'dialect = "profibus"'),
            f'dialect = "profibus" | dialect: accepted: {", ".join(SHAPES)}',
        ),
        (
            "julabo-cf",
            ('reads = "none"', 'reads = "none"\n[write]\nsetpoint = "OUT_SP_00"'),
            "[write] | write: unknown key, accepted: schema, identity, link, timing, effects, caps, run_state, "
            "circulating, connected, alarm, verify, integrity, continuity, heartbeat, serial_number, notes, golden, "
            "dialect, point",
        ),
    ],
)
def test_the_loader_refuses_by_line_and_says_what_is_accepted(
    tmp_path: Path, name: str, edit: tuple[str, str], expected: str
) -> None:
    assert expected in _refusals(_edited(tmp_path, name, edit))


def test_a_profile_without_a_frame_below_zero_is_refused(tmp_path: Path) -> None:
    text = (SHIPPED / "smc-hrs.toml").read_text()
    path = tmp_path / "warm.toml"
    path.write_text(text[: text.index("[[golden]]")])
    (refusal,) = _refusals(path)
    assert refusal.endswith("golden: no frame shows a temperature below zero, accepted: at least one that does")


def test_all_errors_of_a_profile_come_at_once(tmp_path: Path) -> None:
    path = _edited(tmp_path, "smc-hrs", ("range = [-30, 80]", "range = [80, -30]"), ('"status.1"', '"state.1"'))
    assert [each.split(" | ")[1].split(":")[0] for each in _refusals(path)] == [
        "point[0].range",
        "run_state[0].when[0]",
    ]


def test_a_profile_of_the_site_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    _edited(tmp_path, "smc-hrs", ("revision = 1", "revision = 2"))
    assert find_profile("smc-hrs", [SHIPPED, tmp_path]).identity.revision == 2
    assert load_profiles([SHIPPED, tmp_path])["smc-hrs"].identity.revision == 2


def test_an_unknown_id_names_the_known_ones() -> None:
    known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.toml")))
    with pytest.raises(TomlProblems, match=f"no such profile, accepted: {known}"):
        find_profile("smc", [SHIPPED])


@pytest.mark.parametrize(
    ("table", "accepted"),
    [
        ("[[run_state]]", "run_state = [] before the first table if it tells none"),
        ("[circulating]", 'strength = "none" alone if nothing proves it'),
        ("[[verify]]", "a plausible range of a temperature if it tells nothing else of its kind"),
    ],
)
def test_what_is_missing_says_how_to_write_that_the_unit_cannot_tell(tmp_path: Path, table: str, accepted: str) -> None:
    shipped = (SHIPPED / "watlow-ez-zone.toml").read_text()
    kept = [part for part in re.split(r"\n(?=\[)", shipped) if not part.startswith(table)]
    (tmp_path / "mine.toml").write_text("\n".join(kept))
    with pytest.raises(TomlProblems) as caught:
        load_profile(tmp_path / "mine.toml")
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"missing, accepted: {table} with ")
    assert problem.message.endswith(accepted)


def test_a_plain_controller_says_so_in_two_lines(tmp_path: Path) -> None:
    shipped = (SHIPPED / "watlow-ez-zone.toml").read_text()
    kept = [part for part in re.split(r"\n(?=\[)", shipped) if not part.startswith(("[[run_state", "[[golden"))]
    kept = [part for part in kept if not part.startswith("[golden")]
    (tmp_path / "mine.toml").write_text("run_state = []\n" + "\n".join(kept))
    with pytest.raises(TomlProblems) as caught:
        load_profile(tmp_path / "mine.toml")
    assert [problem.path for problem in caught.value.problems] == ["golden"], "which proves that it was read below zero"
