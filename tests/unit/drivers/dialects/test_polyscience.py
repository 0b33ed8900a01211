"""PolyScience's text dialect against the maker's rules: CR alone, exact case, `?` for a refusal, echo or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.dialects.base import (
    Exceptional,
    ModbusQuery,
    NeedMore,
    Refusal,
    Reject,
    RejectKind,
    Reply,
    Request,
    TextQuery,
)
from drivers.dialects.registry import DialectName, dialect

POLY = dialect(DialectName.POLYSCIENCE)
BATH = TextQuery("RT")


def test_a_command_goes_out_in_its_own_case_with_cr_alone() -> None:
    assert POLY.encode(BATH, 0) == b"RT\r"
    assert POLY.encode(TextQuery("rt"), 0) == b"rt\r"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"-04.2\r", "-04.2"),
        (b"+012.5\r", "+012.5"),
        (b"C\r", "C"),
        (b"1\r", "1"),
        (b"00\r", "00"),
        (b"+20.0!\r", "+20.0"),
    ],
)
def test_a_text_up_to_cr_is_the_reply(line: bytes, text: str) -> None:
    for have in range(len(line)):
        assert POLY.scan(line[:have], BATH, 0) == NeedMore()
    assert POLY.scan(line + b"more", BATH, 0) == Reply(len(line), text)


def test_an_echo_is_dropped_and_the_reply_behind_it_counts() -> None:
    buffer = bytearray(b"RT\r-04.2\r")
    echo = POLY.scan(buffer, BATH, 0)
    assert echo == Reject(3, RejectKind.ECHO)
    del buffer[:3]
    assert POLY.scan(buffer, BATH, 0) == Reply(6, "-04.2")


def test_a_question_mark_is_a_refusal_and_an_exclamation_mark_answers_nothing_that_was_asked() -> None:
    assert POLY.scan(b"?\r", BATH, 0) == Exceptional(2, 1)
    assert POLY.scan(b"!\r", BATH, 0) == Reject(2, RejectKind.WRONG_FUNCTION)


def test_a_line_feed_spoils_the_text_that_it_precedes() -> None:
    """A unit of this language sends none: what carries one is not its answer."""
    assert POLY.scan(b"\n-04.2\r", BATH, 0) == Reject(7, RejectKind.BAD_CHECK)


@pytest.mark.parametrize("line", [b"\xad04.2\r", b"-0\x004.2\r", b"-04.\xb2\r"])
def test_a_text_with_one_unreadable_character_is_dropped_whole(line: bytes) -> None:
    assert POLY.scan(line, BATH, 0) == Reject(len(line), RejectKind.BAD_CHECK)


def test_an_over_long_text_and_an_empty_one_are_dropped() -> None:
    assert POLY.scan(b"x" * 40 + b"\r-04.2\r", BATH, 0) == Reject(41, RejectKind.BAD_CHECK)
    assert POLY.scan(b"x" * 40, BATH, 0) == Reject(40, RejectKind.BAD_CHECK)
    assert POLY.scan(b"\r-04.2\r", BATH, 0) == Reject(1, RejectKind.NOISE)


@pytest.mark.parametrize("command", ["", "RT\rSO1", "R\u00b2"])
def test_what_would_be_no_single_command_is_never_sent(command: str) -> None:
    with pytest.raises(ValueError, match="accepted: printable ASCII"):
        POLY.encode(TextQuery(command), 0)


def test_a_modbus_query_is_no_command_and_registers_are_no_reply() -> None:
    with pytest.raises(TypeError):
        POLY.encode(ModbusQuery(1, 3, 0, 1), 0)
    with pytest.raises(TypeError):
        POLY.encode_reply(Request(3, BATH), (1, 2))


def test_a_unit_hears_commands_as_they_were_sent_and_says_when_it_does_not_know_one() -> None:
    heard = Request(3, BATH)
    assert POLY.scan_request(b"RT\rRW\r") == heard
    assert POLY.scan_request(b"rt\r") == Request(3, TextQuery("rt"))
    assert POLY.scan_request(b"RT") == NeedMore()
    assert POLY.encode_reply(heard, "-04.2") == b"-04.2\r"
    assert POLY.encode_reply(heard, Refusal(1)) == b"?\r"


def test_a_miss_is_followed_by_silence_for_nothing_tells_a_late_reply() -> None:
    assert POLY.needs_drain
    assert POLY.gap_s(9600) == 0


@given(st.binary(max_size=48))
def test_whatever_comes_gives_a_verdict_and_a_reply_is_a_readable_text_that_ended(data: bytes) -> None:
    verdict = POLY.scan(data, BATH, 0)
    match verdict:
        case NeedMore():
            assert b"\r" not in data
            assert len(data) <= 32
        case Reply(consumed, raw):
            assert isinstance(raw, str)
            assert raw.isascii()
            assert raw.isprintable()
            assert data[: consumed - 1].decode("ascii").removesuffix("!") == raw
            assert data[consumed - 1 : consumed] == b"\r"
        case Reject(consumed) | Exceptional(consumed):
            assert 0 < consumed <= len(data)
    assert POLY.scan_request(data) is not None


@given(st.integers(-9999, 9999), st.booleans())
def test_a_simulated_answer_is_read_as_it_was_said_with_echo_or_without(tenths: int, echoes: bool) -> None:
    said = f"{tenths / 10:+06.1f}"
    request = POLY.encode(BATH, 0)
    heard = POLY.scan_request(request)
    assert isinstance(heard, Request)
    buffer = (request if echoes else b"") + POLY.encode_reply(heard, said)
    if echoes:
        assert POLY.scan(buffer, BATH, 0) == Reject(len(request), RejectKind.ECHO)
        buffer = buffer[len(request) :]
    assert POLY.scan(buffer, BATH, 0) == Reply(len(buffer), said)
