"""Every shipped profile, and the documentation's example: golden frames agree with dialect and decoder, both ways."""

import itertools
import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from drivers import profile_model as shape
from drivers.decode import Decoded, Decoder
from drivers.dialects.base import DialectName, Exceptional, ModbusQuery, Query, Raw, Refusal, Reply, Request
from drivers.dialects.registry import dialect
from drivers.driver import Driver
from drivers.errors import DriverError, Garbled, LineDown, NoReply, UnitRefused
from drivers.line import LineTiming
from drivers.profile import DeviceProfile, find_profile, load_profile, load_profiles
from drivers.profile_model import PointType, ReplyKind, Scope, UnitName
from drivers.profile_types import Block, Point, Registers, UnitByBit
from drivers.reading import Measurement, Quality, Reason, Stamp
from drivers.tomlfile import TomlProblems, load_toml, parse_toml, read_toml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "config" / "profiles").glob("*.toml"))
FILES = [*SHIPPED, ROOT / "docs" / "devices" / "example-unit.toml"]
TRANSACTION = 1  # that of the worked exchanges in Modbus TCP


def _goldens() -> list[object]:
    cases: list[object] = []
    for path in FILES:
        model = shape.SHAPES[str(read_toml(path).data["dialect"])]
        loaded = load_toml(path, model)
        cases += [pytest.param(path, each, id=f"{path.stem}: {each.source}") for each in loaded.golden]
    return cases


def _bytes(profile: DeviceProfile, text: str) -> bytes:
    return bytes.fromhex(text) if profile.dialect in ("modbus-rtu", "modbus-tcp") else text.encode("ascii")


def _asked_by(profile: DeviceProfile, frame: bytes) -> tuple[Block, Query]:
    """The block whose request, as the dialect encodes it, is exactly the frame."""
    unit_id = profile.address.default if profile.address else None
    for block in profile.blocks:
        query = block.query(unit_id)
        if dialect(profile.dialect).encode(query, TRANSACTION) == frame:
            return block, query
    pytest.fail(f"no block of {profile.id} asks {frame!r}")


def _answers(profile: DeviceProfile, golden: shape.Golden) -> dict[str, Raw | Exceptional]:
    answers: dict[str, Raw | Exceptional] = {}
    for exchange in golden.exchanges:
        block, query = _asked_by(profile, _bytes(profile, exchange.tx))
        frame = _bytes(profile, exchange.rx)
        verdict = dialect(profile.dialect).scan(frame, query, TRANSACTION)
        assert isinstance(verdict, Reply | Exceptional), f"{verdict} for {exchange.rx}"
        assert verdict.consumed == len(frame)
        answers[block.name] = verdict.raw if isinstance(verdict, Reply) else verdict
    return answers


def test_there_are_profiles_and_each_is_found_by_its_id() -> None:
    directory = SHIPPED[0].parent
    profiles = load_profiles([directory])
    assert set(profiles) == {path.stem for path in SHIPPED}
    assert {"smc-hrs", "eurotherm-3200", "julabo-cf", "reference-cap-unit"} <= set(profiles)
    assert all(find_profile(name, [directory]) == profile for name, profile in profiles.items())


@pytest.mark.parametrize(("path", "golden"), _goldens())
def test_golden_frames_decode_to_what_they_expect(path: Path, golden: shape.Golden) -> None:
    profile = load_profile(path)
    answers = _answers(profile, golden)
    exceptions = {answer.code for answer in answers.values() if isinstance(answer, Exceptional)}
    assert exceptions == ({golden.expect.exception} if golden.expect.exception else set())
    if golden.expect.exception:
        return
    decoder = Decoder(profile)
    raws = {name: answer for name, answer in answers.items() if not isinstance(answer, Exceptional)}
    assert set(raws) == {block.name for block in profile.blocks}, "a golden poll has every block"
    decoded = decoder.decode(raws)
    points = {(point.name, point.cap): point for point in decoder.points(raws)}
    expected = [(None, golden.expect.points, golden.expect.bad)]
    expected += [(cap, each.points, each.bad) for cap, each in enumerate(golden.expect.caps, start=1)]
    for cap, values, bad in expected:
        for name, text in values.items():
            point = points[(name, cap)]
            assert point.quality is Quality.GOOD, point
            assert isinstance(point.value, int | float)
            digits = max(0, -int(Decimal(text).as_tuple().exponent))
            assert round(Decimal(point.value), digits) == Decimal(text), point
        for name, reason in bad.items():
            assert (points[(name, cap)].value, points[(name, cap)].reason) == (None, reason)
    _assert_rules(decoded, golden.expect)
    assert decoder.foreign(decoded.slots) is None
    assert decoder.corrupt(decoded.slots) is None


