"""Huber's PB commands: fixed frames, the variable in the answer, no answer to what cannot be carried out."""

import pytest

from drivers.dialects.base import (
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

PB = dialect(DialectName.HUBER_PB)
BATH = NumberQuery(0x01)
COLD = b"{S01FE4E\r\n"  # -4.34 degC, as an independent emulator sends it


def test_a_question_is_ten_bytes_with_stars_for_the_value() -> None:
    assert PB.encode(BATH, 0) == b"{M01****\r\n"
    assert PB.encode(NumberQuery(0x3A), 0) == b"{M3A****\r\n"


@pytest.mark.parametrize(
    ("frame", "variable", "word"),
    [(COLD, 0x01, 0xFE4E), (b"{S0A0011\r\n", 0x0A, 0x0011), (b"{S077FFF\r\n", 0x07, 0x7FFF)],
)
def test_an_answer_is_read_whole_and_made_again(frame: bytes, variable: int, word: int) -> None:
    query = NumberQuery(variable)
    for have in range(len(frame)):
        assert PB.scan(frame[:have], query, 0) == NeedMore()
    assert PB.scan(frame + b"{", query, 0) == Reply(10, (word,))
    assert PB.encode_reply(Request(10, query), (word,)) == frame


def test_an_answer_that_names_another_variable_is_none() -> None:
    assert PB.scan(b"{S02FE4E\r\n", BATH, 0) == Reject(10, RejectKind.WRONG_FUNCTION)


def test_our_own_request_is_an_echo() -> None:
    assert PB.scan(b"{M01****\r\n" + COLD, BATH, 0) == Reject(10, RejectKind.ECHO)


@pytest.mark.parametrize(
    "frame", [b"{S01fe4e\r\n", b"{S01****\r\n", b"{S01FE4G\r\n", b"{S01FE4E\n\r", b"{X01FE4E\r\n", b"{S01 E4E\r\n"]
)
def test_a_frame_that_is_not_of_the_form_is_dropped_whole(frame: bytes) -> None:
    assert PB.scan(frame, BATH, 0) == Reject(10, RejectKind.BAD_CHECK)


def test_noise_and_a_frame_cut_short_cost_no_answer() -> None:
    assert PB.scan(b"\xff\x00" + COLD, BATH, 0) == Reject(2, RejectKind.NOISE)
    assert PB.scan(b"{S01FE" + COLD, BATH, 0) == Reject(6, RejectKind.BAD_CHECK)
    assert PB.scan(b"\xff\x00", BATH, 0) == Reject(2, RejectKind.NOISE)


def test_a_frame_with_eight_digits_is_no_answer_to_four() -> None:
    assert isinstance(PB.scan(b"{S01FFFFFE4E\r\n", BATH, 0), Reject)


def test_what_is_no_variable_is_never_sent() -> None:
    with pytest.raises(ValueError, match="accepted: 0 to 255"):
        PB.encode(NumberQuery(0x100), 0)
    with pytest.raises(TypeError):
        PB.encode(TextQuery("IN_PV_00"), 0)
    with pytest.raises(TypeError):
        PB.encode_reply(Request(10, BATH), "FE4E")


def test_a_unit_hears_questions_and_nothing_that_would_set_it() -> None:
    assert PB.scan_request(b"{M01****\r\n") == Request(10, BATH)
    assert PB.scan_request(b"{M00FE70\r\n") == Reject(10, RejectKind.NOISE)
    assert PB.scan_request(b"{M01*") == NeedMore()
    assert PB.scan_request(b"") == NeedMore()


def test_what_a_unit_cannot_do_it_answers_with_silence() -> None:
    assert PB.encode_reply(Request(10, BATH), Refusal(1)) == b""


def test_a_miss_is_followed_by_silence() -> None:
    assert PB.needs_drain
    assert PB.gap_s(9600) == 0
