"""MLLP framing: a message between 0x0B and 0x1C 0x0D on a stream of bytes. Pure.

Senders differ: some leave out the last CR, some send bytes between frames, some put two frames in one packet or one in
many. Neither marker can stand in an HL7 message, so each is taken for what it is wherever it stands.
"""

START = b"\x0b"
END = b"\x1c"
MAX_BYTES = 1 << 20


class FrameTooLarge(ValueError):
    """A frame goes on past `MAX_BYTES`; nothing that follows on this stream can be told apart."""


def frame(message: bytes) -> bytes:
    """The message as it goes over the line."""
    return START + message + END + b"\r"


class Deframer:
    """Bytes in, messages out. `dropped` counts bytes that stood in no frame, but for line ends."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._inside = False

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete now. Raises FrameTooLarge."""
        self._buffer += data
        messages: list[bytes] = []
        while True:
            if not self._inside and not self._skip_to_start():
                return messages
            end = self._buffer.find(END)
            begun_anew = self._buffer.rfind(START, 0, len(self._buffer) if end < 0 else end)
            if begun_anew >= 0:  # the frame before was never ended
                self._drop(begun_anew + 1)
                continue
            if end < 0:
                if len(self._buffer) > self._max_bytes:
                    raise FrameTooLarge(f"a frame is larger than {self._max_bytes} bytes")
                return messages
            messages.append(bytes(self._buffer[:end]))
            del self._buffer[: end + 1]
            self._inside = False

    def _skip_to_start(self) -> bool:
        start = self._buffer.find(START)
        self._drop(len(self._buffer) if start < 0 else start)
        if start >= 0:
            del self._buffer[:1]
            self._inside = True
        return self._inside

    def _drop(self, count: int) -> None:
        self.dropped += len(self._buffer[:count].strip(b"\r\n"))
        del self._buffer[:count]
