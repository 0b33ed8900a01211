"""Checks across the keys of a profile: references, register spans, the poll budget, golden frames. Pure."""

from collections.abc import Collection, Iterator
from decimal import Decimal, InvalidOperation

from drivers.dialects.registry import DialectName, dialect
from drivers.profile import shape
from drivers.profile.build import blocks, cap_offsets, condition_of
from drivers.profile.dialect_shapes import AnyPoint, AnyProfile, BlockTable, ModbusProfile, RegisterPoint
from drivers.profile.enums import ByteKind, Kind, PointType, ReplyKind, Scope, UnitName, WordOrder
from drivers.reading import Evidence
from drivers.toml.lines import Path
from drivers.toml.nearest import did_you_mean
from drivers.transport.base import Parity

Misfit = tuple[Path, str]

ABSENT = "there is no "  # begins the message about a name that nothing here has

_WHOLE: set[Kind] = {
    *(PointType.INT16, PointType.UINT16, PointType.INT32, PointType.UINT32),
    *(ReplyKind.CODE, ReplyKind.DECIMAL, ReplyKind.SIGNED, ReplyKind.DIGITS),
}
_NUMBERS = {*_WHOLE, ByteKind.QUALIFIED, PointType.FLOAT32}
_BITS: dict[Kind, int] = {PointType.BITS16: 16, ReplyKind.FLAGS: 16, ByteKind.BITS8: 8}
_WORDS: set[Kind] = {PointType.UINT16, PointType.BITS16}
_TEXTS: set[Kind] = {PointType.ASCII, ReplyKind.TEXT}
_CHOOSERS: set[Kind] = {PointType.UINT16, ReplyKind.DIGITS, ReplyKind.TEXT}
_OF_MEASUREMENTS = ("scale", "range", "stuck_after_s", "max_k_per_min", "invalid_if")  # keys of a point with a unit
_TEMPERATURES = {UnitName.CELSIUS, UnitName.FAHRENHEIT}
_QUALIFIED_UNITS = {UnitName.CELSIUS, UnitName.BAR, UnitName.LITRES_PER_MINUTE}  # of qualified NC values, converted


def misfits(profile: AnyProfile, golden_dialect: DialectName) -> Iterator[Misfit]:
    """Every error that the schema cannot express.

    `golden_dialect` is the dialect in the file, before a site's overrides: golden frames are in that one.
    """
    points: dict[str, AnyPoint] = {point.name: point for point in profile.point}
    own = list(_points(profile, points))
    yield from own
    yield from _budget(profile)
    unfit = {profile.point[path[1]].name for path, _ in own if path[0] == "point" and isinstance(path[1], int)}
    for path, message in (
        *_caps(profile.caps, points),
        *_rules(profile, points),
        *_identity(profile, points),
        *_golden(profile, points, are_hex=dialect(golden_dialect).is_binary),
    ):
        of_unfit = message.partition(" ")[0] in unfit or (unfit and path == ("golden",))
        if not of_unfit:  # what a point is good for is judged once it is right
            yield path, message


def _points(profile: AnyProfile, points: dict[str, AnyPoint]) -> Iterator[Misfit]:
    yield from _same_names("point", [point.name for point in profile.point])
    for index, point in enumerate(profile.point):
        yield from _point(("point", index), point, points)
    if isinstance(profile, ModbusProfile):
        yield from _registers(profile)
    elif profile.caps.count > 1:
        yield ("caps", "count"), f"{profile.dialect} has no registers to shift, accepted: 1"


def _absent(what: str, name: str, known: Collection[str]) -> str:
    """The message about a name that nothing here has; equal for each place that names it."""
    return f"{ABSENT}{what} {name}, accepted: {', '.join(known)}{did_you_mean(name, known)}"


def _same_names(table: str, names: list[str]) -> Iterator[Misfit]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (table, index, "name"), f"{name} is taken by an earlier {table}, accepted: a name of its own"


