"""Decodes the raw blocks of a poll, by a profile that is compiled once. Pure.

Theory of operation. A two-pass decoder over an array of slots, one for each point (for points of caps one each cap).
Pass 1 fills the slots with typed values (sentinel, type, byte order); pass 2 makes measurements of those with a unit of
measurement (scale, unit, range, invalid_if). The first step that fails gives the reason. Then rules are evaluated over
the slots in three-valued (Kleene) logic: a condition on a slot without a value is None. No missing value is ever
replaced by 0 or by an earlier value.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec

from drivers.decode.cap import CapDecoder
from drivers.decode.rules import Measure, Rule, Slots, all_of, by_bit, by_value, either
from drivers.decode.values import CELSIUS, Affine, Reader, SlotValue, canonical_unit, conversion, reader, wire_value
from drivers.dialects.base import Raw
from drivers.profile.enums import Scope, UnitName
from drivers.profile.types import DeviceProfile, OrderByValue, Point, PointCondition, UnitByBit, UnitByValue
from drivers.reading import CapReading, Measurement, Quality, Reason


class PointValue(msgspec.Struct, frozen=True):
    """One point, raw and decoded, as `capgate probe` shows it."""

    name: str
    cap: int | None
    raw: int | str | None  # as on the wire, unsigned; None: its block was not read
    value: float | str | None
    unit: str
    quality: Quality
    reason: Reason | None


class Decoded(msgspec.Struct, frozen=True):
    """The decoded content of one poll."""

    caps: tuple[CapReading, ...]
    measurements: dict[str, Measurement]
    alarms: tuple[str, ...]
    serial_number: str | None
    slots: tuple[SlotValue, ...]  # typed values, in the order of `Decoder.slots`


class Slot(msgspec.Struct, frozen=True):
    """A point of the unit, or of one cap."""

    point: Point
    cap: int | None  # 1-based; None: of the unit
    offset: int


class _OrderedSlot(msgspec.Struct, frozen=True):
    """A slot whose byte order is chosen by the value of another."""

    index: int
    block: str
    order_index: int
    readers: Mapping[SlotValue, Reader]


class Decoder:
    """The decoder of one profile."""

    def __init__(self, profile: DeviceProfile) -> None:
        self._profile = profile
        self.slots = tuple(_slots(profile))
        self._index = {(slot.point.name, slot.cap): index for index, slot in enumerate(self.slots)}
        self._readers = {
            block.name: tuple(
                (index, reader(slot.point, slot.offset))
                for index, slot in enumerate(self.slots)
                if slot.point.block == block.name and not isinstance(slot.point.order, OrderByValue)
            )
            for block in profile.blocks
        }
        self._ordered_slots = tuple(
            self._ordered_slot(index, slot, slot.point.order)
            for index, slot in enumerate(self.slots)
            if isinstance(slot.point.order, OrderByValue)
        )
        self._measures = {
            (slot.point.name, slot.cap): self._measure(index)
            for index, slot in enumerate(self.slots)
            if slot.point.unit is not None
        }
        self._unit_measures = tuple((name, each) for (name, cap), each in self._measures.items() if cap is None)
        self._caps = tuple(self._cap(cap) for cap in range(1, profile.caps + 1))
        self._count_index = self._slot_of(profile.caps_counted_by, None) if profile.caps_counted_by else None
        self._serial_index = self._slot_of(profile.serial_number, None) if profile.serial_number else None
        self._alarms = tuple((alarm.code.value, self._anywhere(alarm.when)) for alarm in profile.alarms)
        self._alarm_indexes = self._indexes_of([each for alarm in profile.alarms for each in alarm.when])
        self._alarms_seen: tuple[tuple[SlotValue, ...], tuple[str, ...]] = ((), ())

    def decode(self, raws: Mapping[str, Raw]) -> Decoded:
        """Decode raw answers, by block name. The points of a missing block are bad."""
        slots = self._typed(raws)
        measurements = {name: measure(slots) for name, measure in self._unit_measures}
        present = self._present(slots)
        return Decoded(
            caps=tuple(cap(slots, measurements) if cap.number <= present else cap.absent for cap in self._caps),
            measurements=measurements,
            alarms=self._alarms_in(slots),
            serial_number=self._serial_number(slots),
            slots=tuple(slots),
        )

    def points(self, raws: Mapping[str, Raw]) -> tuple[PointValue, ...]:
        """Every point, without those of caps that the unit does not have."""
        slots = self._typed(raws)
        present = self._present(slots)
        return tuple(
            self._point_value(slot, slots, raws.get(slot.point.block))
            for slot in self.slots
            if slot.cap is None or slot.cap <= present
        )

    def foreign(self, slots: Slots) -> str | None:
        """Why the unit is not of this kind; None if nothing contradicts it. Points without a value are ignored."""
        for verify in self._profile.verify:
            held = slots[self._slot_of(verify.point, None)]
            measure = self._measures.get((verify.point, None))
            if isinstance(held, str):
                continue
            if verify.equals is not None and held != verify.equals:
                return f"{verify.point} is {held}, not {verify.equals}"
            if verify.within is not None:
                low, high = verify.within
                value = held if measure is None else self._plausible(verify.point, slots)
                if value is not None and math.isfinite(value) and not low <= value <= high:
                    return f"{verify.point} is {value:g}, not within {low:g} to {high:g}"
        return None

    def corrupt(self, slots: Slots) -> str | None:
        """The pair of words whose integrity check fails, as text; None if none does."""
        for integrity in self._profile.integrity:
            word, inverse = (slots[self._slot_of(name, None)] for name in (integrity.point, integrity.inverse_of))
            if isinstance(word, int) and isinstance(inverse, int) and word ^ inverse != 0xFFFF:
                return f"{integrity.inverse_of} is {inverse:04X}, not the inverse of {integrity.point} {word:04X}"
        return None

    def _alarms_in(self, slots: Slots) -> tuple[str, ...]:
        """The raised alarms; cached until a slot that they depend on changes."""
        evidence = tuple([slots[index] for index in self._alarm_indexes])
        if not self._alarms_seen[0] or evidence != self._alarms_seen[0]:
            self._alarms_seen = evidence, tuple(dict.fromkeys(code for code, rule in self._alarms if rule(slots)))
        return self._alarms_seen[1]

    def _indexes_of(self, conditions: Sequence[PointCondition]) -> tuple[int, ...]:
        """The indexes of all slots, of any cap, that the conditions refer to."""
        names = {condition.point for condition in conditions}
        return tuple(index for index, slot in enumerate(self.slots) if slot.point.name in names)

    def _typed(self, raws: Mapping[str, Raw]) -> list[SlotValue]:
        slots: list[SlotValue] = [Reason.NOT_READ] * len(self.slots)
        for block, readers in self._readers.items():
            raw = raws.get(block)
            if raw is not None:
                for index, read in readers:
                    slots[index] = read(raw)
        for ordered in self._ordered_slots:
            raw = raws.get(ordered.block)
            if raw is not None:
                read = ordered.readers.get(slots[ordered.order_index])
                slots[ordered.index] = read(raw) if read else Reason.UNPARSABLE
        return slots

    def _ordered_slot(self, index: int, slot: Slot, order: OrderByValue) -> _OrderedSlot:
        readers: dict[SlotValue, Reader] = {
            value: reader(msgspec.structs.replace(slot.point, order=each), slot.offset) for value, each in order.orders
        }
        return _OrderedSlot(index, slot.point.block, self._slot_of(order.point, slot.cap), readers)

    def _present(self, slots: Slots) -> int:
        """The number of caps that the unit reports; the profile's maximum if it reports none or an invalid one."""
        count = None if self._count_index is None else slots[self._count_index]
        return count if isinstance(count, int) and 1 <= count <= len(self._caps) else len(self._caps)

    def _serial_number(self, slots: Slots) -> str | None:
        held = None if self._serial_index is None else slots[self._serial_index]
        return None if held is None or isinstance(held, Reason) else str(held)

    def _point_value(self, slot: Slot, slots: Slots, block: Raw | None) -> PointValue:
        name = slot.point.name
        raw = None if block is None else wire_value(slot.point, slot.offset, block)
        measure = self._measures.get((name, slot.cap))
        if measure is not None:
            shown = measure(slots)
            return PointValue(name, slot.cap, raw, shown.value, shown.unit, shown.quality, shown.reason)
        held = slots[self._slot_of(name, slot.cap)]
        if isinstance(held, Reason):
            return PointValue(name, slot.cap, raw, None, "1", Quality.BAD, held)
        return PointValue(name, slot.cap, raw, held, "1", Quality.GOOD, None)

    def _slot_of(self, name: str, cap: int | None) -> int:
        """The index of the slot `name` of the cap, else of the unit."""
        index = self._index.get((name, cap))
        return self._index[(name, None)] if index is None else index

    def _plausible(self, name: str, slots: Slots) -> float | None:
        """A value in its canonical unit, even out of range; None for any other fault."""
        index = self._slot_of(name, None)
        held, slot = slots[index], self.slots[index]
        line = self._conversion(slot)(slots)
        if isinstance(held, str) or isinstance(line, Reason) or self._any(slot.point.invalid_if, None)(slots):
            return None
        return line(held)

    def _conversion(self, slot: Slot) -> Callable[[Slots], Affine | Reason]:
        point = slot.point
        match point.unit:
            case UnitByBit(name, bit, zero, one, one_scale):
                lines = (conversion(zero, point.scale), conversion(one, one_scale))
                index = self._slot_of(name, slot.cap)
                return lambda slots: by_bit(slots[index], bit, lines)
            case UnitByValue(name, units):
                lines = {value: conversion(unit, point.scale) for value, unit in units}
                index = self._slot_of(name, slot.cap)
                return lambda slots: by_value(slots[index], lines)
            case unit:
                line = conversion(unit or UnitName.ONE, point.scale)
                return lambda slots: line

    def _measure(self, index: int) -> Measure:
        slot = self.slots[index]
        point = slot.point
        low, high = point.range or (-math.inf, math.inf)
        unit = canonical_unit(point)
        conversion_of = self._conversion(slot)
        fixed = None if isinstance(point.unit, UnitByBit | UnitByValue) else conversion_of(())
        is_invalid = self._any(point.invalid_if, slot.cap) if point.invalid_if else None
        missing = {reason: Measurement(None, unit, Quality.BAD, reason) for reason in Reason}

        def measure(slots: Slots) -> Measurement:
            held = slots[index]
            if isinstance(held, str):
                return missing[held if isinstance(held, Reason) else Reason.UNPARSABLE]
            line = fixed or conversion_of(slots)
            if isinstance(line, Reason):
                return missing[line]
            value = (held * line.a + line.b) / line.c
            if not low <= value <= high:
                return missing[Reason.OUT_OF_RANGE if math.isfinite(value) else Reason.NOT_FINITE]
            if is_invalid is None:
                return Measurement(value, unit)
            match is_invalid(slots):
                case True:
                    return missing[Reason.PROBE_FAULT]
                case None:  # unknown whether the sensor is faulty
                    return Measurement(value, unit, Quality.SUSPECT, Reason.UNPARSABLE)
                case False:
                    return Measurement(value, unit)

        return measure

    def _all(self, conditions: tuple[PointCondition, ...], cap: int | None) -> Rule:
        return all_of(tuple((self._slot_of(each.point, cap), each) for each in conditions))

    def _any(self, conditions: tuple[PointCondition, ...], cap: int | None) -> Rule:
        rules = tuple(self._all((condition,), cap) for condition in conditions)
        return rules[0] if len(rules) == 1 else lambda slots: either([rule(slots) for rule in rules])

    def _anywhere(self, conditions: tuple[PointCondition, ...]) -> Rule:
        """The rule of an alarm: true if the conditions hold for any cap, or for the unit if no cap's point is used."""
        of_caps = {slot.point.name for slot in self.slots if slot.cap is not None}
        if not any(condition.point in of_caps for condition in conditions):
            return self._all(conditions, None)
        rules = tuple(self._all(conditions, cap) for cap in range(1, self._profile.caps + 1))
        return lambda slots: either([rule(slots) for rule in rules])

    def _cap(self, cap: int) -> CapDecoder:
        profile = self._profile
        own = tuple(
            (name, measure)
            for (name, of_cap), measure in self._measures.items()
            if of_cap == cap and self._is_temperature(name, cap)
        )
        # Unit-scope temperatures apply to the coolant of all caps. A set point is not a measured temperature.
        shared = tuple(
            name for name, _ in self._unit_measures if self._is_temperature(name, None) and name != "setpoint"
        )
        continuity = profile.continuity
        flow = profile.circulating.flow
        when = profile.circulating.when
        return CapDecoder(
            number=cap,
            run_states=tuple((self._all(rule.when, cap), rule.state) for rule in profile.run_states),
            connected=self._all(profile.connected, cap) if profile.connected else None,
            circulating=self._all(when, cap) if when else None,
            flow=(self._measure(self._slot_of(flow.point, cap)), flow.at_least) if flow else None,
            own=own,
            shared=shared,
            treatment=self._slot_of(continuity.treatment, cap) if continuity else None,
            elapsed=self._slot_of(continuity.elapsed, cap) if continuity else None,
        )

    def _is_temperature(self, name: str, cap: int | None) -> bool:
        return canonical_unit(self.slots[self._slot_of(name, cap)].point) == CELSIUS


def _slots(profile: DeviceProfile) -> list[Slot]:
    slots: list[Slot] = []
    for point in profile.points:
        match point.scope:
            case Scope.UNIT:
                slots.append(Slot(point, None, 0))
            case Scope.CAP:
                slots += [Slot(point, cap, offset) for cap, offset in enumerate(profile.cap_offsets, start=1)]
    return slots
