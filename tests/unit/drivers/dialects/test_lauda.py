"""Lauda's text commands: CR out and CRLF back; on RS-485 an address and CR alone both ways."""

import pytest

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

LAUDA = dialect(DialectName.LAUDA)
BATH = TextQuery("IN_PV_00")
ON_BUS = TextQuery("IN_PV_00", 15)


def test_a_command_goes_out_with_cr_and_on_a_bus_with_its_address() -> None:
    assert LAUDA.encode(BATH, 0) == b"IN_PV_00\r"
    assert LAUDA.encode(ON_BUS, 0) == b"A015_IN_PV_00\r"


@pytest.mark.parametrize(
    ("line", "query", "text"),
    [
        (b"-004.20\r\n", BATH, "-004.20"),
        (b"-4.2\r\n", BATH, "-4.2"),
        (b"0000100\r\n", TextQuery("STAT"), "0000100"),
        (b"A015_-004.20\r", ON_BUS, "-004.20"),  # Ecoline RE 204 manual, p. 11: A015_-XXX.XX
        (b"A015_OK\r", ON_BUS, "OK"),  # RE 1050 G manual, p. 70
    ],
)
def test_a_line_is_the_reply(line: bytes, query: TextQuery, text: str) -> None:
    for have in range(len(line)):
        assert LAUDA.scan(line[:have], query, 0) == NeedMore()
    assert LAUDA.scan(line + b"more", query, 0) == Reply(len(line), text)
    assert LAUDA.encode_reply(Request(0, query), text) == line


def test_a_reply_of_another_unit_on_the_bus_is_none_and_nor_is_one_without_an_address() -> None:
    assert LAUDA.scan(b"A016_-004.20\r", ON_BUS, 0) == Reject(13, RejectKind.WRONG_UNIT)
    assert LAUDA.scan(b"-004.20\r", ON_BUS, 0) == Reject(8, RejectKind.WRONG_UNIT)


@pytest.mark.parametrize(("text", "code"), [(b"ERR_3", 1), (b"ERR_5", 3), (b"ERR_6", 3), (b"ERR_32", 3), (b"ERR_8", 3)])
def test_an_error_is_a_refusal(text: bytes, code: int) -> None:
    assert LAUDA.scan(text + b"\r\n", BATH, 0) == Exceptional(len(text) + 2, code)
    assert LAUDA.scan(b"A015_" + text + b"\r", ON_BUS, 0) == Exceptional(len(text) + 6, code)


def test_an_overflow_is_the_lines_fault_and_no_answer() -> None:
    assert LAUDA.scan(b"ERR_2\r\n", BATH, 0) == Reject(7, RejectKind.BAD_CHECK)


def test_a_unit_refuses_a_command_with_err_3_and_a_value_with_err_6() -> None:
    assert LAUDA.encode_reply(Request(0, BATH), Refusal(1)) == b"ERR_3\r\n"
    assert LAUDA.encode_reply(Request(0, ON_BUS), Refusal(3)) == b"A015_ERR_6\r"


def test_an_echo_is_dropped_and_the_reply_behind_it_counts() -> None:
    buffer = bytearray(b"A015_IN_PV_00\rA015_-4.20\r")
    assert LAUDA.scan(buffer, ON_BUS, 0) == Reject(14, RejectKind.ECHO)
    del buffer[:14]
    assert LAUDA.scan(buffer, ON_BUS, 0) == Reply(11, "-4.20")


@pytest.mark.parametrize("line", [b"\xad004.20\r\n", b"-0\x004.20\r\n", b"-004.2\xb0\r\n", b"-00\r4.20\r\n"])
def test_a_line_with_one_unreadable_character_is_dropped_whole(line: bytes) -> None:
    assert LAUDA.scan(line, BATH, 0) == Reject(len(line), RejectKind.BAD_CHECK)


def test_an_over_long_line_and_an_empty_one_are_dropped() -> None:
    assert LAUDA.scan(b"x" * 70 + b"\r\n-4.2\r\n", BATH, 0) == Reject(72, RejectKind.BAD_CHECK)
    assert LAUDA.scan(b"x" * 70, BATH, 0) == Reject(70, RejectKind.BAD_CHECK)
    assert LAUDA.scan(b"\r\n-4.2\r\n", BATH, 0) == Reject(2, RejectKind.NOISE)


@pytest.mark.parametrize("command", ["", "IN_PV_00\rSTOP", "IN_PV_\u00b2"])
def test_what_would_be_no_single_command_is_never_sent(command: str) -> None:
    with pytest.raises(ValueError, match="accepted: printable ASCII"):
        LAUDA.encode(TextQuery(command), 0)


def test_an_address_past_127_and_a_modbus_query_are_never_sent() -> None:
    with pytest.raises(ValueError, match="accepted: 0 to 127"):
        LAUDA.encode(TextQuery("STAT", 128), 0)
    with pytest.raises(TypeError):
        LAUDA.encode(ModbusQuery(1, 3, 0, 1), 0)
    with pytest.raises(TypeError):
        LAUDA.encode_reply(Request(0, BATH), (1, 2))


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n\r"])
def test_a_unit_hears_a_command_however_its_line_ends_and_with_spaces_for_underscores(end: bytes) -> None:
    buffer = bytearray(b"IN PV 00" + end + b"A015_STAT" + end)
    heard: list[Request] = []
    while not isinstance(verdict := LAUDA.scan_request(buffer), NeedMore):
        del buffer[: verdict.consumed]
        if isinstance(verdict, Request):
            heard.append(verdict)
    assert [each.query for each in heard] == [BATH, TextQuery("STAT", 15)]


def test_a_miss_is_followed_by_silence() -> None:
    assert LAUDA.needs_drain
    assert LAUDA.gap_s(9600) == 0
