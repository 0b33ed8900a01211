"""Modbus framings against frames that makers printed or that were computed by hand, one table for both roles."""

from typing import NamedTuple

import pytest

from drivers.dialects.base import (
    Dialect,
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

RTU = dialect(DialectName.MODBUS_RTU)
ASCII = dialect(DialectName.MODBUS_ASCII)
TCP = dialect(DialectName.MODBUS_TCP)


class Golden(NamedTuple):
    what: str
    dialect: Dialect
    query: ModbusQuery
    transaction: int
    request: bytes
    reply: bytes
    answer: tuple[int, ...] | Refusal


GOLDEN = [
    Golden(
        "Eurotherm 3200, -4.3 at 0.1",
        RTU,
        ModbusQuery(1, 3, 1, 1),
        0,
        bytes.fromhex("01 03 00 01 00 01 D5 CA"),
        bytes.fromhex("01 03 02 FF D5 38 2B"),
        (0xFFD5,),
    ),
    Golden(
        "Eurotherm 3200, no such address",
        RTU,
        ModbusQuery(1, 3, 1, 1),
        0,
        bytes.fromhex("01 03 00 01 00 01 D5 CA"),
        bytes.fromhex("01 83 02 C0 F1"),
        Refusal(2),
    ),
    Golden(
        "Watlow EZ-ZONE, float32 75.0 with the low word first",
        RTU,
        ModbusQuery(1, 3, 0x168, 2),
        0,
        bytes.fromhex("01 03 01 68 00 02 44 2B"),
        bytes.fromhex("01 03 04 00 00 42 96 4A FD"),
        (0x0000, 0x4296),
    ),
    Golden(
        "SMC HECR, 23.81 at 0.01",
        ASCII,
        ModbusQuery(1, 3, 0x0040, 1),
        0,
        b":010300400001BB\r\n",
        b":010302094DA4\r\n",
        (2381,),
    ),
    Golden(
        "SMC HRS, no such address",
        ASCII,
        ModbusQuery(1, 3, 0x0100, 7),
        0,
        b":010301000007F4\r\n",
        b":0183027A\r\n",
        Refusal(2),
    ),
    Golden(
        "SMC HRS, -4.2 at 0.1 and running",
        ASCII,
        ModbusQuery(1, 3, 0, 11),
        0,
        b":01030000000BF1\r\n",
        b":010316FFD60000001400000221000000000000000000000000DA\r\n",
        (0xFFD6, 0, 0x14, 0, 0x0221, 0, 0, 0, 0, 0, 0),
    ),
    Golden(
        "Capgate RCU-1, supply -4.20 at 0.01",
        TCP,
        ModbusQuery(1, 4, 0, 64),
        1,
        bytes.fromhex("00 01 00 00 00 06 01 04 00 00 00 40"),
        bytes.fromhex("00 01 00 00 00 83 01 04 80 43 47 00 01 00 02 00 2A FE 5C FE B6 FE 70 00 F0 00 03") + bytes(110),
        (0x4347, 1, 2, 0x2A, 0xFE5C, 0xFEB6, 0xFE70, 0xF0, 3, *(0,) * 55),
    ),
]

every_golden = pytest.mark.parametrize("golden", GOLDEN, ids=[golden.what for golden in GOLDEN])
every_dialect = pytest.mark.parametrize("codec", [RTU, ASCII, TCP], ids=["rtu", "ascii", "tcp"])


def reply_to(golden: Golden) -> Reply | Exceptional:
    if isinstance(golden.answer, Refusal):
        return Exceptional(len(golden.reply), golden.answer.code)
    return Reply(len(golden.reply), golden.answer)


def frame(codec: Dialect, query: ModbusQuery, answer: tuple[int, ...] | Refusal, transaction: int = 7) -> bytes:
    return codec.encode_reply(Request(0, query, transaction), answer)


@every_golden
def test_the_master_asks_with_the_printed_bytes(golden: Golden) -> None:
    assert golden.dialect.encode(golden.query, golden.transaction) == golden.request


@every_golden
def test_the_master_reads_the_printed_answer_whatever_follows_it(golden: Golden) -> None:
    for rest in (b"", b"\xff\x00\x01"):
        assert golden.dialect.scan(golden.reply + rest, golden.query, golden.transaction) == reply_to(golden)


@every_golden
def test_an_answer_that_comes_byte_by_byte_is_waited_for_until_the_last_one(golden: Golden) -> None:
    for have in range(len(golden.reply)):
        assert golden.dialect.scan(golden.reply[:have], golden.query, golden.transaction) == NeedMore()


@every_golden
def test_a_unit_hears_the_printed_request_byte_by_byte(golden: Golden) -> None:
    for have in range(len(golden.request)):
        assert golden.dialect.scan_request(golden.request[:have]) == NeedMore()
    heard = golden.dialect.scan_request(golden.request)
    assert heard == Request(len(golden.request), golden.query, golden.transaction)


@every_golden
def test_a_unit_answers_with_the_printed_bytes(golden: Golden) -> None:
    request = Request(0, golden.query, golden.transaction)
    assert golden.dialect.encode_reply(request, golden.answer) == golden.reply


@pytest.mark.parametrize(
    ("other", "kind", "came"),
    [
        (ModbusQuery(2, 3, 0, 2), RejectKind.WRONG_UNIT, 2),
        (ModbusQuery(1, 4, 0, 2), RejectKind.WRONG_FUNCTION, 4),
        (ModbusQuery(1, 1, 0, 32), RejectKind.WRONG_FUNCTION, 1),
        (ModbusQuery(1, 3, 0, 1), RejectKind.WRONG_COUNT, 1),
        (ModbusQuery(1, 3, 0, 3), RejectKind.WRONG_COUNT, 3),
    ],
    ids=["unit", "function", "bits", "fewer", "more"],
)
@every_dialect
def test_a_whole_answer_to_another_question_is_named_and_dropped_whole(
    codec: Dialect, other: ModbusQuery, kind: RejectKind, came: int
) -> None:
    stray = frame(codec, other, tuple(1 for _ in range(other.count)))
    wanted = frame(codec, ModbusQuery(1, 3, 0, 2), (5, 6))
    assert codec.scan(stray + wanted, ModbusQuery(1, 3, 0, 2), 7) == Reject(len(stray), kind, came)


@every_dialect
def test_an_empty_success_is_a_wrong_count(codec: Dialect) -> None:
    stray = frame(codec, ModbusQuery(1, 3, 0, 2), ())
    assert codec.scan(stray, ModbusQuery(1, 3, 0, 2), 7) == Reject(len(stray), RejectKind.WRONG_COUNT, 0)


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (ModbusQuery(2, 3, 0, 2), (RejectKind.WRONG_UNIT, 2)),
        (ModbusQuery(1, 4, 0, 2), (RejectKind.WRONG_FUNCTION, 0x84)),
    ],
)
@every_dialect
def test_an_exception_to_another_question_is_no_exception(
    codec: Dialect, other: ModbusQuery, kind: tuple[RejectKind, int]
) -> None:
    stray = frame(codec, other, Refusal(6))
    assert codec.scan(stray, ModbusQuery(1, 3, 0, 2), 7) == Reject(len(stray), *kind)


