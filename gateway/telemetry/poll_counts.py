"""What has been counted of units and lines since it was last written, from the counters that polling keeps anyway."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from gateway.ledger.temperatures import READ, PollCount
from gateway.monitoring.counters import UnitCounters

_Name = tuple[str, str, str]  # line, unit, kind


class PollCounts:
    """Differences of counters. `lines` has the line of each unit."""

    def __init__(
        self,
        lines: Mapping[str, str],
        of_units: Callable[[], Mapping[str, UnitCounters]],
        of_lines: Callable[[], Mapping[str, Mapping[str, int]]],
    ) -> None:
        self._lines = lines
        self._of_units = of_units
        self._of_lines = of_lines
        self._taken: dict[_Name, int] = {}

    def take(self, day: str) -> list[PollCount]:
        """What was counted since it was taken last, as of `day`."""
        totals = dict(self._totals())
        found = [PollCount(day, *name, count - self._taken.get(name, 0)) for name, count in totals.items()]
        self._taken |= totals
        return [each for each in found if each.count]

    def give_back(self, counts: Iterable[PollCount]) -> None:
        """They could not be written: they are taken again."""
        for each in counts:
            self._taken[each.line, each.unit, each.kind] -= each.count

    def _totals(self) -> Iterator[tuple[_Name, int]]:
        for unit, counters in self._of_units().items():
            yield (self._lines[unit], unit, READ), counters.reads_ok
            for kind, count in counters.faults.items():
                yield (self._lines[unit], unit, kind), count
        for line, events in self._of_lines().items():
            for event, count in events.items():
                yield (line, "", event), count
