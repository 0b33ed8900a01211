"""MLLP framing: a message between 0x0B and 0x1C 0x0D on a stream of bytes. Pure.

Senders differ: some leave out the last CR, some send bytes between frames, some put two frames in one packet or one in
many, some never end a frame. 0x1C ends a frame wherever it stands. 0x0B begins one anew only in front of a header, for
text that was typed elsewhere has it as a line end.
"""

import re

import msgspec

START = b"\x0b"
END = b"\x1c"
MAX_BYTES = 1 << 20
HEAD_BYTES = 4096  # what is kept of a frame that is too large: its header, to answer it
_BEGUN = re.compile(rb"\x0b(?=MSH|FHS|BHS)")
_LOOK_BACK = 3  # bytes of a begin that the next packet may complete


class Oversized(msgspec.Struct, frozen=True):
    """A frame larger than is taken: how it begins, and its size in bytes."""

    head: bytes
    size: int


Frame = bytes | Oversized


def frame(message: bytes) -> bytes:
    """The message as it goes over the line."""
    return START + message + END + b"\r"


class Deframer:
    """Bytes in, messages out; of one larger than `max_bytes` only the begin and the size."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0  # bytes that stood in no frame, but for line ends
        self.unended = 0  # frames that another one followed before they were ended
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._inside = False
        self._shed = 0  # bytes that are gone of the frame under way, if it is too large
        self._head = b""  # the first of them

    @property
    def is_within(self) -> bool:
        """Whether a frame has begun and is not ended."""
        return self._inside

    def feed(self, data: bytes) -> list[Frame]:
        """What is complete now."""
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
        """Whether another frame begins before `limit`: the one under way was never ended."""
        begun = [match.end() for match in _BEGUN.finditer(self._buffer, 0, min(limit + _LOOK_BACK, len(self._buffer)))]
        if not begun:
            return False
        self.unended += len(begun)
        del self._buffer[: begun[-1]]
        self._head, self._shed = b"", 0
        return True

    def _bound(self) -> None:
        """Keep no more of a frame than is ever taken."""
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
