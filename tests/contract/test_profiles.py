"""Every shipped profile, and the documentation's example: golden frames agree with dialect and decoder, both ways."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from drivers.decode.decoder import Decoded, Decoder, PointValue
from drivers.decode.values import canonical_unit
from drivers.dialects.base import Exceptional, ModbusQuery, NumberQuery, Query, Raw, Refusal, Request, TextQuery
from drivers.dialects.registry import dialect
from drivers.errors import DriverError, Garbled, LineDown, NoReply, UnitRefused
from drivers.line import LineTiming
from drivers.profile import shape
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.enums import PointType, Scope, UnitName
from drivers.profile.load import DeviceProfile, find_profile, load_profile, load_profiles
from drivers.profile.types import Point, UnitByBit, UnitByValue
from drivers.reading import Quality, Reason, Stamp
from drivers.toml.document import TomlProblems, parse_toml, read_toml
from drivers.unit.driver import Driver
from tests.contract.profile_wire import (
    FILES,
    SHIPPED,
    TRANSACTION,
    WIRES,
    answers,
    asked_by,
    frame_bytes,
    golden_cases,
    good_poll,
    profile_shape,
    raw_number,
    with_raw,
)

every_profile = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_profiles_and_each_is_found_by_its_id() -> None:
    directory = SHIPPED[0].parent
    profiles = load_profiles([directory])
    assert set(profiles) == {path.stem for path in SHIPPED}
    assert {"smc-hrs", "eurotherm-3200", "julabo-cf", "reference-cap-unit"} <= set(profiles)
    assert all(find_profile(name, [directory]) == profile for name, profile in profiles.items())


@pytest.mark.parametrize(("path", "golden"), golden_cases())
def test_golden_frames_decode_to_what_they_expect(path: Path, golden: shape.Golden) -> None:
    profile = load_profile(path)
    found = answers(profile, golden)
    exceptions = {answer.code for answer in found.values() if isinstance(answer, Exceptional)}
    assert exceptions == ({golden.expect.exception} if golden.expect.exception else set())
    if golden.expect.exception:
        return
    decoder = Decoder(profile)
    raws = {name: answer for name, answer in found.items() if not isinstance(answer, Exceptional)}
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


def _assert_rules(decoded: Decoded, expect: shape.ExpectedTable) -> None:
    if expect.alarms is not None:
        assert decoded.alarms == expect.alarms
    if expect.serial_number is not None:
        assert decoded.serial_number == expect.serial_number
    for cap, seen in zip(expect.caps, decoded.caps, strict=False):
        assert cap.run_state in (None, seen.run_state)
        for wanted, found in ((cap.circulating, seen.circulating), (cap.connected, seen.connected)):
            assert wanted is None or wanted == ("unknown" if found is None else found)


@pytest.mark.parametrize(("path", "golden"), golden_cases())
def test_golden_frames_are_what_a_unit_would_hear_and_answer(path: Path, golden: shape.Golden) -> None:
    profile = load_profile(path)
    codec = dialect(profile.dialect)
    found = answers(profile, golden)
    for exchange in golden.exchanges:
        block, query = asked_by(profile, frame_bytes(profile, exchange.tx))
        heard = codec.scan_request(frame_bytes(profile, exchange.tx))
        assert isinstance(heard, Request)
        assert heard.query == query
        answer = found[block.name]
        said = Refusal(answer.code) if isinstance(answer, Exceptional) else answer
        assert codec.encode_reply(heard, said) == frame_bytes(profile, exchange.rx)


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


def _nothing(query: Query) -> Raw:
    match query:
        case ModbusQuery(count=count):
            return (0,) * count
        case TextQuery():
            return "0"
        case NumberQuery():
            return (0,)


def _requests(profile: DeviceProfile, unit_id: int | None) -> set[Query]:
    """All that a driver may ask by this profile: blocks, and points by themselves where a block is more than one."""
    requests = {block.query(unit_id) for block in (*profile.blocks, profile.after_miss, profile.watchdog) if block}
    for block in profile.blocks:
        whole = block.query(unit_id)
        if not isinstance(whole, ModbusQuery):
            continue
        for point in (point for point in profile.points if point.block == block.name):
            for offset in profile.cap_offsets if point.scope is Scope.CAP else (0,):
                address = whole.address + point.at + offset
                requests.add(msgspec.structs.replace(whole, address=address, count=point.length))
    return requests


@every_profile
async def test_no_frame_that_a_profile_can_send_writes(path: Path) -> None:
    """Whatever a unit answers, and however often: every byte that could go out is one of a read."""
    profile = load_profile(path)
    unit_id = profile.address.default if profile.address else None
    good = good_poll(path)
    poll = {block.query(unit_id): good[block.name] for block in profile.blocks}
    outcomes: list[Callable[[Query], Raw | DriverError]] = [
        lambda query: poll.get(query, _nothing(query)),
        _nothing,
        lambda _query: NoReply("silent"),
        lambda _query: Garbled("noise"),
        lambda _query: UnitRefused(2),
        lambda query: UnitRefused(3) if query in poll else _nothing(query),
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
    assert len(frames) == len(_requests(profile, unit_id)), "every request of the profile was made"
    wire = WIRES[profile.dialect]
    assert {wire.what_is_asked(frame) for frame in frames} <= wire.reads


@pytest.mark.requirement("REQ-DEVICE-1")
@every_profile
def test_a_profile_can_name_no_command_that_writes(path: Path) -> None:
    document = read_toml(path)
    model = SHAPES[str(document.data["dialect"])]
    text = path.read_text()
    writes = (
        ("fc = 3", "fc = 6"),
        ("fc = 4", "fc = 16"),
        ('"IN_MODE_05"', '"OUT_MODE_05"'),
        ('"RW"', '"SO1"'),
        ('"RT"', '"rt"'),
        ("command = 0x20", "command = 0x81"),
        ('"IN_SP_00"', '"OUT_SP_00_5"'),
        ('"STAT"', '"STOP"'),
    )
    for old, new in writes:
        if old in text:
            with pytest.raises(TomlProblems, match="accepted: "):
                parse_toml(text.replace(old, new, 1), path.name).fit(model)


@every_profile
def test_every_exchange_of_every_poll_is_shown_by_a_golden_frame(path: Path) -> None:
    profile = load_profile(path)
    asked = {
        asked_by(profile, frame_bytes(profile, exchange.tx))[0].name
        for each in profile_shape(path).golden
        for exchange in each.exchanges
    }
    assert asked == {block.name for block in profile.blocks}


@every_profile
def test_every_temperature_that_can_be_below_zero_is_read_below_zero(path: Path) -> None:
    profile = load_profile(path)
    raws = good_poll(path)
    checked = 0
    for point in profile.points:
        if point.range is None or point.range[0] >= 0 or canonical_unit(point) != "Cel":
            continue
        is_whole = point.type is PointType.INT16
        value = Decimal(-42) if is_whole else Decimal("-4.2")
        shown = _shown(profile, point, with_raw(raws, point, raw_number(point, value)))
        on_wire = float(value) * float(point.scale)
        expected = on_wire if _unit_in(profile, point, raws) is not UnitName.FAHRENHEIT else (on_wire - 32) / 1.8
        assert shown.quality is Quality.GOOD, shown
        assert shown.value == pytest.approx(expected, rel=1e-6), point.name
        assert isinstance(shown.value, float)
        assert shown.value < 0
        checked += 1
    assert checked, "a cooling unit has a temperature"


@every_profile
def test_every_sentinel_gives_a_reason_and_no_value(path: Path) -> None:
    profile = load_profile(path)
    for point in profile.points:
        for sentinel in point.sentinels:
            shown = _shown(profile, point, with_raw(good_poll(path), point, sentinel))
            assert (shown.value, shown.quality, shown.reason) == (None, Quality.BAD, Reason.SENTINEL), point.name


def _shown(profile: DeviceProfile, point: Point, raws: dict[str, Raw]) -> PointValue:
    cap = 1 if point.scope is Scope.CAP else None
    (shown,) = (each for each in Decoder(profile).points(raws) if (each.name, each.cap) == (point.name, cap))
    return shown


def _unit_in(profile: DeviceProfile, point: Point, raws: dict[str, Raw]) -> UnitName | None:
    """What the unit of this poll measures the point in."""
    told = {each.name: each.value for each in Decoder(profile).points(raws)}
    match point.unit:
        case UnitByBit(name, bit, zero, one):
            word = told[name]
            assert isinstance(word, int)
            return one if word >> bit & 1 else zero
        case UnitByValue(name, units):
            return next(unit for value, unit in units if value == told[name])
        case unit:
            return unit


@every_profile
def test_no_reply_of_a_poll_answers_the_request_after_a_miss(path: Path) -> None:
    profile = load_profile(path)
    if profile.after_miss is None:
        assert "modbus" not in profile.dialect, "a Modbus unit can be asked in another way"
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
