"""Thermo's NC protocol against the manuals' own frames, to the byte."""

import pytest

from drivers.dialects.base import (
    Exceptional,
    NeedMore,
    NumberQuery,
    Refusal,
    Reject,
    RejectKind,
    Reply,
    Request,
    TextQuery,
)
from drivers.dialects.registry import DialectName, dialect

NC = dialect(DialectName.NC)
INTERNAL, STATUS = NumberQuery(0x20), NumberQuery(0x09)
ON_BUS = NumberQuery(0x20, 5)
COLD = bytes.fromhex("CA 00 01 20 03 11 FF 97 34")  # ULT-80 manual, p. 56: -10.5 degC
WARM = bytes.fromhex("CA 00 01 20 03 11 02 71 57")  # RTE manual, p. 47: 62.5 degC


@pytest.mark.parametrize(
    ("number", "frame"),
    [
        (0x00, "CA 00 01 00 00 FE"),  # EX manual, B-4
        (0x09, "CA 00 01 09 00 F5"),
        (0x20, "CA 00 01 20 00 DE"),
        (0x21, "CA 00 01 21 00 DD"),
        (0x40, "CA 00 01 40 00 BE"),
        (0x60, "CA 00 01 60 00 9E"),
        (0x70, "CA 00 01 70 00 8E"),
        (0x71, "CA 00 01 71 00 8D"),
        (0x72, "CA 00 01 72 00 8C"),
        (0x73, "CA 00 01 73 00 8B"),
    ],
)
def test_a_question_is_the_frame_of_the_manual(number: int, frame: str) -> None:
    assert NC.encode(NumberQuery(number), 0) == bytes.fromhex(frame)


def test_on_rs_485_the_lead_is_cc_and_the_address_the_units() -> None:
    assert NC.encode(ON_BUS, 0) == bytes.fromhex("CC 00 05 20 00 DA")


@pytest.mark.parametrize(
    ("frame", "number", "data"),
    [
        (COLD, 0x20, (0x11, 0xFF, 0x97)),
        (WARM, 0x20, (0x11, 0x02, 0x71)),
        (bytes.fromhex("CA 00 01 20 03 11 FF D6 F5"), 0x20, (0x11, 0xFF, 0xD6)),  # computed: -4.2
        (bytes.fromhex("CA 00 01 20 03 21 FE 5C 60"), 0x20, (0x21, 0xFE, 0x5C)),  # computed: -4.20
        (bytes.fromhex("CA 00 01 02 04 32 30 46 41 0F"), 0x02, tuple(b"20FA")),  # ThermoFlex manual, D-5
        (
            bytes.fromhex("CA 00 01 02 0A 30 38 34 39 39 32 2E 32 4E 20 E4"),
            0x02,
            tuple(b"084992.2N "),
        ),  # ThermoFlex manual, D-5
    ],
)
def test_an_answer_of_the_manual_is_read_whole_and_made_again(frame: bytes, number: int, data: tuple[int, ...]) -> None:
    query = NumberQuery(number)
    for have in range(len(frame)):
        assert NC.scan(frame[:have], query, 0) == NeedMore()
    assert NC.scan(frame, query, 0) == Reply(len(frame), data)
    assert NC.encode_reply(Request(6, query), data) == frame


def test_a_complaint_is_a_refusal_and_one_about_the_checksum_is_the_lines_fault() -> None:
    refused = bytes.fromhex("CA 00 01 0F 02 01 20 CC")
    assert NC.scan(refused, INTERNAL, 0) == Exceptional(8, 1)
    assert NC.encode_reply(Request(6, INTERNAL), Refusal(1)) == refused
    damaged = bytes.fromhex("CA 00 01 0F 02 03 20 CA")
    assert NC.scan(damaged, INTERNAL, 0) == Reject(8, RejectKind.BAD_CHECK)
    assert NC.scan(refused, STATUS, 0) == Reject(8, RejectKind.WRONG_FUNCTION), "it complains of another question"


