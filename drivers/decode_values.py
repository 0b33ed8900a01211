"""From what came on the wire to one typed value: sentinel, then type and order. Units by exact fractions. Pure."""

import re
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import msgspec

from drivers.dialects.base import Raw
from drivers.profile_model import PointType, ReplyKind, UnitName, WordOrder
from drivers.profile_types import Point, UnitByBit
from drivers.reading import Reason

Held = int | float | str | Reason  # a typed value, or why there is none
Reader = Callable[[Raw], Held]

_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d+)?")
_CODE = re.compile(r"([+-]?\d{2})\s+\S.*")  # number and words: a bare number is the late answer to another command
_FLOAT32 = struct.Struct(">f")

# canonical = value * factor + offset
_CONVERSIONS: dict[UnitName, tuple[str, Fraction, Fraction]] = {
    UnitName.CELSIUS: ("Cel", Fraction(1), Fraction(0)),
    UnitName.FAHRENHEIT: ("Cel", Fraction(5, 9), Fraction(-160, 9)),
    UnitName.BAR: ("bar", Fraction(1), Fraction(0)),
    UnitName.KILOPASCAL: ("bar", Fraction(1, 100), Fraction(0)),
    UnitName.MEGAPASCAL: ("bar", Fraction(10), Fraction(0)),
    UnitName.PSI: ("bar", Fraction("0.06894757293168"), Fraction(0)),
    UnitName.LITRES_PER_MINUTE: ("L/min", Fraction(1), Fraction(0)),
    UnitName.SECONDS: ("s", Fraction(1), Fraction(0)),
    UnitName.ONE: ("1", Fraction(1), Fraction(0)),
}


class Affine(msgspec.Struct, frozen=True):
    """`(value * a + b) / c`, whole numbers: one division, hence the nearest float to the exact result."""

    a: int
    b: int
    c: int

    def __call__(self, value: float) -> float:
        return (value * self.a + self.b) / self.c


def conversion(unit: UnitName, scale: Fraction) -> Affine:
    """Wire value to canonical unit."""
    _, factor, offset = _CONVERSIONS[unit]
    slope = scale * factor
    c = slope.denominator * offset.denominator
    return Affine(int(slope * c), int(offset * c), c)


def canonical_unit(point: Point) -> str:
    """The UCUM name of the unit that the point's value is given in."""
    match point.unit:
        case None:
            return "1"
        case UnitByBit(zero=unit):
            return _CONVERSIONS[unit][0]  # the other unit is of the same kind
        case unit:
            return _CONVERSIONS[unit][0]


def reader(point: Point, offset: int) -> Reader:
    """Takes the point out of its block; `offset` is how many registers further on its cap's points lie."""
    match point.type:
        case ReplyKind.DECIMAL | ReplyKind.CODE | ReplyKind.TEXT:
            return _text_reader(point)
        case PointType.ASCII:
            return _ascii_reader(point.at + offset, point.length)
        case PointType.INT32 | PointType.UINT32 | PointType.FLOAT32:
            return _two_word_reader(point, point.at + offset)
        case PointType.INT16 | PointType.UINT16 | PointType.BITS16:
            return _word_reader(point, point.at + offset)


def wire_value(point: Point, offset: int, block: Raw) -> int | str:
    """What came, for eyes: the word or words as an unsigned number in the point's order, or the text."""
    if isinstance(block, str):
        return block
    at = point.at + offset
    if point.type is PointType.ASCII:
        return _word_bytes(block[at : at + point.length]).hex(" ", 2).upper()
    return block[at] if point.length == 1 else _combined(block[at], block[at + 1], point.order)


def _word_reader(point: Point, at: int) -> Reader:
    sentinels = point.sentinels
    signed = point.type is PointType.INT16

    def read(block: Raw) -> Held:
        word = block[at]
        if isinstance(word, str):
            return Reason.UNPARSABLE
        if word in sentinels:
            return Reason.SENTINEL
        return word - 0x10000 if signed and word >= 0x8000 else word

    return read


def _two_word_reader(point: Point, at: int) -> Reader:
    sentinels, order, kind = point.sentinels, point.order, point.type

    def read(block: Raw) -> Held:
        high, low = block[at], block[at + 1]
        if isinstance(high, str) or isinstance(low, str):
            return Reason.UNPARSABLE
        value = _combined(high, low, order)
        if value in sentinels:
            return Reason.SENTINEL
        match kind:
            case PointType.FLOAT32:
                return _FLOAT32.unpack(value.to_bytes(4, "big"))[0]
            case PointType.INT32 if value >= 0x8000_0000:
                return value - 0x1_0000_0000
            case _:
                return value

    return read


def _ascii_reader(at: int, length: int) -> Reader:
    def read(block: Raw) -> Held:
        words = block[at : at + length]
        return Reason.UNPARSABLE if isinstance(words, str) else _ascii(words)

    return read


@lru_cache(maxsize=1024)
def _ascii(words: tuple[int, ...]) -> Held:
    """The text in registers; kept, because a unit's own texts hardly change from poll to poll."""
    try:
        text = _word_bytes(words).decode("ascii").rstrip("\0 ")
    except UnicodeDecodeError:
        return Reason.UNPARSABLE
    return text if text and text.isprintable() else Reason.UNPARSABLE


def _text_reader(point: Point) -> Reader:
    sentinels, kind = point.sentinels, point.type

    def read(block: Raw) -> Held:
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
            case _:
                return float(block) if _DECIMAL.fullmatch(block) else Reason.UNPARSABLE

    return read


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
