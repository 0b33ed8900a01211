"""The last answers of all units, kept so that those which could not be recorded are recorded later.

Theory of operation. Whatever ends the recording, the disk above all, leaves answers that the ledger does not know. Each
has the stamp of its own poll, so it proves later what it proved then. Once the ledger is open again they are recorded
in their order, before any new poll, as far as the ledger does not know them. At most MOST are kept: the oldest are
dropped, and the time that they covered is a silence like any other, which counts only where the unit's own counters
prove it.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from drivers.reading import ReadFault, Reading, stamp_of

MOST = 6000  # an hour and more of eight units; some kilobytes each


class KeptAnswers:
    """The last answers, the oldest first."""

    def __init__(self) -> None:
        self._answers: deque[Reading | ReadFault] = deque(maxlen=MOST)

    def add(self, answer: Reading | ReadFault) -> None:
        """Keep an answer in place of the oldest."""
        self._answers.append(answer)

    def after(self, observed_us: Mapping[str, int]) -> Iterator[Reading | ReadFault]:
        """Those that are later than what is `observed` of their unit, UTC."""
        return later_than(observed_us, tuple(self._answers))


def later_than(observed_us: Mapping[str, int], answers: Iterable[Reading | ReadFault]) -> Iterator[Reading | ReadFault]:
    """The answers that are later than what is `observed` of their unit by then, UTC."""
    for answer in answers:
        if stamp_of(answer).utc_us > observed_us.get(answer.unit, 0):
            yield answer
