"""Converts a checked profile file into a DeviceProfile: units, parsed conditions, and the blocks of a poll."""

import re
from fractions import Fraction

from drivers.dialects.registry import DialectName
from drivers.profile import shape
from drivers.profile.dialect_shapes import (
    AnyPoint,
    AnyProfile,
    LaudaProfile,
    ModbusProfile,
    NcPoint,
    RegisterPoint,
    RegisterSpan,
)
from drivers.profile.enums import UnitName, WordOrder
from drivers.profile.types import (
    Address,
    AlarmRule,
    Block,
    Circulating,
    ContinuityPoints,
    DeviceProfile,
    Flow,
    Heartbeat,
    Integrity,
    KindIdentity,
    OrderByValue,
    Point,
    PointCondition,
    Registers,
    RunStateRule,
    Timing,
    UnitByBit,
    UnitByValue,
    Verify,
)
from drivers.transport.base import SerialSettings

_CONDITION = re.compile(r"(!?)([a-z0-9_]+)(?:\.(\d+)|=(-?\d+)(?:\.\.(-?\d+))?)")


def build(profile: AnyProfile) -> DeviceProfile:
    """The DeviceProfile of a file that `check.misfits` found no error in."""
    link = profile.link
    continuity = profile.continuity
    heartbeat = profile.heartbeat
    flow = profile.circulating.flow
    return DeviceProfile(
        identity=KindIdentity(**dict(profile.identity)),
        dialect=DialectName(profile.dialect),
        serial=SerialSettings(**dict(link.serial)),
        address=Address(**dict(link.address)) if link.address else None,
        timing=_timing(profile.timing),
        reads_effect=profile.effects.reads,
        watchdog=_watchdog(profile),
        blocks=blocks(profile),
        after_miss=_after_miss(profile),
        points=tuple(_point(point) for point in profile.point),
        cap_offsets=cap_offsets(profile.caps),
        caps_counted_by=profile.caps.counted_by,
        run_states=tuple(RunStateRule(_conditions(rule.when), rule.state) for rule in profile.run_state),
        circulating=Circulating(
            profile.circulating.strength,
            _conditions(profile.circulating.when),
            Flow(flow.point, float(flow.at_least)) if flow else None,
        ),
        connected=_conditions(profile.connected.when) if profile.connected else (),
        alarms=tuple(AlarmRule(alarm.code, alarm.severity, _conditions(alarm.when)) for alarm in profile.alarm),
        verify=tuple(Verify(each.point, each.equals, _range(each.within)) for each in profile.verify),
        integrity=tuple(Integrity(each.point, each.inverse_of) for each in profile.integrity),
        continuity=ContinuityPoints(continuity.treatment, continuity.elapsed) if continuity else None,
        heartbeat=Heartbeat(heartbeat.point, heartbeat.still_s) if heartbeat else None,
        serial_number=profile.serial_number,
    )


def condition_of(text: str) -> PointCondition:
    """Parse `point.bit`, `point=number` or `point=low..high`, with an optional `!` in front as negation."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ValueError(f"no condition: {text}")
    negated, point, bit, low, high = found.groups()
    if bit is not None:
        return PointCondition(point, bool(negated), int(bit))
    return PointCondition(point, bool(negated), None, int(low), int(high or low))


def cap_offsets(caps: shape.Caps) -> tuple[int, ...]:
    """The register offset of each cap's points from those of the first cap."""
    if caps.offsets is not None:
        return caps.offsets
    return tuple(index * (caps.stride or 0) for index in range(caps.count))


def blocks(profile: AnyProfile) -> tuple[Block, ...]:
    """The exchanges of a poll: the register blocks, or each distinct command or variable of the points."""
    if isinstance(profile, ModbusProfile):
        return tuple(Block(block.name, _registers(block)) for block in profile.block)
    sources = {point.place.block: point.source for point in profile.point}
    return tuple(Block(name, source) for name, source in sources.items())


def _watchdog(profile: AnyProfile) -> Block | None:
    if isinstance(profile, LaudaProfile) and profile.watchdog:
        return Block("watchdog", profile.watchdog)
    return None


def _after_miss(profile: AnyProfile) -> Block | None:
    if isinstance(profile, ModbusProfile) and profile.after_miss:
        return Block("after-miss", _registers(profile.after_miss))
    return None


def _registers(span: RegisterSpan) -> Registers:
    return Registers(span.fc, span.address, span.count)


def _timing(timing: shape.TimingTable) -> Timing:
    return Timing(
        gap_s=timing.gap_ms / 1000,
        timeout_s=timing.timeout_ms / 1000,
        drain_s=timing.drain_ms / 1000,
        settle_after_open_s=timing.settle_after_open_ms / 1000,
        fastest_poll_s=timing.fastest_poll_ms / 1000,
    )


def _point(point: AnyPoint) -> Point:
    place = point.place
    return Point(
        name=point.name,
        scope=point.scope,
        block=place.block,
        at=place.at,
        type=point.kind,
        order=_order(point.order) if isinstance(point, RegisterPoint) else None,
        length=place.length,
        sentinels=frozenset[int | str](() if isinstance(point, NcPoint) else point.sentinels),
        scale=Fraction(point.scale),
        unit=_unit(point),
        range=_range(point.range),
        invalid_if=_conditions(point.invalid_if),
        stuck_after_s=point.stuck_after_s,
        max_k_per_min=None if point.max_k_per_min is None else float(point.max_k_per_min),
    )


def _unit(point: shape.PointTable) -> UnitName | UnitByBit | UnitByValue | None:
    match point.unit:
        case shape.UnitByBitTable() as by_bit:
            name, bit = by_bit.bit.split(".")
            return UnitByBit(name, int(bit), by_bit.zero, by_bit.one, Fraction(by_bit.one_scale or point.scale))
        case shape.UnitByValueTable() as by_value:
            return UnitByValue(by_value.from_, tuple((_key(text), unit) for text, unit in by_value.is_.items()))
        case unit:
            return unit


def _order(order: WordOrder | shape.OrderByValueTable | None) -> WordOrder | OrderByValue | None:
    if not isinstance(order, shape.OrderByValueTable):
        return order
    return OrderByValue(order.from_, tuple((_key(text), each) for text, each in order.is_.items()))


def _key(text: str) -> int | str:
    """A key of an `is` table, as an integer if it is one."""
    return int(text) if text.isdecimal() else text


def _conditions(texts: tuple[str, ...]) -> tuple[PointCondition, ...]:
    return tuple(condition_of(text) for text in texts)


def _range(bounds: shape.Range | None) -> tuple[float, float] | None:
    return (float(bounds[0]), float(bounds[1])) if bounds else None
