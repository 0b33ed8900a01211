"""The polling schedule of one line: slots, back-off, priority, fairness. Pure; the caller passes the time.

Theory of operation. A unit's period is divided into ten slots and the unit keeps one of them, so that units share
wake-ups of the event loop. Due times are on a fixed grid, so a late poll does not shift later ones, and missed slots
are skipped. A unit that does not answer is polled again after 1, 2, 4 ... periods, at most MAX_BACK_OFF_S (exponential
back-off), so that a dead unit delays the others on the line by one timeout in that time. If no unit on the line
answers, all are polled at least each ALONE_BACK_OFF_S, so that a line that works again is soon noticed.

One answer returns a unit to its period at once, but halves its misses only: an unstable unit backs off further at its
next miss than one that has always answered.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

SLOTS = 10
MAX_BACK_OFF_S = 30.0
ALONE_BACK_OFF_S = 5.0
_MOST_MISSES = 6  # misses that are counted: a back-off of 32 periods


@dataclass
class _Turn:
    period_s: float
    offset_s: float
    due_s: float
    misses: int = 0
    answers: bool = False


class LineSchedule:
    """The schedule of the units on one line. `phase` (0 to SLOTS - 1) is the slot of the line's first unit."""

    def __init__(self, periods_s: Mapping[str, float], phase: int, now_s: float) -> None:
        self._turns: dict[str, _Turn] = {}
        self._first: frozenset[str] = frozenset()
        for index, (unit, period_s) in enumerate(periods_s.items()):
            offset_s = (phase + index) % SLOTS * period_s / SLOTS
            self._turns[unit] = _Turn(period_s, offset_s, _next_on_grid(now_s, period_s, offset_s))

    def prefer(self, units: frozenset[str]) -> None:
        """Set the units that go first when several are due: those with a cap in a session."""
        self._first = units

    def next(self, now_s: float) -> tuple[str, float]:
        """The next unit to poll, and when it is due, in the caller's seconds."""
        overdue = [unit for unit, turn in self._turns.items() if turn.due_s <= now_s]
        if overdue:
            unit = min(overdue, key=lambda unit: (self._rank(unit, now_s), self._turns[unit].due_s))
        else:
            unit = min(self._turns, key=lambda unit: self._turns[unit].due_s)
        return unit, self._turns[unit].due_s

    def _rank(self, unit: str, now_s: float) -> int:
        """Sort key: 0 for preferred units, and for any unit that has been due for two of its periods; else 1."""
        if not self._first or unit in self._first:
            return 0
        turn = self._turns[unit]
        return 0 if now_s - turn.due_s > 2 * turn.period_s else 1

    def done(self, unit: str, answered: bool, now_s: float) -> None:
        """Set the unit's next due time after a poll that ended at `now_s`; `answered` is False for a timeout."""
        turn = self._turns[unit]
        turn.answers = answered
        turn.misses = turn.misses // 2 if answered else min(turn.misses + 1, _MOST_MISSES)
        wait_s = 0.0
        if not answered:
            has_neighbours = any(other.answers for other in self._turns.values())
            longest_s = max(MAX_BACK_OFF_S if has_neighbours else ALONE_BACK_OFF_S, turn.period_s)
            wait_s = min(turn.period_s * 2 ** (turn.misses - 1), longest_s) - turn.period_s
        turn.due_s = _next_on_grid(now_s + wait_s, turn.period_s, turn.offset_s)


def _next_on_grid(now_s: float, period_s: float, offset_s: float) -> float:
    """The first time after `now_s` that is a whole number of periods after the offset."""
    at_s = (math.floor((now_s - offset_s) / period_s) + 1) * period_s + offset_s
    return at_s if at_s > now_s else at_s + period_s  # the division may be rounded to just below `now_s` itself
