"""Replays a capture as a simulated unit: equal requests get the recorded bytes, with the recorded delays.

A request that was recorded several times gets its answers in turn, cyclically. A request without a recorded answer is
not answered.
"""

from pathlib import Path

from drivers.diagnose.capture import Capture, NotACapture, load_capture
from drivers.diagnose.frames import Exchange, exchanges
from drivers.dialects.base import Dialect, Query, Request
from drivers.dialects.registry import DialectName, dialect
from simulators.endpoints import Write
from simulators.requests import LateAnswers, requests_in


class RecordedAnswers:
    """The exchanges of a capture, by query."""

    def __init__(self, capture: Capture, codec: Dialect) -> None:
        self._codec = codec
        self._answers: dict[Query, list[Exchange]] = {}
        for each in exchanges(capture, codec):
            self._answers.setdefault(each.request.query, []).append(each)
        self._next = dict.fromkeys(self._answers, 0)

    @property
    def unit_ids(self) -> tuple[int | None, ...]:
        """The unit ids in the recorded requests."""
        return tuple(dict.fromkeys(query.unit_id for query in self._answers))

    def answer(self, request: Request) -> tuple[tuple[float, bytes], ...]:
        """The recorded answer as (seconds after the request, bytes), with this request's transaction."""
        recorded = self._answers.get(request.query)
        if recorded is None:
            return ()
        at = self._next[request.query]
        self._next[request.query] = (at + 1) % len(recorded)
        then = recorded[at]
        return tuple(
            (after_s, self._codec.with_transaction(data, then.request, request)) for after_s, data in then.answers
        )


def load_recorded(path: Path, override: DialectName | None) -> tuple[RecordedAnswers, Capture, Dialect]:
    """The capture in a file, in its own dialect or in the given one. Raises NotACapture."""
    capture = load_capture(path)
    name = override or capture.header.dialect
    if name is None:
        raise NotACapture(f"{path}: says no dialect, accepted: name it with --dialect")
    codec = dialect(name)
    recorded = RecordedAnswers(capture, codec)
    if not recorded.unit_ids:
        raise NotACapture(f"{path}: holds no request of {name}, accepted: a capture in which something was asked")
    return recorded, capture, codec


class ReplayHandler:
    """Handles one connection: answers from the capture."""

    def __init__(self, recorded: RecordedAnswers, codec: Dialect, write: Write) -> None:
        self._recorded = recorded
        self._codec = codec
        self._buffer = bytearray()
        self._late = LateAnswers(write)

    def receive(self, data: bytes) -> None:
        """Answer every complete request received so far."""
        self._buffer += data
        for request in requests_in(self._codec, self._buffer):
            for after_s, piece in self._recorded.answer(request):
                self._late.write(piece, after_s)

    def close(self) -> None:
        """Cancel pending answers."""
        self._late.close()
