"""MLLP framing: a message between 0x0B and 0x1C 0x0D on a stream of bytes. Pure.

It accepts what senders get wrong: no final CR, bytes between frames, several frames in one packet or one in many,
frames that never end. 0x1C always ends a frame. 0x0B inside a frame starts a new one only in front of a header (MSH,
FHS, BHS), since typed text may contain it as a line break.
"""

import re

import msgspec

START = b"\x0b"
END = b"\x1c"
MAX_BYTES = 1 << 20
HEAD_BYTES = 4096  # kept of a frame that is too large, for the MSH that its rejection needs
_BEGUN = re.compile(rb"\x0b(?=MSH|FHS|BHS)")
_LOOK_BACK = 3  # bytes of a start sequence that may be split between two packets


class Oversized(msgspec.Struct, frozen=True):
    """A frame above the size limit: its first HEAD_BYTES, and its size in bytes."""

    head: bytes
    size: int


Frame = bytes | Oversized


def frame(message: bytes) -> bytes:
    """The message with its MLLP framing."""
    return START + message + END + b"\r"


class Deframer:
    """Extracts the frames from a byte stream; of a frame larger than `max_bytes` only head and size are kept."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0  # bytes outside any frame, line ends excepted
        self.unended = 0  # frames that had no end before the next one started
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._inside = False
        self._shed = 0  # bytes discarded of the current frame, if it is too large
        self._head = b""  # the first HEAD_BYTES of them

    @property
    def is_within(self) -> bool:
        """Whether the stream is inside a frame."""
        return self._inside

    def feed(self, data: bytes) -> list[Frame]:
        """Add received bytes; returns the frames that they complete."""
        self._buffer += data
        found: list[Frame] = []
        while self._inside or self._skip_to_start():
            end = self._buffer.find(END)
            if self._begin_anew(len(self._buffer) if end < 0 else end):
                continue
            if end < 0:
                self._bound()
                break
            found.append(self._taken(end))
        return found

    def _skip_to_start(self) -> bool:
        start = self._buffer.find(START)
        outside = len(self._buffer) if start < 0 else start
        self.dropped += len(self._buffer[:outside].strip(b"\r\n"))
        del self._buffer[: outside + 1]
        self._inside = start >= 0
        return self._inside

    def _begin_anew(self, limit: int) -> bool:
        """Restart at a new frame's start before `limit`, if there is one: the current frame was never ended."""
        begun = [match.end() for match in _BEGUN.finditer(self._buffer, 0, min(limit + _LOOK_BACK, len(self._buffer)))]
        if not begun:
            return False
        self.unended += len(begun)
        del self._buffer[: begun[-1]]
        self._head, self._shed = b"", 0
        return True

    def _bound(self) -> None:
        """Discard the buffered bytes of a frame above the limit, except its head."""
        if self._shed or len(self._buffer) > self._max_bytes:
            gone = max(0, len(self._buffer) - _LOOK_BACK - 1)
            self._head += bytes(self._buffer[: min(gone, HEAD_BYTES - len(self._head))])
            del self._buffer[:gone]
            self._shed += gone

    def _taken(self, end: int) -> Frame:
        message, size = bytes(self._buffer[:end]), self._shed + end
        head = (self._head + message[:HEAD_BYTES])[:HEAD_BYTES]
        del self._buffer[: end + 1]
        self._inside, self._head, self._shed = False, b"", 0
        return message if size <= self._max_bytes else Oversized(head, size)
