"""R25, random part: a million frames of all that a line may carry. No error leaves a dialect, nothing hangs it, and
what it takes for an answer is one by a check that shares no code with it.
"""

import random
import re
from collections.abc import Callable, Iterator

import pytest

from drivers.dialects.base import (
    Dialect,
    Exceptional,
    ModbusQuery,
    NeedMore,
    Query,
    Refusal,
    Reply,
    Request,
)
from drivers.dialects.registry import DialectName, dialect
from drivers.profile.load import load_profile
from tests.bus.reads import crc16
from tests.contract.profile_wire import SHIPPED, TRANSACTION, frame_bytes, profile_shape
from tests.scorecard.repeats import repeats

FRAMES = repeats(4_000) // len(DialectName)
PATTERNS = ("01", "01 03", "01 03 02", "01 03 fa", "01 83", "00", "ff", "3a", "0d 0a", "ca 00 01", "7b 53")
LONGEST_UNANSWERED = 4096  # bytes that a line gathers at most; a dialect must have said something before

Answers = Callable[[bytes, bytes], bool]


def rtu_answers(request: bytes, frame: bytes) -> bool:
    if crc16(frame[:-2]) != frame[-2] + 256 * frame[-1] or frame[0] != request[0]:
        return False
    return _pdu_answers(request[1:6], frame[1:-2])


def ascii_answers(request: bytes, frame: bytes) -> bool:
    if re.fullmatch(rb":([0-9A-Fa-f]{2})+\r\n", frame) is None:
        return False
    asked, message = (bytes.fromhex(each[1:-2].decode()) for each in (request, frame))
    return sum(message) % 256 == 0 and message[0] == asked[0] and _pdu_answers(asked[1:6], message[1:-1])


def tcp_answers(request: bytes, frame: bytes) -> bool:
    is_framed = frame[:4] == request[:4] and frame[4] * 256 + frame[5] == len(frame) - 6 and frame[6] == request[6]
    return is_framed and _pdu_answers(request[7:12], frame[7:])


def _pdu_answers(asked: bytes, pdu: bytes) -> bool:
    if pdu[0] == asked[0] | 0x80:
        return len(pdu) == 2
    count = asked[3] * 256 + asked[4]
    size = 2 * count if asked[0] in (3, 4) else (count + 7) // 8
    return pdu[0] == asked[0] and pdu[1] == size == len(pdu) - 2


def julabo_answers(request: bytes, frame: bytes) -> bool:
    return re.fullmatch(rb"[ -~\t\v\f\r]*[!-~][ -~\t\v\f\r]*\n", frame) is not None


def polyscience_answers(request: bytes, frame: bytes) -> bool:
    return re.fullmatch(rb"[ -~]+\r", frame) is not None


def nc_answers(request: bytes, frame: bytes) -> bool:
    if frame[:3] != request[:3] or frame[4] != len(frame) - 6 or sum(frame[1:-1]) % 256 ^ 0xFF != frame[-1]:
        return False
    is_error = frame[3] == 0x0F and frame[4] == 2 and frame[6] == request[3]
    return is_error or (frame[3] == request[3] and frame[4] > 0)


def huber_answers(request: bytes, frame: bytes) -> bool:
    return re.fullmatch(rb"\{S[0-9A-F]{6}\r\n", frame) is not None and frame[2:4] == request[2:4]


def lauda_answers(request: bytes, frame: bytes) -> bool:
    return re.fullmatch(rb"[ -~]*[!-~][ -~]*\r\n?", frame) is not None


ANSWERS: dict[str, Answers] = {
    "modbus-rtu": rtu_answers,
    "modbus-ascii": ascii_answers,
    "modbus-tcp": tcp_answers,
    "julabo": julabo_answers,
    "polyscience": polyscience_answers,
    "nc": nc_answers,
    "huber-pb": huber_answers,
    "lauda": lauda_answers,
}

PRINTED: dict[str, list[tuple[bytes, bytes]]] = {  # by the documents that the dialects name
    "nc": [
        (bytes.fromhex("CA 00 01 20 00 DE"), bytes.fromhex("CA 00 01 20 03 11 02 71 57")),
        (bytes.fromhex("CA 00 01 20 00 DE"), bytes.fromhex("CA 00 01 20 03 11 FF 97 34")),
        (bytes.fromhex("CA 00 01 20 00 DE"), bytes.fromhex("CA 00 01 0F 02 03 20 CA")),
    ],
    "huber-pb": [(b"{M01****\r\n", b"{S01FE4E\r\n"), (b"{M0A****\r\n", b"{S0A0011\r\n")],
    "lauda": [(b"IN_PV_00\r", b"-10.50\r\n"), (b"STATUS\r", b"0\r\n"), (b"A015_IN_PV_00\r", b"A015_-4.20\r")],
}


def golden_frames(name: DialectName) -> list[tuple[bytes, bytes]]:
    """Requests and replies that some document or profile prints for this dialect."""
    found = list(PRINTED.get(name, []))
    for path in SHIPPED:
        profile = load_profile(path)
        if profile.dialect is name:
            exchanges = [exchange for golden in profile_shape(path).golden for exchange in golden.exchanges]
            found += [(frame_bytes(profile, each.tx), frame_bytes(profile, each.rx)) for each in exchanges]
    return found


