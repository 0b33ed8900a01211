"""Decodes one value from the wire (sentinel, type, byte order), and converts units by exact fractions. Pure."""

import re
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import msgspec

from drivers.dialects.base import Raw
from drivers.profile.enums import ByteKind, PointType, ReplyKind, UnitName, WordOrder
from drivers.profile.types import OrderByValue, Point, UnitByBit, UnitByValue
from drivers.reading import Reason

SlotValue = int | float | str | Reason  # the content of a slot: a typed value, or why there is none
Reader = Callable[[Raw], SlotValue]

CELSIUS = "Cel"

_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d+)?")
_SIGNED = re.compile(r"[+-]\d+(?:\.\d+)?")
_DIGITS = re.compile(r"\d{1,6}")
_FLAGS = re.compile(r"[01]{5,16}")  # fewer digits could be a late answer to another command
_CODE = re.compile(r"([+-]?\d{2})\s+\S.*")  # number and text: a bare number could be a late answer to another command
_FLOAT32 = struct.Struct(">f")
# -4.0 read with the wrong word or byte order is a number such as 1e-40, which must not pass for 0 degrees.
_LEAST_TEMPERATURE = 1e-6

# canonical = value * factor + offset
_CONVERSIONS: dict[UnitName, tuple[str, Fraction, Fraction]] = {
    UnitName.CELSIUS: ("Cel", Fraction(1), Fraction(0)),
    UnitName.FAHRENHEIT: ("Cel", Fraction(5, 9), Fraction(-160, 9)),
    UnitName.BAR: ("bar", Fraction(1), Fraction(0)),
    UnitName.KILOPASCAL: ("bar", Fraction(1, 100), Fraction(0)),
    UnitName.MEGAPASCAL: ("bar", Fraction(10), Fraction(0)),
    UnitName.PSI: ("bar", Fraction("0.06894757293168"), Fraction(0)),
    UnitName.LITRES_PER_MINUTE: ("L/min", Fraction(1), Fraction(0)),
    UnitName.GALLONS_PER_MINUTE: ("L/min", Fraction("3.785411784"), Fraction(0)),
    UnitName.SECONDS: ("s", Fraction(1), Fraction(0)),
    UnitName.ONE: ("1", Fraction(1), Fraction(0)),
}


# The low half of an NC value's qualifier (NESLAB EX manual, p. 53; ThermoFlex manual, D-3).
_QUALIFIER_UNITS = {
    1: UnitName.CELSIUS,
    2: UnitName.FAHRENHEIT,
    3: UnitName.LITRES_PER_MINUTE,
    4: UnitName.GALLONS_PER_MINUTE,
    6: UnitName.PSI,
    7: UnitName.BAR,
    11: UnitName.KILOPASCAL,
}
_MOST_DECIMALS = 4
_QUALIFIED_LENGTHS = (3, 5)  # with the qualifier


class Affine(msgspec.Struct, frozen=True):
    """`(value * a + b) / c` with integers: a single division, so the result is the correctly rounded float."""

    a: int
    b: int
    c: int

    def __call__(self, value: float) -> float:
        return (value * self.a + self.b) / self.c


def conversion(unit: UnitName, scale: Fraction) -> Affine:
    """The conversion of a wire value to the canonical unit."""
    _, factor, offset = _CONVERSIONS[unit]
    slope = scale * factor
    c = slope.denominator * offset.denominator
    return Affine(int(slope * c), int(offset * c), c)


def canonical_unit(point: Point) -> str:
    """The canonical unit of the point's value, in UCUM."""
    match point.unit:
        case None:
            return "1"
        case UnitByBit(zero=unit):
            return _CONVERSIONS[unit][0]  # the unit of the other bit value converts to the same one
        case UnitByValue(units=units):
            return _CONVERSIONS[units[0][1]][0]  # all units of the table convert to the same one
        case unit:
            return _CONVERSIONS[unit][0]


def reader(point: Point, offset: int) -> Reader:
    """A function that decodes the point from its block; `offset` is its cap's register offset."""
    match point.type:
        case ReplyKind():
            return _text_reader(point)
        case ByteKind.BITS8:
            return _byte_reader(point.at)
        case ByteKind.QUALIFIED:
            return _qualified_reader(point)
        case PointType.ASCII:
            return _ascii_reader(point.at + offset, point.length)
        case PointType.INT32 | PointType.UINT32 | PointType.FLOAT32:
            return _two_word_reader(point, point.at + offset)
        case PointType.INT16 | PointType.UINT16 | PointType.BITS16:
            return _word_reader(point, point.at + offset)


def wire_value(point: Point, offset: int, block: Raw) -> int | str:
    """The raw value for display: the word or words as an unsigned number in the point's byte order, or the text."""
    if isinstance(block, str):
        return block
    at = point.at + offset
    if isinstance(point.type, ByteKind):
        return bytes(block[at : at + point.length]).hex(" ").upper()
    if point.type is PointType.ASCII:
        return _word_bytes(block[at : at + point.length]).hex(" ", 2).upper()
    return block[at] if point.length == 1 else _combined(block[at], block[at + 1], _known_order(point))


