"""Numbers as 16-bit registers."""

import struct
from collections.abc import Mapping

from drivers.dialects.base import ModbusQuery, Refusal


def uint16(value: int) -> int:
    """`value` as a counter that wraps past 65535."""
    return value & 0xFFFF


def int16(value: int) -> int:
    """`value` in two's complement, clamped to -32767..32767: -420 is 0xFE5C."""
    return max(-0x7FFF, min(0x7FFF, value)) & 0xFFFF


def uint32_high_first(value: int) -> tuple[int, int]:
    """`value` as two registers, the high word first."""
    return uint16(value >> 16), uint16(value)


def float_high_first(value: float) -> tuple[int, int]:
    """`value` as a 32-bit float in two registers, the high word first: -4.0 is C080 0000."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


def bits(flags: Mapping[int, bool]) -> int:
    """A register from its bits: {0: True, 2: True} is 5."""
    return sum(1 << bit for bit, is_set in flags.items() if is_set)


def window(words: tuple[int, ...], query: ModbusQuery) -> tuple[int, ...] | Refusal:
    """The requested words of those from address 0 on; exception 02 past their end, 03 for a count of 0."""
    if query.count == 0:
        return Refusal(3)
    if query.address + query.count > len(words):
        return Refusal(2)
    return words[query.address : query.address + query.count]


def listed(registers: Mapping[int, int], query: ModbusQuery) -> tuple[int, ...] | Refusal:
    """The requested words; exception 02 if one of them is not in `registers`, 03 for a count of 0."""
    if query.count == 0:
        return Refusal(3)
    wanted = range(query.address, query.address + query.count)
    if any(address not in registers for address in wanted):
        return Refusal(2)
    return tuple(registers[address] for address in wanted)
