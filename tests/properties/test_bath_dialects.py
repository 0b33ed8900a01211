"""Properties of NC, Huber PB and Lauda: nothing raises, only valid frames are accepted, noise costs no answer.

The checks here are written from the documents and share no code with the dialects.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects.base import (
    Dialect,
    Exceptional,
    NeedMore,
    NumberQuery,
    Query,
    Raw,
    Refusal,
    Reject,
    Reply,
    Request,
    TextQuery,
    Verdict,
)
from drivers.dialects.registry import DialectName, dialect

NC, PB, LAUDA = (dialect(name) for name in (DialectName.NC, DialectName.HUBER_PB, DialectName.LAUDA))


def nc_agrees(frame: bytes, query: NumberQuery) -> bool:
    """Lead, address, command, length and the inverted sum (EX manual, B-2)."""
    lead, address = (0xCA, 1) if query.unit_id is None else (0xCC, query.unit_id)
    return (
        list(frame[:4]) == [lead, 0, address, query.number]
        and len(frame) == frame[4] + 6
        and (sum(frame[1:-1]) + frame[-1]) % 256 == 255
    )


numbers = st.builds(NumberQuery, st.integers(0, 255), st.integers(1, 100) | st.none())
few_numbers = st.builds(NumberQuery, st.sampled_from([0x09, 0x20]), st.sampled_from([None, 1, 2]))
variables = st.builds(NumberQuery, st.integers(0, 255))
commands = st.builds(
    TextQuery,
    st.text("ABINPVSMODET_0123456789", max_size=16).map(lambda end: f"IN_{end}"),
    st.integers(0, 127) | st.none(),
)
data_bytes = st.lists(st.integers(0, 255), min_size=1, max_size=20).map(tuple)
texts = st.text("-0123456789.OKV", min_size=1, max_size=20)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[Dialect, Query, Raw]:
    """A query of one of the dialects, with a valid answer."""
    codec = draw(st.sampled_from([NC, PB, LAUDA]))
    if codec is NC:
        return codec, draw(numbers.filter(lambda query: query.number != 0x0F)), draw(data_bytes)
    if codec is PB:
        return codec, draw(variables), (draw(st.integers(0, 0xFFFF)),)
    return codec, draw(commands), draw(texts)


@st.composite
def almost_frames(draw: st.DrawFn) -> bytes:
    """Bytes that look like traffic: pieces of frames of anyone, damaged or not, and random ones."""
    pieces: list[bytes] = []
    for _ in range(draw(st.integers(1, 5))):
        codec, query, answer = draw(exchanges())
        if codec is NC:
            query = draw(few_numbers)
        whole = codec.encode_reply(Request(0, query), answer)
        damaged = bytearray(whole)
        if draw(st.booleans()):
            damaged[draw(st.integers(0, len(whole) - 1))] ^= 1 << draw(st.integers(0, 7))
        cut = draw(st.integers(0, len(whole)))
        text = draw(st.sampled_from([b"-4.2\r\n", b"\xca", b"\xca\x00\x01", b"{S01", b"ERR_3\r\n", b"A001_-4.2\r"]))
        pieces.append(draw(st.sampled_from([whole, bytes(damaged), whole[:cut], whole[cut:], text])))
        pieces.append(draw(st.binary(max_size=6)))
    return b"".join(pieces)


garbage = st.one_of(st.binary(max_size=300), almost_frames())


def run_dry(codec: Dialect, buffer: bytes, query: Query) -> list[tuple[bytes, Verdict]]:
    """Every verdict with the bytes that it consumed, until NeedMore."""
    verdicts: list[tuple[bytes, Verdict]] = []
    while not isinstance(verdict := codec.scan(buffer, query, 0), NeedMore):
        assert 0 < verdict.consumed <= len(buffer)
        verdicts.append((buffer[: verdict.consumed], verdict))
        buffer = buffer[verdict.consumed :]
    return verdicts


@given(garbage, few_numbers)
def test_an_nc_reply_is_a_frame_whose_every_part_is_right(buffer: bytes, query: NumberQuery) -> None:
    for consumed, verdict in run_dry(NC, buffer, query):
        if isinstance(verdict, Reply):
            assert nc_agrees(consumed, query)
            assert verdict.raw == tuple(consumed[5:-1])
        if isinstance(verdict, Exceptional):
            assert consumed[3:5] == b"\x0f\x02"
            assert consumed[6] == query.number


@given(garbage, variables)
def test_a_huber_reply_has_the_form_and_names_the_variable(buffer: bytes, query: NumberQuery) -> None:
    for consumed, verdict in run_dry(PB, buffer, query):
        if isinstance(verdict, Reply):
            assert re.fullmatch(rb"\{S%02X[0-9A-F]{4}\r\n" % query.number, consumed)
            assert verdict.raw == (int(consumed[4:8], 16),)


@given(garbage, st.sampled_from([TextQuery("STAT"), TextQuery("STAT", 1)]))
def test_a_lauda_reply_is_a_whole_readable_line_of_that_unit(buffer: bytes, query: TextQuery) -> None:
    for consumed, verdict in run_dry(LAUDA, buffer, query):
        if isinstance(verdict, Reply):
            line = consumed.removesuffix(b"\r\n" if query.unit_id is None else b"\r").decode("ascii").strip()
            assert line.isprintable()
            assert verdict.raw == (line if query.unit_id is None else line[5:].strip())
            assert query.unit_id is None or re.match("A001[_ ]", line)


@given(garbage, st.sampled_from([NC, PB, LAUDA]))
def test_a_unit_gets_past_anything_without_an_error(buffer: bytes, codec: Dialect) -> None:
    while not isinstance(verdict := codec.scan_request(buffer), NeedMore):
        assert 0 < verdict.consumed <= len(buffer)
        buffer = buffer[verdict.consumed :]


@given(exchanges())
def test_what_one_role_sends_the_other_reads(exchange: tuple[Dialect, Query, Raw]) -> None:
    codec, query, answer = exchange
    request = codec.encode(query, 0)
    heard = codec.scan_request(request)
    assert isinstance(heard, Request)
    assert (heard.consumed, heard.query) == (len(request), query)
    reply = codec.encode_reply(heard, answer)
    assert codec.scan(reply, query, 0) == Reply(len(reply), answer)


@pytest.mark.parametrize("codec", [NC, LAUDA])
@given(number=numbers.filter(lambda query: query.number != 0x0F), code=st.sampled_from([1, 3]))
def test_a_refusal_comes_through(codec: Dialect, number: NumberQuery, code: int) -> None:
    query: Query = number if codec is NC else TextQuery("IN_PV_00", number.unit_id)
    code = min(code, 2) if codec is NC else code  # NC's third error is about the line
    refusal = codec.encode_reply(Request(0, query), Refusal(code))
    assert codec.scan(refusal, query, 0) == Exceptional(len(refusal), code)


@given(st.data(), st.binary(min_size=1, max_size=40), st.sampled_from([NC, PB]))
def test_noise_in_front_costs_no_answer_and_no_extra_byte(data: st.DataObject, noise: bytes, codec: Dialect) -> None:
    query = data.draw(few_numbers if codec is NC else variables)
    answer: Raw = (0x11, 0xFF, 0xD6) if codec is NC else (0xFE5C,)
    reply = codec.encode_reply(Request(0, query), answer)
    buffer = b""
    verdict: Verdict = NeedMore()
    for byte in noise + reply:
        buffer += bytes((byte,))
        while isinstance(verdict := codec.scan(buffer, query, 0), Reject):
            buffer = buffer[verdict.consumed :]
    assert verdict == Reply(len(reply), answer)


@given(st.binary(min_size=1, max_size=40))
def test_noise_before_a_lauda_line_never_leaves_another_number(noise: bytes) -> None:
    """A line is dropped whole unless noise ended in a line end of its own, or reads as part of the line."""
    query = TextQuery("IN_PV_00")
    for _, verdict in run_dry(LAUDA, noise + b"-004.20\r\n", query):
        if isinstance(verdict, Reply) and verdict.raw != "-004.20":
            assert isinstance(verdict.raw, str)
            assert verdict.raw.endswith("-004.20") or noise.decode("latin-1").count("\r\n")
