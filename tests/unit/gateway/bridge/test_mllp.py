"""MLLP framing: whatever the packets, the same messages; whatever the rubbish, the next message is found."""

from itertools import pairwise

import pytest
from hl7.client import EB, SB
from hypothesis import given
from hypothesis import strategies as st

from gateway.bridge.mllp import Deframer, FrameTooLarge, frame

MESSAGES = st.lists(st.binary(max_size=60).map(lambda text: text.replace(SB, b"").replace(EB[:1], b"")), max_size=6)


def test_a_frame_is_what_another_program_makes_of_it() -> None:
    assert frame(b"MSH|x\r") == SB + b"MSH|x\r" + EB + b"\r"


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_packets_mean_nothing(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(map(frame, messages))
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    deframer, found = Deframer(), list[bytes]()
    for start, end in pairwise(edges):
        found += deframer.feed(stream[start:end])
    assert found == messages
    assert deframer.dropped == 0


@given(rubbish=st.binary(max_size=80), message=st.binary(min_size=1, max_size=40))
def test_after_any_rubbish_the_next_message_is_found(rubbish: bytes, message: bytes) -> None:
    message = message.replace(SB, b"x").replace(EB[:1], b"x")
    deframer = Deframer()
    assert (deframer.feed(rubbish) + deframer.feed(frame(message)))[-1] == message


@pytest.mark.parametrize(
    "stream",
    [
        b"\x0bMSH|1\r\x1c\x0bMSH|2\r\x1c",
        b"\x0bMSH|1\r\x1c\r\n\x0bMSH|2\r\x1c\r\r",
        b"noise\x0bMSH|0 cut off\x0bMSH|1\r\x1c\r\x0bMSH|2\r\x1c\r",
    ],
    ids=["no CR behind a frame", "line ends between frames", "a frame that was never ended"],
)
def test_what_senders_do_is_understood(stream: bytes) -> None:
    assert Deframer().feed(stream) == [b"MSH|1\r", b"MSH|2\r"]


def test_a_frame_without_end_is_given_up_before_it_fills_the_memory() -> None:
    deframer = Deframer(max_bytes=1000)
    assert deframer.feed(b"\x0b" + b"x" * 900) == []
    with pytest.raises(FrameTooLarge, match="1000"):
        deframer.feed(b"x" * 200)


def test_rubbish_without_a_frame_takes_no_memory() -> None:
    deframer = Deframer()
    for _ in range(100):
        assert deframer.feed(b"y" * 1000) == []
    assert deframer.dropped == 100_000