def _point(path: Path, point: AnyPoint, points: dict[str, AnyPoint]) -> Iterator[Misfit]:
    kind = point.kind
    if point.unit is not None and kind not in _NUMBERS - {ReplyKind.CODE}:
        yield (*path, "unit"), f"{kind} holds no measurement, accepted: no unit"
    if kind is ByteKind.QUALIFIED and (point.unit not in _QUALIFIED_UNITS or "scale" in point.model_fields_set):
        accepted = ", ".join(sorted(_QUALIFIED_UNITS))
        yield (*path, "unit"), f"the wire tells unit and decimals, accepted: {accepted}, and no scale"
    if point.unit is not None and point.range is None:
        yield (*path, "range"), "missing, accepted: [lowest, highest] plausible value in the canonical unit"
    if point.range is not None and point.range[0] >= point.range[1]:
        yield (*path, "range"), "accepted: [lowest, highest], lowest first"
    of_measurements = [key for key in _OF_MEASUREMENTS if key in point.model_fields_set]
    if point.unit is None and of_measurements:
        message = f"without a unit this point is no measurement, accepted: a unit, or no {', '.join(of_measurements)}"
        yield (*path, of_measurements[0]), message
    if point.unit is not None and point.max_k_per_min is not None and not _is_temperature(point):
        yield (*path, "max_k_per_min"), "no temperature, accepted: a temperature, or no max_k_per_min"
    match point.unit:
        case shape.UnitByBitTable(bit=bit):
            yield from _condition((*path, "unit", "bit"), bit, points, point.scope)
        case shape.UnitByValueTable() as by_value:
            yield from _chosen_by((*path, "unit"), by_value.from_, by_value.is_, points)
            if len({unit in _TEMPERATURES for unit in by_value.is_.values()}) > 1:
                yield (*path, "unit", "is"), "a temperature and something else, accepted: units of one kind"
        case _:
            pass
    for index, condition in enumerate(point.invalid_if):
        yield from _condition((*path, "invalid_if", index), condition, points, point.scope)


def _chosen_by(
    path: Path, name: str, meanings: dict[str, UnitName] | dict[str, WordOrder], points: dict[str, AnyPoint]
) -> Iterator[Misfit]:
    """Check a choice by another point's value: the point belongs to the unit, and can have these values."""
    yield from _refer((*path, "from"), name, points, Scope.UNIT, "one register, digits or text", _CHOOSERS)
    chooser = points.get(name)
    for text in meanings:
        if chooser and (chooser.kind is ReplyKind.TEXT) == text.isdecimal():
            accepted = "words" if text.isdecimal() else "whole numbers"
            yield (*path, "is", text), f"{name} never holds that, accepted: {accepted}"


def _condition(path: Path, text: str, points: dict[str, AnyPoint], scope: Scope) -> Iterator[Misfit]:
    """Check a condition; a rule with the scope of the unit cannot refer to a point of a cap."""
    condition = condition_of(text)
    point = points.get(condition.point)
    if point is None:
        yield path, _absent("point", condition.point, points)
        return
    kind = point.kind
    if scope is Scope.UNIT and point.scope is Scope.CAP:
        yield path, f"{point.name} belongs to a cap, accepted: points of the unit"
    if condition.bit is not None and condition.bit >= _BITS.get(kind, 0):
        fitting = f"bit 0 to {_BITS[kind] - 1}" if kind in _BITS else "bit 0 to 15 of a bits16 point"
        yield path, f"{point.name} is {kind}, accepted: {fitting}"
    if condition.bit is None and kind not in {*_WHOLE, ByteKind.BITS8}:
        yield path, f"{point.name} is {kind}, accepted: a number of a point that holds whole numbers"
    if condition.bit is None and condition.low > condition.high:
        yield path, "accepted: low..high, lowest first"


def _registers(profile: ModbusProfile) -> Iterator[Misfit]:
    blocks = {block.name: block for block in profile.block}
    yield from _same_names("block", [block.name for block in profile.block])
    offsets = cap_offsets(profile.caps)
    for index, point in enumerate(profile.point):
        yield from _register_point(("point", index), point, blocks, offsets)
        if isinstance(point.order, shape.OrderByValueTable):
            points: dict[str, AnyPoint] = {each.name: each for each in profile.point}
            yield from _chosen_by(("point", index, "order"), point.order.from_, point.order.is_, points)
    if profile.link.address is None or profile.link.address.default is None:
        yield ("link",), "address is missing, accepted: address = { min = 1, max = 247, default = 1 }"
    miss = profile.after_miss
    for block in profile.block:
        if miss and (block.fc, block.count) == (miss.fc, miss.count):
            message = f"a late reply to block {block.name} would pass, accepted: another fc or count"
            yield ("after_miss", "count"), message


