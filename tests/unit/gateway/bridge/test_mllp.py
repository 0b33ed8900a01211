"""MLLP framing: whatever the packets, the same messages; whatever the rubbish, the next message is found."""

from itertools import pairwise

import pytest
from hl7.client import EB, SB
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.mllp import HEAD_BYTES, Deframer, Oversized, frame

MESSAGES = st.lists(st.binary(max_size=60).map(lambda text: text.replace(SB, b"").replace(EB[:1], b"")), max_size=6)


def test_a_frame_is_what_another_program_makes_of_it() -> None:
    assert frame(b"MSH|x\r") == SB + b"MSH|x\r" + EB + b"\r"


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=12), limit=st.integers(1, 60))
def test_packets_mean_nothing(messages: list[bytes], cuts: list[int], limit: int) -> None:
    stream = b"".join(map(frame, messages))
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    deframer, found = Deframer(limit), list[bytes | Oversized]()
    for start, end in pairwise(edges):
        found += deframer.feed(stream[start:end])
    assert found == [each if len(each) <= limit else Oversized(each, len(each)) for each in messages]
    assert (deframer.dropped, deframer.unended, deframer.is_within) == (0, 0, False)


@given(rubbish=st.binary(max_size=80), message=st.binary(max_size=40), cut=st.integers(0, 130))
def test_after_any_rubbish_the_next_message_is_found(rubbish: bytes, message: bytes, cut: int) -> None:
    message = b"MSH" + message.replace(SB, b"x").replace(EB[:1], b"x")
    stream = rubbish + frame(message)
    deframer = Deframer()
    assert [*deframer.feed(stream[:cut]), *deframer.feed(stream[cut:])][-1] == message


@pytest.mark.parametrize(
    ("stream", "unended"),
    [
        (b"\x0bMSH|1\r\x1c\x0bMSH|2\r\x1c", 0),
        (b"\x0bMSH|1\r\x1c\r\n\x0bMSH|2\r\x1c\r\r", 0),
        (b"noise\x0bMSH|0 cut off\x0bMSH|1\r\x1c\r\x0bMSH|2\r\x1c\r", 1),
        (b"\x0b\x0bMSH|1\r\x1c\r\x0bMSH|2\r\x1c\r", 1),
    ],
    ids=["no CR behind a frame", "line ends between frames", "a frame that was never ended", "begun twice"],
)
def test_what_senders_do_is_understood(stream: bytes, unended: int) -> None:
    deframer = Deframer()
    assert deframer.feed(stream) == [b"MSH|1\r", b"MSH|2\r"]
    assert deframer.unended == unended
    one_by_one = Deframer()
    assert [found for byte in stream for found in one_by_one.feed(bytes((byte,)))] == [b"MSH|1\r", b"MSH|2\r"]


def test_a_begin_mark_within_a_text_is_text() -> None:
    assert Deframer().feed(b"\x0bMSH|1\rNTE|1||one\x0btwo\x0b\r\x1c\r") == [b"MSH|1\rNTE|1||one\x0btwo\x0b\r"]


def test_a_frame_that_is_too_large_is_passed_over_and_the_next_is_read() -> None:
    deframer = Deframer(max_bytes=10_000)
    found = [each for _ in range(50) for each in deframer.feed(b"\x0bMSH|1" if not deframer.is_within else b"x" * 3000)]
    assert found == []
    found = deframer.feed(b"\x1c\r\x0bMSH|2\r\x1c\r")
    assert found[1:] == [b"MSH|2\r"]
    assert isinstance(found[0], Oversized)
    assert found[0].size == 49 * 3000 + 5
    assert found[0].head == (b"MSH|1" + b"x" * HEAD_BYTES)[:HEAD_BYTES]


def test_a_frame_that_is_never_ended_takes_no_memory_and_hides_no_message() -> None:
    deframer = Deframer(max_bytes=1000)
    assert deframer.feed(b"\x0bMSH|0") == []
    for _ in range(100):
        assert deframer.feed(b"y" * 1000) == []
    assert deframer.feed(b"\x0bM") == []
    assert deframer.feed(b"SH|1\r\x1c\r") == [b"MSH|1\r"]
    assert deframer.unended == 1


def test_rubbish_without_a_frame_takes_no_memory() -> None:
    deframer = Deframer()
    for _ in range(100):
        assert deframer.feed(b"y" * 1000) == []
    assert deframer.dropped == 100_000
