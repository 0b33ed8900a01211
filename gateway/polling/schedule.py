"""Who is polled next on one line: slots, back-off, priority, fairness. Pure; the caller brings the time.

Theory of operation. A unit's period is cut into ten slots and the unit keeps one of them: units share wake-ups
instead of each having a timer of its own. Dues lie on a grid, so a poll that comes late moves nothing, and slots that
passed meanwhile are skipped, never replayed. A unit whose polls only cost time is asked again after 1, 2, 4 ...
periods, at most MAX_BACK_OFF_S: a dead unit costs its neighbours one timeout a back-off period. Where no neighbour
answers there is nobody to spare, and all are asked at least each ALONE_BACK_OFF_S, so that a line that comes back is
soon noticed.

One answer brings a unit back to its period at once, but forgives only half of its misses: a unit that comes and goes
is put back further at its next miss than one that has always answered.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

SLOTS = 10
MAX_BACK_OFF_S = 30.0
ALONE_BACK_OFF_S = 5.0
_MOST_MISSES = 6  # that count: 32 periods


@dataclass
class _Turn:
    period_s: float
    offset_s: float
    due_s: float
    misses: int = 0
    answers: bool = False


class LineSchedule:
    """The turns of the units on one line. `phase` (0 to SLOTS - 1) is the slot the line's first unit gets."""

    def __init__(self, periods_s: Mapping[str, float], phase: int, now_s: float) -> None:
        self._turns: dict[str, _Turn] = {}
        self._first: frozenset[str] = frozenset()
        for index, (unit, period_s) in enumerate(periods_s.items()):
            offset_s = (phase + index) % SLOTS * period_s / SLOTS
            self._turns[unit] = _Turn(period_s, offset_s, _next_on_grid(now_s, period_s, offset_s))

    def prefer(self, units: frozenset[str]) -> None:
        """Units whose caps are in a session go first when several are due."""
        self._first = units

    def next(self, now_s: float) -> tuple[str, float]:
        """The unit whose turn is next and when it is due, in the caller's seconds."""
        overdue = [unit for unit, turn in self._turns.items() if turn.due_s <= now_s]
        if overdue:
            unit = min(overdue, key=lambda unit: (self._rank(unit, now_s), self._turns[unit].due_s))
        else:
            unit = min(self._turns, key=lambda unit: self._turns[unit].due_s)
        return unit, self._turns[unit].due_s

    def _rank(self, unit: str, now_s: float) -> int:
        """0 before 1: preferred units, and any unit that priority has kept waiting for two of its periods."""
        if not self._first or unit in self._first:
            return 0
        turn = self._turns[unit]
        return 0 if now_s - turn.due_s > 2 * turn.period_s else 1

    def done(self, unit: str, answered: bool, now_s: float) -> None:
        """Set the unit's next turn after a poll that ended at `now_s`; `answered` is False where it was time lost."""
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
    """The first instant after `now_s` that is a whole number of periods past the offset."""
    return (math.floor((now_s - offset_s) / period_s) + 1) * period_s + offset_s