def _register_point(
    path: Path,
    point: RegisterPoint,
    blocks: dict[str, BlockTable],
    offsets: tuple[int, ...],
) -> Iterator[Misfit]:
    block = blocks.get(point.block)
    if block is None:
        yield (*path, "block"), _absent("block", point.block, blocks)
    if (point.width == 2) != (point.order is not None) and point.type is not PointType.ASCII:
        accepted = ", ".join(WordOrder) if point.width == 2 else f"no order, as {point.type} is one register"
        yield (*path, "order"), f"does not fit {point.type}, accepted: {accepted}"
    elif (point.type is PointType.ASCII) != (point.length is not None):
        accepted = "a number of registers" if point.type is PointType.ASCII else "no length"
        yield (*path, "length"), f"does not fit {point.type}, accepted: {accepted}"
    elif block is not None:
        last = block.count - point.width - (max(offsets) if point.scope is Scope.CAP else 0)
        if point.at > last:
            yield (*path, "at"), f"outside block {block.name}, accepted: {f'0 to {last}' if last >= 0 else 'none fits'}"
    for index, sentinel in enumerate(point.sentinels):
        if point.width == 1 and sentinel > 0xFFFF:
            yield (*path, "sentinels", index), "wider than the register, accepted: 0 to 0xFFFF, as on the wire"


def _caps(caps: shape.Caps, points: dict[str, AnyPoint]) -> Iterator[Misfit]:
    if caps.offsets is not None and len(caps.offsets) != caps.count:
        yield ("caps", "offsets"), f"accepted: {caps.count} offsets, one a cap"
    if caps.count > 1 and (caps.stride is None) == (caps.offsets is None):
        yield ("caps",), "several caps need to be told apart, accepted: either stride or offsets"
    if caps.counted_by is not None:
        yield from _refer(("caps", "counted_by"), caps.counted_by, points, Scope.UNIT, "whole numbers", _WHOLE)


def _rules(profile: AnyProfile, points: dict[str, AnyPoint]) -> Iterator[Misfit]:
    for index, rule in enumerate(profile.run_state):
        yield from _conditions(("run_state", index, "when"), rule.when, points)
    for index, alarm in enumerate(profile.alarm):
        yield from _conditions(("alarm", index, "when"), alarm.when, points)
    if profile.connected:
        yield from _conditions(("connected", "when"), profile.connected.when, points)
    circulating = profile.circulating
    yield from _conditions(("circulating", "when"), circulating.when, points)
    if (circulating.strength is Evidence.NONE) != (not circulating.when):
        accepted = "no when, as nothing proves it" if circulating.strength is Evidence.NONE else "the conditions"
        yield ("circulating", "when"), f"does not fit strength {circulating.strength}, accepted: {accepted}"
    if (circulating.strength is Evidence.FLOW) != (circulating.flow is not None):
        accepted = "flow = { point, at_least }" if circulating.strength is Evidence.FLOW else "no flow"
        yield ("circulating", "flow"), f"does not fit strength {circulating.strength}, accepted: {accepted}"
    measured = {name for name, point in points.items() if point.unit is not None}
    if circulating.flow and circulating.flow.point not in points:
        yield ("circulating", "flow", "point"), _absent("point", circulating.flow.point, points)
    elif circulating.flow and circulating.flow.point not in measured:
        message = f"{circulating.flow.point} is no measurement, accepted: {', '.join(sorted(measured))}"
        yield ("circulating", "flow", "point"), message


def _conditions(path: Path, conditions: tuple[str, ...], points: dict[str, AnyPoint]) -> Iterator[Misfit]:
    for index, condition in enumerate(conditions):
        yield from _condition((*path, index), condition, points, Scope.CAP)


def _refer(
    path: Path,
    name: str,
    points: dict[str, AnyPoint],
    scope: Scope | None,
    what: str,
    kinds: set[Kind],
) -> Iterator[Misfit]:
    fitting = [
        point.name for point in points.values() if point.kind in kinds and (scope is None or point.scope is scope)
    ]
    if name not in points:
        yield path, _absent("point", name, points)
    elif name not in fitting:
        yield path, f"{name} is not a point that holds {what}, accepted: {', '.join(fitting) or 'none is here'}"


