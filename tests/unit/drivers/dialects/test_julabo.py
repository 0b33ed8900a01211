"""Julabo's text dialect against the maker's examples."""

import pytest

from drivers.dialects.base import (
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

JULABO = dialect(DialectName.JULABO)
BATH = TextQuery("in_pv_00")


def test_a_command_goes_out_in_upper_case_with_a_carriage_return() -> None:
    assert JULABO.encode(BATH, 0) == b"IN_PV_00\r"
    assert JULABO.encode(TextQuery("in_sp_00", 32), 0) == b"A032_IN_SP_00\r"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"-4.2\r\n", "-4.2"),
        (b"-4.2\n", "-4.2"),
        (b"   -4.12  \r\n", "-4.12"),
        (b"---.--\r\n", "---.--"),
        (b"03 REMOTE START\r\n", "03 REMOTE START"),
        (b"-01 LOW LEVEL ALARM\n", "-01 LOW LEVEL ALARM"),
    ],
)
def test_a_line_is_the_reply_once_it_has_ended(line: bytes, text: str) -> None:
    for have in range(len(line)):
        assert JULABO.scan(line[:have], BATH, 0) == NeedMore()
    assert JULABO.scan(line + b"more", BATH, 0) == Reply(len(line), text)


def test_on_a_bus_the_reply_must_carry_the_units_address() -> None:
    query = TextQuery("in_sp_00", 32)
    assert JULABO.scan(b"A032_55.5\r\n", query, 0) == Reply(11, "55.5")
    assert JULABO.scan(b"A033_55.5\r\n", query, 0) == Reject(11, RejectKind.WRONG_UNIT)
    assert JULABO.scan(b"55.5\r\n", query, 0) == Reject(6, RejectKind.WRONG_UNIT)


def test_a_line_with_one_unreadable_character_is_dropped_whole() -> None:
    assert JULABO.scan(b"\xad4.2\r\n", BATH, 0) == Reject(6, RejectKind.BAD_CHECK)
    assert JULABO.scan(b"-4\x00.2\r\n", BATH, 0) == Reject(7, RejectKind.BAD_CHECK)


def test_an_over_long_line_is_dropped_with_its_tail() -> None:
    line = b"x" * 200 + b"\r\n"
    assert JULABO.scan(line[:-2], BATH, 0) == NeedMore()
    assert JULABO.scan(line + b"-4.2\r\n", BATH, 0) == Reject(len(line), RejectKind.BAD_CHECK)
    assert JULABO.scan(b"x" * 1024, BATH, 0) == Reject(1024, RejectKind.BAD_CHECK)


def test_an_empty_line_is_noise_and_an_echo_is_dropped() -> None:
    assert JULABO.scan(b"\r\n-4.2\r\n", BATH, 0) == Reject(2, RejectKind.NOISE)
    assert JULABO.scan(b"IN_PV_00\r-4.2\r\n", BATH, 0) == Reject(9, RejectKind.ECHO)


@pytest.mark.parametrize("command", ["", "in_pv_00\rout_mode_05 0", "in_pv_0\u00b2"])
def test_what_would_be_no_single_command_is_never_sent(command: str) -> None:
    with pytest.raises(ValueError, match="accepted: printable ASCII"):
        JULABO.encode(TextQuery(command), 0)


def test_a_modbus_query_is_no_command() -> None:
    with pytest.raises(TypeError):
        JULABO.encode(ModbusQuery(1, 3, 0, 1), 0)


def test_a_unit_hears_commands_in_either_case_and_answers_under_its_address() -> None:
    heard = JULABO.scan_request(b"A032_in_sp_00\r\n")
    assert heard == Request(14, TextQuery("IN_SP_00", 32))
    assert JULABO.encode_reply(Request(14, TextQuery("IN_SP_00", 32)), "55.5") == b"A032_55.5\r\n"
    assert JULABO.scan_request(b"status\r") == Request(7, TextQuery("STATUS"))
    assert JULABO.encode_reply(Request(7, TextQuery("STATUS")), "-4.2") == b"-4.2\r\n"


def test_a_unit_ignores_what_it_does_not_know() -> None:
    assert JULABO.encode_reply(Request(0, TextQuery("NONSENSE")), Refusal(1)) == b""
