"""A capture that answers: what was asked then is answered as it was then, byte for byte and as late.

A request that was made more than once gets its answers in their order, then from the first again. One that was never
made gets silence, as does one that was not answered.
"""

from pathlib import Path

from drivers.diagnose.capture import Capture, NotACapture, load_capture
from drivers.diagnose.frames import Exchange, exchanges
from drivers.dialects.base import Dialect, Query, Request
from drivers.dialects.registry import DialectName, dialect
from simulators.endpoints import Write
from simulators.requests import LateAnswers, requests_in


class RecordedAnswers:
    """The exchanges of a capture, by what was asked."""

    def __init__(self, capture: Capture, language: Dialect) -> None:
        self._language = language
        self._answers: dict[Query, list[Exchange]] = {}
        for each in exchanges(capture, language):
            self._answers.setdefault(each.request.query, []).append(each)
        self._next = dict.fromkeys(self._answers, 0)

    @property
    def unit_ids(self) -> tuple[int | None, ...]:
        """The units that were asked."""
        return tuple(dict.fromkeys(query.unit_id for query in self._answers))

    def answer(self, request: Request) -> tuple[tuple[float, bytes], ...]:
        """What came upon this request: seconds after it, and the bytes, with this request's own transaction."""
        recorded = self._answers.get(request.query)
        if recorded is None:
            return ()
        at = self._next[request.query]
        self._next[request.query] = (at + 1) % len(recorded)
        then = recorded[at]
        return tuple(
            (after_s, self._language.with_transaction(data, then.request, request)) for after_s, data in then.answers
        )


def load_recorded(path: Path, spoken: DialectName | None) -> tuple[RecordedAnswers, Capture, Dialect]:
    """The capture in a file, in its own dialect or in `spoken`. Raises NotACapture."""
    capture = load_capture(path)
    name = spoken or capture.header.dialect
    if name is None:
        raise NotACapture(f"{path}: says no dialect, accepted: name it with --dialect")
    language = dialect(name)
    recorded = RecordedAnswers(capture, language)
    if not recorded.unit_ids:
        raise NotACapture(f"{path}: holds no request of {name}, accepted: a capture in which something was asked")
    return recorded, capture, language


class ReplayHandler:
    """Handles one connection: answers from the capture."""

    def __init__(self, recorded: RecordedAnswers, language: Dialect, write: Write) -> None:
        self._recorded = recorded
        self._language = language
        self._buffer = bytearray()
        self._late = LateAnswers(write)

    def receive(self, data: bytes) -> None:
        """Answers every whole request that has arrived by now."""
        self._buffer += data
        for request in requests_in(self._language, self._buffer):
            for after_s, piece in self._recorded.answer(request):
                self._late.write(piece, after_s)

    def close(self) -> None:
        """Answers that are still to come are never given."""
        self._late.close()