def test_an_answer_of_another_transaction_is_rejected() -> None:
    late = frame(TCP, ModbusQuery(1, 3, 0, 2), (5, 6), transaction=6)
    assert TCP.scan(late, ModbusQuery(1, 3, 0, 2), 7) == Reject(len(late), RejectKind.WRONG_TRANSACTION, 6)


@pytest.mark.parametrize("codec", [RTU, ASCII], ids=["rtu", "ascii"])
def test_our_own_echo_is_dropped_and_the_answer_behind_it_read(codec: Dialect) -> None:
    query = ModbusQuery(1, 3, 1, 1)
    echo, reply = codec.encode(query, 0), frame(codec, query, (9,))
    for have in range(1, len(echo)):
        assert codec.scan(echo[:have], query, 0) == NeedMore()
    assert codec.scan(echo + reply, query, 0) == Reject(len(echo), RejectKind.ECHO)
    assert codec.scan(reply, query, 0) == Reply(len(reply), (9,))


@every_dialect
@pytest.mark.parametrize(
    "noise", [b"\x00", b"\xff\xff\xff", b"\x01", b"\x01\x03", b"\x01\x03\x04", b"\x02\x04\x80\x01"]
)
def test_an_answer_behind_noise_is_found_as_soon_as_it_is_whole(codec: Dialect, noise: bytes) -> None:
    query = ModbusQuery(1, 3, 0, 2)
    buffer = noise + frame(codec, query, (5, 0xFFD6))
    while not isinstance(verdict := codec.scan(buffer, query, 7), Reply):
        assert isinstance(verdict, Reject)
        assert verdict.consumed > 0
        buffer = buffer[verdict.consumed :]
    assert verdict.raw == (5, 0xFFD6)


def test_an_rtu_answer_with_a_wrong_check_is_counted_as_one() -> None:
    query = ModbusQuery(1, 3, 1, 1)
    verdict = RTU.scan(bytes.fromhex("01 03 02 FF D5 38 2C"), query, 0)
    assert isinstance(verdict, Reject)
    assert verdict.kind is RejectKind.BAD_CHECK


