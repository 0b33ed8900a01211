"""What every handler of a line shares: the requests in the bytes received, and answers that are sent later."""

import asyncio
from collections.abc import Iterator

from drivers.dialects.base import Dialect, NeedMore, Reject, Request
from simulators.endpoints import Write


def requests_in(language: Dialect, buffer: bytearray) -> Iterator[Request]:
    """Every whole request at the start of `buffer`, which keeps what may still become one."""
    while True:
        verdict = language.scan_request(buffer)
        match verdict:
            case NeedMore():
                return
            case Reject(consumed=consumed):
                del buffer[:consumed]
            case Request(consumed=consumed):
                del buffer[:consumed]
                yield verdict


class LateAnswers:
    """Answers that are written after a while, unless the connection ends before."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._coming: set[asyncio.TimerHandle] = set()

    def write(self, data: bytes, after_s: float) -> None:
        """Write `data` in `after_s`."""

        def write_now() -> None:
            self._coming.discard(handle)
            self._write(data)

        handle = asyncio.get_running_loop().call_later(after_s, write_now)
        self._coming.add(handle)

    def close(self) -> None:
        """Answers that are still to come are never given."""
        for handle in self._coming:
            handle.cancel()
