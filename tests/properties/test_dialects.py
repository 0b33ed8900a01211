"""Properties of the Modbus dialects: never raise, accept only valid frames, decode what they encode.

The checks here are written from the standard, bit by bit, and share no code with the dialects.
"""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.pdu import DecodePDU

from drivers.dialects.base import (
    Dialect,
    Exceptional,
    ModbusQuery,
    NeedMore,
    Query,
    Refusal,
    Reject,
    Reply,
    Request,
    TextQuery,
    Verdict,
)
from drivers.dialects.registry import DialectName, dialect

RTU, ASCII, TCP, JULABO = (
    dialect(name)
    for name in (DialectName.MODBUS_RTU, DialectName.MODBUS_ASCII, DialectName.MODBUS_TCP, DialectName.JULABO)
)
GOLDEN_QUERY = ModbusQuery(1, 3, 1, 1)
GOLDEN_REPLY = bytes.fromhex("01 03 02 FF D5 38 2B")


def crc(data: bytes) -> int:
    """CRC-16 of Modbus RTU, one bit at a time."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register


def registers_in(data: bytes) -> tuple[int, ...]:
    return tuple(data[place] * 256 + data[place + 1] for place in range(0, len(data), 2))


def rtu_agrees(frame: bytes, query: ModbusQuery) -> bool:
    size = 2 * query.count
    return (
        len(frame) == size + 5
        and frame[0] == query.unit_id != 0
        and frame[1] == query.function
        and frame[2] == size
        and crc(frame[:-2]) == frame[-1] * 256 + frame[-2]
    )


def ascii_agrees(frame: bytes, query: ModbusQuery) -> bool:
    text = frame.decode("ascii")
    if text[0] != ":" or text[-2:] != "\r\n":
        return False
    message = bytes(int(text[place : place + 2], 16) for place in range(1, len(text) - 2, 2))
    size = 2 * query.count
    return list(message[:3]) == [query.unit_id, query.function, size] and sum(message) % 256 == 0


def tcp_agrees(frame: bytes, query: ModbusQuery, transaction: int) -> bool:
    size = 2 * query.count
    header = [transaction // 256, transaction % 256, 0, 0, (size + 3) // 256, (size + 3) % 256]
    return list(frame[:9]) == [*header, query.unit_id, query.function, size] and len(frame) == size + 9


units = st.integers(1, 247)
register_queries = st.builds(
    ModbusQuery, units, st.sampled_from([3, 4]), st.integers(0, 65535 - 125), st.integers(1, 125)
)
small_queries = st.builds(ModbusQuery, st.integers(0, 2), st.sampled_from([3, 4]), st.integers(0, 3), st.integers(1, 2))
transactions = st.integers(0, 65535)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[ModbusQuery, tuple[int, ...]]:
    """A query with a right answer to it."""
    function = draw(st.integers(1, 4))
    bits = function in (1, 2)
    count = draw(st.integers(1, 300 if bits else 125))
    values = st.integers(0, 1 if bits else 65535)
    query = ModbusQuery(draw(units), function, draw(st.integers(0, 60000)), count)
    return query, tuple(draw(st.lists(values, min_size=count, max_size=count)))


@st.composite
def almost_frames(draw: st.DrawFn) -> bytes:
    """Bytes that look like traffic: random ones, pieces of frames, frames of anyone, damaged or not."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 5))):
        codec = draw(st.sampled_from([RTU, ASCII, TCP]))
        query = draw(small_queries)
        request = Request(0, query, draw(st.integers(0, 2)))
        whole = codec.encode_reply(request, (draw(st.integers(0, 65535)),) * query.count)
        damaged = bytearray(whole)
        if draw(st.booleans()):
            damaged[draw(st.integers(0, len(whole) - 1))] ^= 1 << draw(st.integers(0, 7))
        cut = draw(st.integers(0, len(whole)))
        text = draw(st.sampled_from([b"-4.2\r\n", b"\n", b"IN_PV_00\r", b"A001_4.2\n", b":", b"\r\n"]))
        pieces.append(draw(st.sampled_from([whole, bytes(damaged), whole[:cut], whole[cut:], text])))
        pieces.append(draw(st.binary(max_size=6)))
    return b"".join(pieces)


garbage = st.one_of(st.binary(max_size=300), almost_frames())


def run_dry(codec: Dialect, buffer: bytes, query: Query, transaction: int) -> list[tuple[bytes, Verdict]]:
    """Every verdict with the bytes that it consumed, until NeedMore."""
    verdicts: list[tuple[bytes, Verdict]] = []
    while not isinstance(verdict := codec.scan(buffer, query, transaction), NeedMore):
        assert 0 < verdict.consumed <= len(buffer)
        verdicts.append((buffer[: verdict.consumed], verdict))
        buffer = buffer[verdict.consumed :]
    return verdicts