def _identity(profile: AnyProfile, points: dict[str, AnyPoint]) -> Iterator[Misfit]:
    """Check the references of identity, integrity, continuity and heartbeat."""
    address = profile.link.address
    if address and address.default is not None and not address.min <= address.default <= address.max:
        yield ("link", "address", "default"), f"accepted: {address.min} to {address.max}"
    for index, verify in enumerate(profile.verify):
        path = ("verify", index)
        if (verify.equals is None) == (verify.within is None):
            yield path, "accepted: either equals or within"
        kinds = _NUMBERS if verify.equals is None else _WHOLE
        yield from _refer((*path, "point"), verify.point, points, Scope.UNIT, "numbers", kinds)
    for index, integrity in enumerate(profile.integrity):
        for key, name in (("point", integrity.point), ("inverse_of", integrity.inverse_of)):
            yield from _refer(("integrity", index, key), name, points, Scope.UNIT, "a word", _WORDS)
    if profile.heartbeat:
        path = ("heartbeat", "point")
        yield from _refer(path, profile.heartbeat.point, points, Scope.UNIT, "whole numbers", _WHOLE)
    if profile.serial_number:
        kinds: set[Kind] = {*_TEXTS, PointType.UINT16, PointType.UINT32}
        yield from _refer(("serial_number",), profile.serial_number, points, Scope.UNIT, "text or a number", kinds)
    if profile.continuity:
        for key, name in (("treatment", profile.continuity.treatment), ("elapsed", profile.continuity.elapsed)):
            yield from _refer(("continuity", key), name, points, None, "whole numbers", _WHOLE)


def _golden(profile: AnyProfile, points: dict[str, AnyPoint], *, are_hex: bool) -> Iterator[Misfit]:
    cold = {name for name, point in points.items() if _is_temperature(point)}
    below_zero, are_read = False, True
    for index, golden in enumerate(profile.golden):
        if len(golden.expect.caps) > profile.caps.count:
            yield ("golden", index, "expect", "caps"), f"accepted: {profile.caps.count} caps or fewer"
        named: list[tuple[Path, dict[str, str]]] = [(("golden", index, "expect", "points"), golden.expect.points)]
        for cap_index, cap in enumerate(golden.expect.caps):
            named.append((("golden", index, "expect", "caps", cap_index, "points"), cap.points))
        for path, expected in named:
            for name, text in expected.items():
                if name not in points:
                    are_read = False
                    yield (*path, name), _absent("point", name, points)
                elif not _is_number(text):
                    are_read = False
                    yield (*path, name), 'accepted: a decimal number as text, like "-4.2"'
                elif name in cold and Decimal(text) < 0:
                    below_zero = True
        if are_hex:
            yield from _hex_frames(("golden", index, "exchanges"), golden.exchanges)
    if not below_zero and are_read:
        yield ("golden",), "no frame shows a temperature below zero, accepted: at least one that does"


def _hex_frames(path: Path, exchanges: tuple[shape.ExchangeTable, ...]) -> Iterator[Misfit]:
    for index, exchange in enumerate(exchanges):
        for key, text in (("tx", exchange.tx), ("rx", exchange.rx)):
            try:
                bytes.fromhex(text)
            except ValueError:
                yield (*path, index, key), "accepted: the frame's bytes in hex, like 01 03 00 01"


def _is_temperature(point: AnyPoint) -> bool:
    match point.unit:
        case shape.UnitByBitTable(zero=zero, one=one):
            return bool({zero, one} & _TEMPERATURES)
        case shape.UnitByValueTable(is_=units):
            return bool(_TEMPERATURES & set(units.values()))
        case unit:
            return unit in _TEMPERATURES


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def _budget(profile: AnyProfile) -> Iterator[Misfit]:
    """Check that wire time and gaps of one poll fit into the fastest period, at the profile's baud rate."""
    serial, timing = profile.link.serial, profile.timing
    char_bits = 1 + serial.bits + (serial.parity is not Parity.NONE) + serial.stop
    exchanges = _exchange_sizes(profile)
    needed_ms = round(sum(exchanges) * char_bits * 1000 / serial.baud + len(exchanges) * timing.gap_ms)
    if needed_ms > timing.fastest_poll_ms:
        message = f"a poll takes {needed_ms} ms at {serial.baud} baud and a gap of {timing.gap_ms} ms"
        yield ("timing", "fastest_poll_ms"), f"{message}, accepted: {needed_ms} or more"


def _exchange_sizes(profile: AnyProfile) -> list[int]:
    """Characters of request and reply together, for each exchange of a poll."""
    contents: dict[str, int] = {}
    if not isinstance(profile, ModbusProfile):
        for point in profile.point:
            contents[point.place.block] = max(contents.get(point.place.block, 0), point.reply_size)
    language = dialect(DialectName(profile.dialect))
    return [language.exchange_size(block.query(None), contents.get(block.name, 0)) for block in blocks(profile)]