def _assert_rules(decoded: Decoded, expect: shape.Expected) -> None:
    if expect.alarms is not None:
        assert decoded.alarms == expect.alarms
    if expect.serial_number is not None:
        assert decoded.serial_number == expect.serial_number
    for cap, seen in zip(expect.caps, decoded.caps, strict=False):
        assert cap.run_state in (None, seen.run_state)
        for wanted, found in ((cap.circulating, seen.circulating), (cap.connected, seen.connected)):
            assert wanted is None or wanted == ("unknown" if found is None else found)


@pytest.mark.parametrize(("path", "golden"), _goldens())
def test_golden_frames_are_what_a_unit_would_hear_and_answer(path: Path, golden: shape.Golden) -> None:
    profile = load_profile(path)
    spoken = dialect(profile.dialect)
    answers = _answers(profile, golden)
    for exchange in golden.exchanges:
        block, query = _asked_by(profile, _bytes(profile, exchange.tx))
        heard = spoken.scan_request(_bytes(profile, exchange.tx))
        assert isinstance(heard, Request)
        assert heard.query == query
        answer = answers[block.name]
        said = Refusal(answer.code) if isinstance(answer, Exceptional) else answer
        assert spoken.encode_reply(heard, said) == _bytes(profile, exchange.rx)


class RecordingLine:
    """Answers by a rule, and keeps the bytes of every request that was made."""

    def __init__(self, profile: DeviceProfile, answer: Callable[[Query], Raw | DriverError]) -> None:
        self._dialect = dialect(profile.dialect)
        self.answer = answer
        self.frames: set[bytes] = set()

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        self.frames.add(self._dialect.encode(query, TRANSACTION))
        answer = self.answer(query)
        if isinstance(answer, DriverError):
            raise answer
        return answer


def _zeros(query: Query) -> Raw:
    return (0,) * query.count if isinstance(query, ModbusQuery) else "00 MANUAL STOP"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_no_frame_that_a_profile_can_send_writes(path: Path) -> None:
    """Whatever a unit answers, and however often: every byte that could go out is one of a read."""
    profile = load_profile(path)
    unit_id = profile.address.default if profile.address else None
    outcomes: list[Callable[[Query], Raw | DriverError]] = [
        _zeros,
        lambda _query: NoReply("silent"),
        lambda _query: Garbled("noise"),
        lambda _query: UnitRefused(2),
        lambda _query: LineDown("gone"),
    ]
    frames: set[bytes] = set()
    for first, then in itertools.product(outcomes, outcomes):
        line = RecordingLine(profile, first)
        driver = Driver("u", profile, line, unit_id, lambda: Stamp(0, 0))
        await driver.read()
        line.answer = then
        await driver.read()
        await driver.probe()
        frames |= line.frames
    expected = len(profile.blocks) + (profile.after_miss is not None)
    assert len(frames) == expected, "every request of the profile was made"
    assert {_what_is_asked(profile, frame) for frame in frames} <= READS


READS = {"function 3", "function 4", "IN_PV", "IN_MODE", "STATUS"}


