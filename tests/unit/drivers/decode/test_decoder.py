"""Decoding of raw words and texts into values or reasons; never into 0 or the previous value instead."""

import math
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.decode.decoder import Decoded, Decoder, PointValue
from drivers.dialects.base import Raw
from drivers.profile.load import load_profile
from drivers.reading import Measurement, Quality, Reason, RunState

SHIPPED = Path(__file__).parents[4] / "config" / "profiles"
RCU = Decoder(load_profile(SHIPPED / "reference-cap-unit.toml"))
SMC = Decoder(load_profile(SHIPPED / "smc-hrs.toml"))
JULABO = Decoder(load_profile(SHIPPED / "julabo-cf.toml"))
EUROTHERM = Decoder(load_profile(SHIPPED / "eurotherm-3200.toml"))

WIDE = """
[[point]]
name = "{name}"
block = "main"
at = {at}
type = "{type}"
order = "{order}"
scale = "{scale}"
unit = "degC"
range = [-1000000, 1000000]
sentinels = [0x7FC00001]
"""


def _word(value: int) -> int:
    return value & 0xFFFF


def _unit(**words: int) -> list[int]:
    """A running reference cap unit with two caps, some registers replaced: r4 is register 4."""
    registers = [0] * 64
    registers[0:4] = [0x4347, 1, 2, 1]
    registers[4:10] = [_word(-420), _word(-330), _word(-400), 240, 3, 0]
    for start in (32, 48):
        registers[start : start + 9] = [2, 3, _word(-385), _word(-372), _word(-350), 120, 0, 60, 1]
    for name, word in words.items():
        registers[int(name[1:])] = _word(word)
    return registers


def _decoded(**words: int) -> Decoded:
    return RCU.decode({"all": tuple(_unit(**words))})


def _smc(*, temperature: int = -42, pressure: int = 20, status: int = 0x0221, alarm2: int = 0) -> Decoded:
    words = [_word(temperature), 0, pressure, 0, status, 0, alarm2, 0, 0, 0, 0]
    return SMC.decode({"main": tuple(words)})


def _julabo(status: str = "03 REMOTE START", bath: str = "-4.2", external: str = "-4.0", mode: str = "1") -> Decoded:
    return JULABO.decode({"STATUS": status, "IN_PV_00": bath, "IN_PV_02": external, "IN_MODE_05": mode})


def _named(points: tuple[PointValue, ...], name: str) -> PointValue:
    return next(point for point in points if point.name == name)


@given(st.integers(-32768, 32767))
def test_a_scaled_word_is_the_float_that_its_decimal_text_is(raw: int) -> None:
    value = _smc(temperature=raw).measurements["coolant_supply"].value
    expected = float(f"{raw // 10 if raw >= 0 else -(-raw // 10)}.{abs(raw) % 10}") if abs(raw) >= 10 else raw / 10
    if -30 <= raw / 10 <= 80:
        assert value == expected
    else:
        assert value is None


def test_the_sentinel_is_looked_for_before_anything_else() -> None:
    supply = _decoded(r4=0x8000, r9=1 << 3).measurements["coolant_supply"]
    assert supply == Measurement(None, "Cel", Quality.BAD, Reason.SENTINEL)


def test_a_value_out_of_range_is_none() -> None:
    assert _decoded(r4=-4001).measurements["coolant_supply"] == Measurement(
        None, "Cel", Quality.BAD, Reason.OUT_OF_RANGE
    )
    assert _decoded(r4=-4000).measurements["coolant_supply"].value == -40.0


def test_a_probe_that_the_unit_itself_calls_faulty_has_no_value() -> None:
    cap = _decoded(r33=0b111).caps[0]
    assert cap.temperatures["cap_front"] == Measurement(None, "Cel", Quality.BAD, Reason.PROBE_FAULT)
    assert cap.temperatures["cap_back"].value == -3.72


def test_a_missing_sibling_does_not_touch_its_neighbours() -> None:
    front, back = (_decoded(r34=0x8000).caps[0].temperatures[name] for name in ("cap_front", "cap_back"))
    assert (front.value, back.value) == (None, -3.72)


def test_units_are_data_where_the_unit_says_so() -> None:
    fahrenheit = _smc(temperature=-58, pressure=28, status=0x0631)
    assert fahrenheit.measurements["coolant_supply"].value == -21.0
    assert fahrenheit.measurements["coolant_supply"].unit == "Cel"
    assert fahrenheit.measurements["pressure"].value == pytest.approx(28 * 0.0689475729, abs=1e-8)
    celsius = _smc(temperature=-58, pressure=28)
    assert celsius.measurements["coolant_supply"].value == -5.8
    assert celsius.measurements["pressure"] == Measurement(2.8, "bar")