@pytest.mark.slow
@given(garbage, small_queries, st.integers(0, 2))
@settings(max_examples=1000)
def test_nothing_is_accepted_that_an_independent_check_does_not_accept(
    buffer: bytes, query: ModbusQuery, transaction: int
) -> None:
    for consumed, verdict in run_dry(RTU, buffer, query, transaction):
        if isinstance(verdict, Reply):
            assert rtu_agrees(consumed, query)
            assert verdict.raw == registers_in(consumed[3:-2])
    for consumed, verdict in run_dry(ASCII, buffer, query, transaction):
        if isinstance(verdict, Reply):
            assert ascii_agrees(consumed, query)
            assert verdict.raw == registers_in(bytes.fromhex(consumed[7:-4].decode()))
    for consumed, verdict in run_dry(TCP, buffer, query, transaction):
        if isinstance(verdict, Reply):
            assert tcp_agrees(consumed, query, transaction)
            assert verdict.raw == registers_in(consumed[9:])


@given(garbage, st.sampled_from([TextQuery("in_pv_00"), TextQuery("in_pv_00", 1)]))
def test_a_text_reply_is_a_whole_readable_line(buffer: bytes, query: TextQuery) -> None:
    for consumed, verdict in run_dry(JULABO, buffer, query, 0):
        if isinstance(verdict, Reply):
            assert consumed.endswith(b"\n")
            assert isinstance(verdict.raw, str)
            assert verdict.raw
            assert all(" " <= character <= "~" for character in verdict.raw)


@given(garbage, st.sampled_from([RTU, ASCII, TCP, JULABO]))
def test_a_unit_gets_past_anything_without_an_error(buffer: bytes, codec: Dialect) -> None:
    while not isinstance(verdict := codec.scan_request(buffer), NeedMore):
        assert 0 < verdict.consumed <= len(buffer)
        buffer = buffer[verdict.consumed :]


@given(exchanges(), transactions, st.sampled_from([RTU, ASCII, TCP]))
def test_what_one_role_sends_the_other_reads(
    exchange: tuple[ModbusQuery, tuple[int, ...]], transaction: int, codec: Dialect
) -> None:
    query, answer = exchange
    request = codec.encode(query, transaction)
    heard = codec.scan_request(request)
    assert isinstance(heard, Request)
    assert (heard.consumed, heard.query) == (len(request), query)
    reply = codec.encode_reply(heard, answer)
    assert codec.scan(reply, query, transaction) == Reply(len(reply), answer)
    refusal = codec.encode_reply(heard, Refusal(6))
    assert codec.scan(refusal, query, transaction) == Exceptional(len(refusal), 6)


@given(st.text("abcdefghij_0123456789", min_size=1, max_size=20), st.integers(0, 127) | st.none())
def test_what_a_text_unit_is_told_is_what_was_asked(command: str, unit_id: int | None) -> None:
    request = JULABO.encode(TextQuery(command, unit_id), 0)
    scanned = JULABO.scan_request(request)
    assert isinstance(scanned, Request)
    assert scanned == Request(len(request), TextQuery(command.upper(), unit_id))
    reply = JULABO.encode_reply(scanned, "-4.2")
    assert JULABO.scan(reply, TextQuery(command, unit_id), 0) == Reply(len(reply), "-4.2")


@given(exchanges(), st.binary(min_size=1, max_size=40), st.sampled_from([RTU, ASCII, TCP]))
def test_noise_in_front_costs_no_answer_and_no_extra_byte(
    exchange: tuple[ModbusQuery, tuple[int, ...]], noise: bytes, codec: Dialect
) -> None:
    query, answer = exchange
    reply = codec.encode_reply(Request(0, query, 7), answer)
    if codec is TCP:  # without a check, noise can be a frame, so what is asserted is for noise that is none
        noise = b"\xff" * len(noise)
    buffer = b""
    verdict: Verdict = NeedMore()
    for byte in noise + reply:
        buffer += bytes((byte,))
        while isinstance(verdict := codec.scan(buffer, query, 7), Reject):
            buffer = buffer[verdict.consumed :]
    assert verdict == Reply(len(reply), answer)


@given(exchanges(), transactions)
def test_pymodbus_reads_the_same_values(exchange: tuple[ModbusQuery, tuple[int, ...]], transaction: int) -> None:
    query, answer = exchange
    reply = TCP.encode_reply(Request(0, query, transaction), answer)
    pdu: Any = DecodePDU(False).decode(reply[7:])
    read = pdu.registers if query.function in (3, 4) else [int(bit) for bit in pdu.bits[: query.count]]
    assert tuple(read) == answer


def flipped(frame: bytes, places: tuple[int, ...]) -> bytes:
    damaged = bytearray(frame)
    for place in places:
        damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


@pytest.mark.requirement("REQ-DEVICE-4")
@pytest.mark.parametrize("bits", [1, 2])
def test_no_rtu_reply_with_one_or_two_flipped_bits_is_accepted(bits: int) -> None:
    for places in combinations(range(8 * len(GOLDEN_REPLY)), bits):
        for _, verdict in run_dry(RTU, flipped(GOLDEN_REPLY, places), GOLDEN_QUERY, 0):
            assert isinstance(verdict, Reject), places


@pytest.mark.slow
@given(st.sets(st.integers(0, 8 * len(GOLDEN_REPLY) - 1), min_size=3, max_size=3))
@settings(max_examples=2000)
def test_no_rtu_reply_with_three_flipped_bits_is_accepted(places: set[int]) -> None:
    for _, verdict in run_dry(RTU, flipped(GOLDEN_REPLY, tuple(places)), GOLDEN_QUERY, 0):
        assert isinstance(verdict, Reject)
