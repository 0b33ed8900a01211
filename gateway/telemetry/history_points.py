"""A cap's temperatures of some time, read back from the history file."""

from pathlib import Path

from drivers.reading import Quality
from gateway.ledger.temperatures import HistoryUnavailable, read_history
from gateway.telemetry.latest import CAP_POINTS, COOLANT_POINTS, TrendPoint


def stored_points(path: Path, unit: str, cap: int, since_us: int, until_us: int) -> list[TrendPoint]:
    """One point for each sample of the cap, the oldest first; none if the file cannot be read. Blocks."""
    found: dict[int, dict[str, float]] = {}
    try:
        for row in read_history(path, unit, since_us, until_us):
            sample = row.sample
            if sample.cap == cap and sample.quality == Quality.GOOD and sample.value is not None:
                found.setdefault(sample.at_us, {})[sample.point] = sample.value
    except HistoryUnavailable:
        return []
    return [TrendPoint(at_us, _first(each, CAP_POINTS), _first(each, COOLANT_POINTS)) for at_us, each in found.items()]


def _first(values: dict[str, float], points: tuple[str, ...]) -> float | None:
    return next((values[point] for point in points if point in values), None)