class Traffic:
    """Whatever may come along a line, drawn by chance: every kind is drawn."""

    def __init__(self, codec: Dialect, golden: list[tuple[bytes, bytes]], chance: random.Random) -> None:
        self._spoken, self._golden, self._chance = codec, golden, chance
        self._kinds = (self._random, self._cut, self._flipped, self._spliced, self._of_another, self._echo, self._whole)

    def buffer(self) -> bytes:
        """One to four pieces in a row."""
        return b"".join(self._chance.choice(self._kinds)() for _ in range(self._chance.randrange(1, 5)))

    def _random(self) -> bytes:
        return self._chance.randbytes(self._chance.randrange(1, 60))

    def _cut(self) -> bytes:
        reply = self._whole()
        start, end = sorted((self._chance.randrange(len(reply) + 1), self._chance.randrange(len(reply) + 1)))
        return reply[start:end]

    def _flipped(self) -> bytes:
        damaged = bytearray(self._whole())
        for _ in range(self._chance.randrange(1, 9)):
            damaged[self._chance.randrange(len(damaged))] ^= 1 << self._chance.randrange(8)
        return bytes(damaged)

    def _spliced(self) -> bytes:
        one, other = self._whole(), self._whole()
        return one[: self._chance.randrange(len(one) + 1)] + other[self._chance.randrange(len(other) + 1) :]

    def _of_another(self) -> bytes:
        """A sound frame that answers something else, or refuses."""
        heard = self._spoken.scan_request(self._echo())
        assert isinstance(heard, Request)
        query, transaction = heard.query, self._chance.choice((heard.transaction, self._chance.randrange(0x10000)))
        if not isinstance(query, ModbusQuery):
            return self._whole()
        other = ModbusQuery(
            self._chance.choice((query.unit_id, self._chance.randrange(1, 248))),
            self._chance.choice((1, 2, 3, 4, query.function)),
            query.address,
            self._chance.choice((query.count, self._chance.randrange(1, 125))),
        )
        if self._chance.random() < 0.2:
            return self._spoken.encode_reply(Request(0, other, transaction), Refusal(self._chance.randrange(1, 17)))
        top = 2 if other.function in (1, 2) else 0x10000
        words = tuple(self._chance.randrange(top) for _ in range(other.count))
        return self._spoken.encode_reply(Request(0, other, transaction), words)

    def _echo(self) -> bytes:
        return self._chance.choice(self._golden)[0]

    def _whole(self) -> bytes:
        return self._chance.choice(self._golden)[1]


def verdicts(codec: Dialect, buffer: bytes, query: Query) -> Iterator[tuple[bytes, Reply | Exceptional]]:
    """The answers in the buffer with their bytes; fails where a dialect does not get on."""
    while not isinstance(verdict := codec.scan(buffer, query, TRANSACTION), NeedMore):
        assert 0 < verdict.consumed <= len(buffer)
        if isinstance(verdict, Reply | Exceptional):
            yield buffer[: verdict.consumed], verdict
        buffer = buffer[verdict.consumed :]
    assert len(buffer) < LONGEST_UNANSWERED


@pytest.mark.parametrize("name", DialectName)
def test_no_frame_of_a_million_raises_hangs_or_passes_unchecked(name: DialectName) -> None:
    codec, golden, answers = dialect(name), golden_frames(name), ANSWERS[name]
    chance = random.Random(f"97009 {name}")
    traffic = Traffic(codec, golden, chance)
    taken = 0
    for number in range(FRAMES):
        request, _ = chance.choice(golden)
        heard = codec.scan_request(request)
        assert isinstance(heard, Request)
        buffer = traffic.buffer()
        for frame, verdict in verdicts(codec, buffer, heard.query):
            assert answers(codec.encode(heard.query, TRANSACTION), frame), f"frame {number}: {buffer.hex()}: {verdict}"
            taken += 1
        rest = buffer
        while not isinstance(asked := codec.scan_request(rest), NeedMore):
            assert 0 < asked.consumed <= len(rest)
            rest = rest[asked.consumed :]
    assert taken > FRAMES // 50, "hardly anything was an answer: this proves little"


@pytest.mark.parametrize("name", DialectName)
@pytest.mark.parametrize(
    "pattern", ["01", "01 03", "01 03 02", "01 03 fa", "01 83", "00", "ff", "3a", "0d 0a", "ca", "7b"]
)
def test_a_buffer_of_the_worst_kind_is_gone_through_to_its_end(name: DialectName, pattern: str) -> None:
    """Beginnings that never become a frame: what is left to wait for is short, and each byte was looked at."""
    piece = bytes.fromhex(pattern)
    codec = dialect(name)
    heard = codec.scan_request(golden_frames(name)[0][0])
    assert isinstance(heard, Request)
    buffer = piece * (LONGEST_UNANSWERED // len(piece))
    for _, verdict in verdicts(codec, buffer, heard.query):
        assert isinstance(verdict, Reply | Exceptional)