def _word_reader(point: Point, at: int) -> Reader:
    sentinels = point.sentinels
    signed = point.type is PointType.INT16

    def read(block: Raw) -> SlotValue:
        word = block[at]
        if isinstance(word, str):
            return Reason.UNPARSABLE
        if word in sentinels:
            return Reason.SENTINEL
        return word - 0x10000 if signed and word >= 0x8000 else word

    return read


def _byte_reader(at: int) -> Reader:
    def read(block: Raw) -> SlotValue:
        byte = block[at] if at < len(block) else Reason.UNPARSABLE  # some models report fewer bytes
        return byte if isinstance(byte, int) else Reason.UNPARSABLE

    return read


def _qualified_reader(point: Point) -> Reader:
    """A decoder of qualified NC values: the qualifier gives decimals and unit; converts to the canonical unit."""
    lines = {
        decimals << 4 | nibble: conversion(unit, Fraction(1, 10**decimals))
        for nibble, unit in _QUALIFIER_UNITS.items()
        for decimals in range(_MOST_DECIMALS + 1)
        if _CONVERSIONS[unit][0] == canonical_unit(point)
    }

    def read(block: Raw) -> SlotValue:
        if isinstance(block, str) or len(block) not in _QUALIFIED_LENGTHS or block[0] not in lines:
            return Reason.UNPARSABLE
        return lines[block[0]](int.from_bytes(block[1:], "big", signed=True))

    return read


def _known_order(point: Point) -> WordOrder | None:
    """The byte order; None if another point chooses it."""
    return None if isinstance(point.order, OrderByValue) else point.order


def _two_word_reader(point: Point, at: int) -> Reader:
    sentinels, order, kind = point.sentinels, _known_order(point), point.type
    least = _LEAST_TEMPERATURE if canonical_unit(point) == CELSIUS else 0.0

    def read(block: Raw) -> SlotValue:
        high, low = block[at], block[at + 1]
        if isinstance(high, str) or isinstance(low, str):
            return Reason.UNPARSABLE
        value = _combined(high, low, order)
        if value in sentinels:
            return Reason.SENTINEL
        match kind:
            case PointType.FLOAT32:
                number: float = _FLOAT32.unpack(value.to_bytes(4, "big"))[0]
                return Reason.UNPARSABLE if 0 < abs(number) < least else number
            case PointType.INT32 if value >= 0x8000_0000:
                return value - 0x1_0000_0000
            case _:
                return value

    return read


def _ascii_reader(at: int, length: int) -> Reader:
    def read(block: Raw) -> SlotValue:
        words = block[at : at + length]
        return Reason.UNPARSABLE if isinstance(words, str) else _ascii(words)

    return read


@lru_cache(maxsize=1024)
def _ascii(words: tuple[int, ...]) -> SlotValue:
    """The ASCII text in registers; cached, since a unit's texts rarely change."""
    try:
        text = _word_bytes(words).decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        return Reason.UNPARSABLE
    return text if text and text.isprintable() else Reason.UNPARSABLE


def _text_reader(point: Point) -> Reader:
    sentinels, kind = point.sentinels, point.type

    def read(block: Raw) -> SlotValue:
        if not isinstance(block, str):
            return Reason.UNPARSABLE
        if block in sentinels:
            return Reason.SENTINEL
        match kind:
            case ReplyKind.TEXT:
                return block if block else Reason.UNPARSABLE
            case ReplyKind.CODE:
                found = _CODE.fullmatch(block)
                return int(found[1]) if found else Reason.UNPARSABLE
            case ReplyKind.FLAGS:
                return int(block[::-1], 2) if _FLAGS.fullmatch(block) else Reason.UNPARSABLE
            case ReplyKind.DIGITS:
                return int(block) if _DIGITS.fullmatch(block) else Reason.UNPARSABLE
            case ReplyKind.SIGNED:
                return float(block) if _SIGNED.fullmatch(block) else Reason.UNPARSABLE
            case _:
                return float(block) if _DECIMAL.fullmatch(block) else Reason.UNPARSABLE

    return read


def number(text: Raw) -> float | None:
    """The decimal number in a reply; None if it is not a number."""
    return float(text) if isinstance(text, str) and _DECIMAL.fullmatch(text) else None


def _combined(first: int, second: int, order: WordOrder | None) -> int:
    match order:
        case WordOrder.CDAB:
            return second << 16 | first
        case WordOrder.BADC:
            return _swapped(first) << 16 | _swapped(second)
        case WordOrder.DCBA:
            return _swapped(second) << 16 | _swapped(first)
        case _:
            return first << 16 | second


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8


def _word_bytes(words: tuple[int, ...]) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)
