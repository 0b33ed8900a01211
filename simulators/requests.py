"""What the handlers of lines share: extracting requests from received bytes, and delayed answers."""

import asyncio
from collections.abc import Iterator

from drivers.dialects.base import Dialect, NeedMore, Reject, Request
from simulators.endpoints import Write


def requests_in(codec: Dialect, buffer: bytearray) -> Iterator[Request]:
    """Remove and yield every complete request at the start of `buffer`; an incomplete one stays."""
    while True:
        verdict = codec.scan_request(buffer)
        match verdict:
            case NeedMore():
                return
            case Reject(consumed=consumed):
                del buffer[:consumed]
            case Request(consumed=consumed):
                del buffer[:consumed]
                yield verdict


class LateAnswers:
    """Delayed writes, cancelled when the connection ends."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._coming: set[asyncio.TimerHandle] = set()

    def write(self, data: bytes, after_s: float) -> None:
        """Write `data` after `after_s` seconds."""

        def write_now() -> None:
            self._coming.discard(handle)
            self._write(data)

        handle = asyncio.get_running_loop().call_later(after_s, write_now)
        self._coming.add(handle)

    def close(self) -> None:
        """Cancel pending answers."""
        for handle in self._coming:
            handle.cancel()