@pytest.mark.parametrize(
    "line",
    [b":010302094DA5\r\n", b":0103020:4DA4\r\n", b":0103O2094DA4\r\n", b":\r\n", b":01030209 4DA4\r\n"],
)
def test_an_ascii_line_that_cannot_be_right_is_a_bad_check(line: bytes) -> None:
    verdict = ASCII.scan(line, ModbusQuery(1, 3, 0x40, 1), 0)
    assert isinstance(verdict, Reject)
    assert verdict.kind is RejectKind.BAD_CHECK


def test_an_ascii_line_without_an_end_is_not_waited_for_for_ever() -> None:
    assert ASCII.scan(b":" + b"0" * 511, ModbusQuery(1, 3, 0, 1), 0) == NeedMore()
    assert ASCII.scan(b":" + b"0" * 512, ModbusQuery(1, 3, 0, 1), 0) == Reject(1, RejectKind.BAD_CHECK)


@pytest.mark.parametrize("codec", [RTU, ASCII], ids=["rtu", "ascii"])
def test_the_broadcast_address_is_never_asked_and_never_answers(codec: Dialect) -> None:
    broadcast = ModbusQuery(0, 3, 0, 1)
    with pytest.raises(ValueError, match="broadcast"):
        codec.encode(broadcast, 0)
    stray = frame(codec, broadcast, (1,))
    for query in (broadcast, ModbusQuery(1, 3, 0, 1)):
        verdict = codec.scan(stray, query, 0)
        assert isinstance(verdict, Reject)


@pytest.mark.parametrize(
    "query",
    [ModbusQuery(1, 6, 0, 1), ModbusQuery(1, 3, 0, 126), ModbusQuery(1, 3, 0, 0), ModbusQuery(256, 3, 0, 1)],
    ids=["a write", "too many", "none", "no such unit"],
)
@every_dialect
def test_what_no_unit_can_be_asked_is_never_sent(codec: Dialect, query: ModbusQuery) -> None:
    with pytest.raises(ValueError, match=r".+"):
        codec.encode(query, 0)


@every_dialect
def test_a_text_command_is_no_modbus_query(codec: Dialect) -> None:
    with pytest.raises(TypeError):
        codec.encode(TextQuery("STATUS"), 0)


@every_dialect
def test_bits_come_lowest_first_and_padding_is_dropped(codec: Dialect) -> None:
    query = ModbusQuery(1, 2, 0, 11)
    bits = (1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0)
    reply = frame(codec, query, bits)
    assert codec.scan(reply, query, 7) == Reply(len(reply), bits)


@pytest.mark.parametrize(
    ("codec", "request_bytes"),
    [
        (RTU, bytes.fromhex("01 06 00 0B FF D6 38 66")),
        (TCP, bytes.fromhex("00 07 00 00 00 06 01 06 00 0B FF D6")),
        (ASCII, b":0106000BFFD619\r\n"),
    ],
    ids=["rtu", "tcp", "ascii"],
)
def test_a_unit_hears_a_write_and_can_refuse_it(codec: Dialect, request_bytes: bytes) -> None:
    heard = codec.scan_request(request_bytes)
    assert isinstance(heard, Request)
    assert heard.query == ModbusQuery(1, 6, 0x0B, 0xFFD6)
    refusal = codec.encode_reply(heard, Refusal(1))
    assert codec.scan(refusal, ModbusQuery(1, 3, 0, 1), heard.transaction) == Reject(
        len(refusal), RejectKind.WRONG_FUNCTION, 0x86
    )


def test_a_unit_on_a_shared_line_hears_its_request_behind_another_units_reply() -> None:
    other_reply = bytes.fromhex("02 03 02 FF D5 7C 2B")
    request = bytes.fromhex("01 03 00 01 00 01 D5 CA")
    assert RTU.scan_request(other_reply + request) == Reject(len(other_reply), RejectKind.NOISE)


@pytest.mark.parametrize(
    ("baud", "silence_s"), [(None, 0.0), (9600, 0.00401), (19200, 0.002005), (38400, 0.00175), (115200, 0.00175)]
)
def test_only_rtu_wants_a_silence_of_its_own(baud: int | None, silence_s: float) -> None:
    assert RTU.gap_s(baud) == pytest.approx(silence_s, rel=1e-2)
    assert ASCII.gap_s(baud) == 0.0
    assert TCP.gap_s(baud) == 0.0


def test_only_modbus_tcp_tells_a_late_reply_by_itself() -> None:
    assert [d.needs_drain for d in (RTU, ASCII, TCP)] == [True, True, False]
