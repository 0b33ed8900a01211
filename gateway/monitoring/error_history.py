"""The report on the read errors that the history file keeps."""

from pathlib import Path

from gateway.ledger.temperatures import HistoryUnavailable, calibrations_in_use, read_counts
from gateway.monitoring.line_health import CALIBRATION_DAYS, LinesReport, lines_report


def report_on(file: Path, calibration_days: int = CALIBRATION_DAYS) -> LinesReport | None:
    """The report on the history in `file`; None where nothing was counted. Raises HistoryUnavailable. Blocks."""
    return lines_report(read_counts(file), calibrations_in_use(file), calibration_days)


class ErrorHistory:
    """The report on one history file, computed anew only after it changed; the gateway writes it once a minute."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[tuple[tuple[int, int] | None, ...], LinesReport | None] = ((), None)

    def report(self) -> LinesReport | None:
        """The report; None where nothing was counted, or the file cannot be read. Blocks."""
        state = tuple(map(_state, (self._file, self._file.with_name(f"{self._file.name}-wal"))))
        if state != self._read[0]:
            self._read = (state, self._compute())
        return self._read[1]

    def _compute(self) -> LinesReport | None:
        try:
            return report_on(self._file)
        except HistoryUnavailable:
            return None


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