def test_a_frame_that_ends_in_the_lead_byte_is_consumed_by_its_length() -> None:
    damaged = bytes.fromhex("CA 00 01 0F 02 03 20 CA")
    buffer = bytearray(damaged + COLD)
    assert NC.scan(buffer, INTERNAL, 0) == Reject(8, RejectKind.BAD_CHECK)
    del buffer[:8]
    assert NC.scan(buffer, INTERNAL, 0) == Reply(9, (0x11, 0xFF, 0x97))


def test_the_lead_byte_within_a_value_begins_no_frame() -> None:
    frame = NC.encode_reply(Request(6, INTERNAL), (0x11, 0xCA, 0x00))
    assert NC.scan(frame, INTERNAL, 0) == Reply(9, (0x11, 0xCA, 0x00))


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        ("CC 00 06 20 03 11 FF 97 2F", RejectKind.WRONG_UNIT),
        ("CC 00 05 70 03 11 FF 97 E0", RejectKind.WRONG_FUNCTION),
        ("CA 00 01 20 03 11 FF 97 34", RejectKind.WRONG_UNIT),
    ],
)
def test_a_whole_frame_of_someone_else_is_named_and_dropped(frame: str, kind: RejectKind) -> None:
    data = bytes.fromhex(frame)
    assert NC.scan(data, ON_BUS, 0) == Reject(len(data), kind)


def test_our_own_request_heard_on_a_half_duplex_line_is_an_echo() -> None:
    assert NC.scan(NC.encode(INTERNAL, 0) + COLD, INTERNAL, 0) == Reject(6, RejectKind.ECHO)


def test_a_frame_with_a_wrong_checksum_is_dropped_and_the_good_one_behind_it_is_read() -> None:
    buffer = bytearray(COLD[:-1] + b"\x35" + COLD)
    verdict = NC.scan(buffer, INTERNAL, 0)
    assert verdict == Reject(9, RejectKind.BAD_CHECK)
    del buffer[:9]
    assert NC.scan(buffer, INTERNAL, 0) == Reply(9, (0x11, 0xFF, 0x97))


def test_a_beginning_that_never_ends_hides_no_answer() -> None:
    assert NC.scan(b"\xca\x00\x01\x20\x3f" + COLD, INTERNAL, 0) == Reject(5, RejectKind.BAD_CHECK)
    assert NC.scan(b"\xca" + COLD, INTERNAL, 0) == Reject(1, RejectKind.NOISE)


def test_a_reply_without_data_answers_nothing() -> None:
    empty = bytes.fromhex("CC 00 05 20 00 DA")
    assert NC.scan(b"\x00" + empty, ON_BUS, 0) == Reject(1, RejectKind.NOISE)


def test_what_no_unit_can_be_asked_is_never_sent() -> None:
    for query in (NumberQuery(0x20, 0), NumberQuery(0x20, 101), NumberQuery(0x120)):
        with pytest.raises(ValueError, match="accepted"):
            NC.encode(query, 0)
    with pytest.raises(TypeError):
        NC.encode(TextQuery("IN_PV_00"), 0)
    with pytest.raises(TypeError):
        NC.encode_reply(Request(6, INTERNAL), "-10.5")


def test_a_unit_hears_questions_and_nothing_that_would_set_it() -> None:
    assert NC.scan_request(NC.encode(INTERNAL, 0) + b"more") == Request(6, INTERNAL)
    assert NC.scan_request(NC.encode(ON_BUS, 0)) == Request(6, ON_BUS)
    off = bytes.fromhex("CA 00 01 81 01 00 7C")  # ThermoFlex manual, D-7
    assert NC.scan_request(off) == Reject(7, RejectKind.WRONG_FUNCTION)
    assert NC.scan_request(b"\x13" + NC.encode(INTERNAL, 0)) == Reject(1, RejectKind.NOISE)
    assert NC.scan_request(NC.encode(INTERNAL, 0)[:4]) == NeedMore()
    assert NC.scan_request(b"\x00\x01") == Reject(2, RejectKind.NOISE)


def test_a_miss_is_followed_by_silence() -> None:
    assert NC.needs_drain
    assert NC.gap_s(9600) == 0