def _what_is_asked(profile: DeviceProfile, frame: bytes) -> str:
    """The function code or the command's family, taken from the bytes by the documents' own frame layouts."""
    match profile.dialect:
        case DialectName.MODBUS_RTU:
            return f"function {frame[1]}"
        case DialectName.MODBUS_TCP:
            return f"function {frame[7]}"
        case DialectName.MODBUS_ASCII:
            return f"function {int(frame[3:5], 16)}"
        case DialectName.JULABO:
            return frame.decode("ascii").rstrip("\r").rstrip("0123456789").rstrip("_")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_profile_can_name_no_command_that_writes(path: Path) -> None:
    document = read_toml(path)
    model = shape.SHAPES[str(document.data["dialect"])]
    for old, new in (("fc = 3", "fc = 6"), ("fc = 4", "fc = 16"), ('"IN_MODE_05"', '"OUT_MODE_05"')):
        text = path.read_text()
        if old in text:
            with pytest.raises(TomlProblems, match="accepted: "):
                parse_toml(text.replace(old, new, 1), path.name).fit(model)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_exchange_of_every_poll_is_shown_by_a_golden_frame(path: Path) -> None:
    profile = load_profile(path)
    goldens = load_toml(path, shape.SHAPES[profile.dialect]).golden
    asked = {
        _asked_by(profile, _bytes(profile, exchange.tx))[0].name for each in goldens for exchange in each.exchanges
    }
    assert asked == {block.name for block in profile.blocks}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_temperature_that_can_be_below_zero_is_read_below_zero(path: Path) -> None:
    profile = load_profile(path)
    checked = 0
    for point in profile.points:
        if point.range is None or point.range[0] >= 0:
            continue
        measurement, wire = _measured_at_minus(profile, point, 42)
        assert measurement.quality is Quality.GOOD, measurement
        assert measurement.value == pytest.approx(wire, abs=1e-9), point.name
        assert measurement.value is not None
        assert measurement.value < 0
        checked += 1
    assert checked, "a cooling unit has a temperature"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_sentinel_gives_a_reason_and_no_value(path: Path) -> None:
    profile = load_profile(path)
    for point in profile.points:
        for sentinel in point.sentinels:
            measurement = _measured(profile, point, sentinel)
            assert (measurement.value, measurement.reason) == (None, Reason.SENTINEL), point.name


def _measured_at_minus(profile: DeviceProfile, point: Point, steps: int) -> tuple[Measurement, float]:
    """The point with -`steps` on the wire, and by plain arithmetic what that is in degrees Celsius."""
    match point.type:
        case PointType.INT16:
            (word,) = struct.unpack(">H", struct.pack(">h", -steps))
            value = -steps * float(point.scale)
            unit = point.unit.zero if isinstance(point.unit, UnitByBit) else point.unit
            return _measured(profile, point, word), value if unit is UnitName.CELSIUS else (value - 32) / 1.8
        case ReplyKind.DECIMAL:
            return _measured(profile, point, "-4.2"), -4.2
        case other:
            pytest.fail(f"no negative vector for {other}: write one")


def _measured(profile: DeviceProfile, point: Point, wire: int | str) -> Measurement:
    raws: dict[str, Raw] = {}
    for block in profile.blocks:
        if isinstance(block.source, Registers):
            words = [0] * block.source.count
            if block.name == point.block:
                assert isinstance(wire, int)
                words[point.at] = wire
            raws[block.name] = tuple(words)
        else:
            raws[block.name] = str(wire) if block.name == point.block else "00 MANUAL STOP"
    decoder = Decoder(profile)
    cap = 1 if point.scope is Scope.CAP else None
    (shown,) = (each for each in decoder.points(raws) if (each.name, each.cap) == (point.name, cap))
    assert not isinstance(shown.value, str)
    return Measurement(shown.value, shown.unit, shown.quality, shown.reason)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_reply_of_a_poll_answers_the_request_after_a_miss(path: Path) -> None:
    profile = load_profile(path)
    if profile.after_miss is None:
        assert profile.dialect == "julabo", "only a text dialect has no other way to ask"
        return
    asked = profile.after_miss.query(1)
    assert isinstance(asked, ModbusQuery)
    for block in profile.blocks:
        query = block.query(1)
        assert isinstance(query, ModbusQuery)
        assert (query.function, query.count) != (asked.function, asked.count)


def test_profiles_are_frozen() -> None:
    profile = load_profile(FILES[0])
    with pytest.raises(AttributeError):
        setattr(profile.timing, "gap_s", 0.0)  # noqa: B010 - the type checker would refuse the plain form
    assert msgspec.structs.fields(profile)