def test_a_unit_of_one_circuit_gives_its_cap_the_units_coolant() -> None:
    decoded = _smc()
    assert [cap.temperatures for cap in decoded.caps] == [{"coolant_supply": Measurement(-4.2, "Cel")}]
    assert "coolant_supply" in decoded.measurements


def test_a_set_point_is_nobodys_temperature() -> None:
    decoded = EUROTHERM.decode({"values": (_word(-43), 0, 0, 0, _word(-40)), "timer": (1,), "status": (0, 0xFFFF)})
    assert set(decoded.caps[0].temperatures) == {"coolant_supply"}
    assert decoded.measurements["setpoint"].value == -4.0


@pytest.mark.parametrize(
    ("bits", "flow", "circulating"),
    [
        (0b11, 120, True),
        (0b11, 10, True),
        (0b11, 9, False),
        (0b01, 120, False),
        (0b11, 0xFFFF, None),
        (0b01, 0xFFFF, False),
    ],
)
def test_flow_evidence_needs_the_bit_and_a_measured_flow(bits: int, flow: int, circulating: bool | None) -> None:
    cap = _decoded(r33=bits, r37=flow).caps[0]
    assert cap.circulating is circulating


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, RunState.STOPPED),
        (1, RunState.RUNNING),
        (2, RunState.READY),
        (3, RunState.PAUSED),
        (4, RunState.STOPPED),
        (5, RunState.FAULT),
        (6, RunState.UNKNOWN),
    ],
)
def test_an_enumerated_state_maps_and_an_unlisted_one_is_unknown(code: int, state: RunState) -> None:
    assert [cap.run_state for cap in _decoded(r48=code).caps] == [RunState.READY, state]


def test_caps_are_read_from_their_own_registers() -> None:
    decoded = _decoded(r50=-100, r49=0, r54=1, r55=2, r56=9)
    first, second = decoded.caps
    assert (first.temperatures["cap_front"].value, second.temperatures["cap_front"].value) == (-3.85, -1.0)
    assert (first.connected, second.connected) == (True, False)
    assert (first.elapsed_s, first.treatment) == (60, 1)
    assert (second.elapsed_s, second.treatment) == (65538, 9)


def test_a_cap_that_this_unit_does_not_have_shows_nothing() -> None:
    registers = _unit(r2=1)
    registers[48:64] = [0] * 16
    second = RCU.decode({"all": tuple(registers)}).caps[1]
    assert (second.run_state, second.circulating, second.temperatures) == (RunState.STOPPED, False, {})
    assert all(point.cap in (None, 1) for point in RCU.points({"all": tuple(registers)}))


def test_an_alarm_of_any_cap_is_the_units_and_comes_once() -> None:
    assert _decoded(r33=0b111, r49=0b111, r9=0b1).alarms == ("coolant-low", "cap-front-probe")


@pytest.mark.parametrize("code", range(-13, 0))
def test_julabo_complaints_about_commands_are_never_alarms(code: int) -> None:
    decoded = _julabo(status=f"{code:03d} SOME TEXT")
    is_alarm = code >= -7
    assert bool(decoded.alarms) is is_alarm
    assert decoded.caps[0].run_state is (RunState.FAULT if is_alarm else RunState.RUNNING)
    assert decoded.caps[0].circulating is not is_alarm


@pytest.mark.parametrize("status", ["1", "-4.2", "", "REMOTE START", "03"])
def test_a_late_number_is_no_status_and_proves_nothing(status: str) -> None:
    cap = _julabo(status=status).caps[0]
    assert (cap.run_state, cap.circulating) == (RunState.UNKNOWN, None)
    assert cap.temperatures["coolant_supply"] == Measurement(-4.2, "Cel", Quality.SUSPECT, Reason.UNPARSABLE)


def test_a_stopped_status_contradicts_a_start_mode() -> None:
    cap = _julabo(status="02 REMOTE STOP", mode="1").caps[0]
    assert (cap.run_state, cap.circulating) == (RunState.STOPPED, False)


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("-4.20", -4.2, None),
        ("+21.5", 21.5, None),
        ("---.--", None, Reason.SENTINEL),
        ("nan", None, Reason.UNPARSABLE),
        ("1e2", None, Reason.UNPARSABLE),
        ("-4.2 ", None, Reason.UNPARSABLE),
        ("", None, Reason.UNPARSABLE),
        ("999", None, Reason.OUT_OF_RANGE),
    ],
)
def test_text_values(text: str, value: float | None, reason: Reason | None) -> None:
    bath = _julabo(bath=text).measurements["coolant_supply"]
    assert (bath.value, bath.reason) == (value, reason)


