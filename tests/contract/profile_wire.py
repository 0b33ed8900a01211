"""What the tests of profiles know of each dialect's wire, apart from the dialects' own code."""

import struct
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from drivers.dialects.base import Exceptional, Query, Raw, Reply
from drivers.dialects.registry import DialectName, dialect
from drivers.profile import shape
from drivers.profile.dialect_shapes import SHAPES, AnyProfile
from drivers.profile.enums import ByteKind, PointType, ReplyKind, WordOrder
from drivers.profile.load import DeviceProfile, load_profile
from drivers.profile.types import Block, OrderByValue, Point
from drivers.toml.document import load_toml, read_toml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "config" / "profiles").glob("*.toml"))
FILES = [*SHIPPED, ROOT / "docs" / "devices" / "example-unit.toml"]
TRANSACTION = 1  # that of the worked exchanges in Modbus TCP


class Wire(msgspec.Struct, frozen=True):
    """One dialect's frames, by its document."""

    in_hex: bool  # how golden frames are written
    what_is_asked: Callable[[bytes], str]  # function code, command or family
    reads: frozenset[str]


def _text(frame: bytes) -> str:
    return frame.decode("ascii").rstrip("\r\n")


_NC_READS = ("09", "10", "20", "28", "70")
_FUNCTIONS = frozenset({"function 3", "function 4"})
WIRES: dict[DialectName, Wire] = {
    DialectName.MODBUS_RTU: Wire(True, lambda frame: f"function {frame[1]}", _FUNCTIONS),
    DialectName.MODBUS_TCP: Wire(True, lambda frame: f"function {frame[7]}", _FUNCTIONS),
    DialectName.MODBUS_ASCII: Wire(False, lambda frame: f"function {int(frame[3:5], 16)}", _FUNCTIONS),
    DialectName.JULABO: Wire(
        False, lambda frame: _text(frame).rstrip("0123456789").rstrip("_"), frozenset({"IN_PV", "IN_MODE", "STATUS"})
    ),
    DialectName.LAUDA: Wire(
        False,
        lambda frame: _text(frame).rstrip("0123456789").rstrip("_"),
        frozenset({"IN_PV", "IN_SP", "IN_MODE", "STATUS", "STAT"}),
    ),
    DialectName.HUBER_PB: Wire(  # a value where the stars stand would set the variable
        False, lambda frame: "read" if frame[:2] == b"{M" and frame[4:] == b"****\r\n" else "write", frozenset({"read"})
    ),
    DialectName.NC: Wire(  # data behind the length of 0 would set something
        True,
        lambda frame: f"{frame[3]:02X} {frame[4]}",
        frozenset(f"{command:02X} 0" for command in (0x00, 0x09, 0x10, 0x20, 0x21, 0x28, 0x29, 0x40, 0x60, 0x70)),
    ),
    DialectName.POLYSCIENCE: Wire(False, _text, frozenset({"RT", "RS", "RU", "RW", "RF", "RL", "RK"})),
    DialectName.NC: Wire(
        True, lambda frame: f"{frame[3]:02X}, {frame[4]} bytes", frozenset(f"{each}, 0 bytes" for each in _NC_READS)
    ),
    DialectName.HUBER_PB: Wire(False, lambda frame: f"{_text(frame)[:2]}{_text(frame)[4:]}", frozenset({"{M****"})),
    DialectName.LAUDA: Wire(
        False,
        lambda frame: _text(frame).rstrip("0123456789").rstrip("_"),
        frozenset({"IN_PV", "IN_SP", "IN_MODE", "STATUS", "STAT"}),
    ),
}


def profile_shape(path: Path) -> AnyProfile:
    """The file as it is written."""
    return load_toml(path, SHAPES[str(read_toml(path).data["dialect"])])


def golden_cases() -> list[object]:
    """Every golden poll of every profile, as parameters (path, golden)."""
    return [
        pytest.param(path, each, id=f"{path.stem}: {each.source}")
        for path in FILES
        for each in profile_shape(path).golden
    ]


def frame_bytes(profile: DeviceProfile, text: str) -> bytes:
    """A golden frame's bytes."""
    return bytes.fromhex(text) if WIRES[profile.dialect].in_hex else text.encode("ascii")


def asked_by(profile: DeviceProfile, frame: bytes) -> tuple[Block, Query]:
    """The block whose request, as the dialect encodes it, is exactly the frame."""
    unit_id = profile.address.default if profile.address else None
    for block in profile.blocks:
        query = block.query(unit_id)
        if dialect(profile.dialect).encode(query, TRANSACTION) == frame:
            return block, query
    pytest.fail(f"no block of {profile.id} asks {frame!r}")


def answers(profile: DeviceProfile, golden: shape.Golden) -> dict[str, Raw | Exceptional]:
    """What the dialect makes of the replies, by block."""
    found: dict[str, Raw | Exceptional] = {}
    for exchange in golden.exchanges:
        block, query = asked_by(profile, frame_bytes(profile, exchange.tx))
        frame = frame_bytes(profile, exchange.rx)
        verdict = dialect(profile.dialect).scan(frame, query, TRANSACTION)
        assert isinstance(verdict, Reply | Exceptional), f"{verdict} for {exchange.rx}"
        assert verdict.consumed == len(frame)
        found[block.name] = verdict.raw if isinstance(verdict, Reply) else verdict
    return found


def good_poll(path: Path) -> dict[str, Raw]:
    """The first golden poll: a unit that is well, below zero."""
    golden = profile_shape(path).golden[0]
    assert not golden.expect.exception, "the first golden poll is of a unit that is well"
    raws = answers(load_profile(path), golden)
    return {name: each for name, each in raws.items() if not isinstance(each, Exceptional)}


def with_raw(raws: dict[str, Raw], point: Point, raw: int | str | bytes) -> dict[str, Raw]:
    """A poll in which the point is on the wire as `raw`: a reply's text or bytes, or a number in its registers."""
    block = raws[point.block]
    if isinstance(raw, bytes):
        return {**raws, point.block: tuple(raw)}
    if isinstance(block, str):
        return {**raws, point.block: str(raw)}
    assert isinstance(raw, int)
    if isinstance(point.type, ByteKind):
        return {**raws, point.block: tuple(raw.to_bytes(3, "big"))}
    words = struct.unpack(f">{point.length}H", raw.to_bytes(2 * point.length, "big"))
    words = _in_order(words, point)
    return {**raws, point.block: (*block[: point.at], *words, *block[point.at + point.length :])}


def _in_order(words: tuple[int, ...], point: Point) -> tuple[int, ...]:
    order = point.order
    if isinstance(order, OrderByValue):
        order = order.orders[0][1]  # the one that a good poll tells
    match order:
        case None | WordOrder.ABCD:
            return words
        case WordOrder.CDAB:
            return words[::-1]
        case other:
            pytest.fail(f"no vector for {other}: write one")


def raw_number(point: Point, value: Decimal) -> int | str | bytes:
    """What stands on the wire for `value` before scale and unit; a qualified one names tenths of a degree Celsius."""
    match point.type:
        case ByteKind.QUALIFIED:
            return struct.pack(">Bh", 0x11, int(value * 10))
        case PointType.INT16:
            return int(value) & 0xFFFF
        case PointType.FLOAT32:
            return int.from_bytes(struct.pack(">f", float(value)), "big")
        case ByteKind.QUALIFIED:  # 0.1 degC
            return 0x11_0000 | int(value * 10) & 0xFFFF
        case ReplyKind.DECIMAL | ReplyKind.SIGNED:
            return str(value)
        case other:
            pytest.fail(f"no negative vector for {other}: write one")