def test_a_block_that_was_not_read_gives_reasons_and_no_state() -> None:
    decoded = JULABO.decode({"IN_PV_00": "-4.2"})
    assert (decoded.caps[0].run_state, decoded.caps[0].circulating) == (RunState.UNKNOWN, None)
    assert decoded.measurements["external_sensor"].reason is Reason.NOT_READ
    assert _named(JULABO.points({"IN_PV_00": "-4.2"}), "status").raw is None


def test_probe_points_show_the_wire_and_the_value() -> None:
    points = RCU.points({"all": tuple(_unit(r14=0x5243, r15=0x5531))})
    assert (_named(points, "coolant_supply").raw, _named(points, "coolant_supply").value) == (65116, -4.2)
    assert _named(points, "serial_number").value == "RCU1"
    assert str(_named(points, "serial_number").raw).startswith("5243 5531 0000")


@pytest.mark.parametrize("word", [0x0000, 0xC3A9, 0x4107])
def test_a_serial_number_that_is_no_text_is_none(word: int) -> None:
    assert _decoded(r14=word).serial_number is None


def test_another_kind_of_unit_is_told_by_its_constant_or_by_implausible_values() -> None:
    assert RCU.foreign(_decoded().slots) is None
    assert RCU.foreign(_decoded(r0=0x4348).slots) == "map_id is 17224, not 17223"
    assert SMC.foreign(_smc(temperature=1001).slots) == "coolant_supply is 100.1, not within -40 to 100"
    assert SMC.foreign(_smc(temperature=1001, alarm2=1 << 5).slots) is None, "a faulty probe proves nothing"
    assert SMC.foreign(_smc(temperature=900).slots) is None, "out of range is not another unit"


def test_a_word_and_its_inverse_must_agree() -> None:
    blocks: dict[str, Raw] = {"values": (0,) * 5, "timer": (0,)}
    good = EUROTHERM.decode({**blocks, "status": (0x2000, 0xDFFF)})
    torn = EUROTHERM.decode({**blocks, "status": (0x2000, 0xDFFE)})
    assert EUROTHERM.corrupt(good.slots) is None
    assert EUROTHERM.corrupt(torn.slots) == "status_inverse is DFFE, not the inverse of status 2000"


def _wide(tmp_path: Path, kind: str, order: str, scale: str = "1") -> Decoder:
    """A profile with one 32-bit point at register 7."""
    text = (SHIPPED / "smc-hrs.toml").read_text()
    path = tmp_path / "wide.toml"
    path.write_text(text + WIDE.format(name="wide", at=7, type=kind, order=order, scale=scale))
    return Decoder(load_profile(path))


def _wide_value(decoder: Decoder, wire: bytes) -> Measurement:
    first, second = struct.unpack(">HH", wire)
    raws: Mapping[str, Raw] = {"main": (0, 0, 0, 0, 0, 0, 0, first, second, 0, 0)}
    return decoder.decode(raws).measurements["wide"]


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
@pytest.mark.parametrize(("kind", "value"), [("int32", -42), ("uint32", 987654), ("float32", -4.25)])
def test_every_order_of_32_bits(tmp_path: Path, order: str, kind: str, value: float) -> None:
    code = {"int32": ">i", "uint32": ">I", "float32": ">f"}[kind]
    straight = struct.pack(code, value)
    wire = bytes(straight["ABCD".index(letter)] for letter in order)
    assert _wide_value(_wide(tmp_path, kind, order), wire) == Measurement(value, "Cel")


def test_a_float_that_is_no_number_is_not_a_value(tmp_path: Path) -> None:
    decoder = _wide(tmp_path, "float32", "ABCD", "0.1")
    for special in (math.nan, math.inf, -math.inf):
        measurement = _wide_value(decoder, struct.pack(">f", special))
        assert (measurement.value, measurement.reason) == (None, Reason.NOT_FINITE)
    assert _wide_value(decoder, struct.pack(">I", 0x7FC00001)).reason is Reason.SENTINEL
    assert _wide_value(decoder, struct.pack(">f", -42.5)).value == -4.25


@pytest.mark.requirement("REQ-DEVICE-2")
@given(st.lists(st.integers(0, 0xFFFF), min_size=64, max_size=64))
def test_whatever_the_registers_hold_a_value_is_there_exactly_when_it_is_not_bad(registers: list[int]) -> None:
    decoded = RCU.decode({"all": tuple(registers)})
    measured = [*decoded.measurements.values(), *(each for cap in decoded.caps for each in cap.temperatures.values())]
    for each in measured:
        assert (each.value is None) is (each.quality is Quality.BAD)
        assert (each.reason is None) is (each.quality is Quality.GOOD)
        assert each.value is None or -40 <= each.value <= 60


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_whatever_a_text_unit_says_decoding_never_raises(status: str, bath: str, mode: str) -> None:
    decoded = _julabo(status=status, bath=bath, mode=mode)
    value = decoded.measurements["coolant_supply"].value
    assert value is None or -60 <= value <= 120
