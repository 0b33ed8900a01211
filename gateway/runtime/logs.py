"""Log lines: one JSON object a line on stderr for machines, one readable line for a person at a terminal.

A log line has no patient data, and reports transitions, not states (`Outage`). Unprintable characters, which a device
or a message may put into a text, are escaped, so that a line stays one line and cannot control a terminal.
"""

import json
import logging
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from gateway.runtime.clock import US_PER_S, Clock

KEPT_LINES = 300
MAX_LINE = 2000  # characters; a traceback may be longer
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogLevel(StrEnum):
    """From which level on lines are written: what is lost and what is back is a warning, both."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ts, level, logger, msg, the fields of `extra`, and the traceback if there is one.

    It uses the standard library's encoder, which escapes everything but ASCII, also lone surrogates.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, object] = {
            "ts": _instant(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
        }
        line |= {name: value for name, value in _extras(record) if name not in line}
        if trace := _traceback(self, record):
            line["traceback"] = trace
        return json.dumps(line, default=str, separators=(",", ":")).replace("\x7f", "\\u007f")


class HumanFormatter(logging.Formatter):
    """`12:00:01 WARNING gateway.x: unit lost  unit=cap-07`, in UTC; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and its traceback."""
        fields = "".join(f" {name}={escaped(str(value))}" for name, value in _extras(record))
        head = f"{_instant(record):%H:%M:%S} {record.levelname} {record.name}: {escaped(record.getMessage())}"
        lines = [head + (f" {fields}" if fields else "")]
        if trace := _traceback(self, record):
            lines += [escaped(line) for line in trace.splitlines()]
        return "\n".join(lines)


class RecentLines(logging.Handler):
    """Keeps the last lines of the log, as JSON, for whoever looks for a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's line in place of the oldest; of a very long one the beginning, as a JSON string."""
        line = self.format(record)
        self.lines.append(line if len(line) <= MAX_LINE else json.dumps(line[:MAX_LINE]))


def recent_lines() -> tuple[str, ...]:
    """The last lines of the log, the oldest first; none where `setup_logging` was not called."""
    return tuple(line for each in logging.getLogger().handlers if isinstance(each, RecentLines) for line in each.lines)


def stack_of(error: BaseException) -> list[str]:
    """Where an error happened, for the log: without its own text, which may quote a message or a request."""
    return traceback.format_tb(error.__traceback__)


def setup_logging(json: bool, level: LogLevel = LogLevel.INFO) -> None:
    """Send every logger's lines of `level` and above, and Python's warnings, to stderr in one of the two forms.

    The recent lines that are kept have those of INFO too. Below it there are none: libraries might show messages there.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level.upper())
    handler.setFormatter(JsonFormatter() if json else HumanFormatter())
    root = logging.getLogger()
    root.handlers = [handler, RecentLines()]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a closed stderr must not stop the gateway


class Outage:
    """Logs once when something fails and once when it works again, however often either is reported."""

    def __init__(
        self, logger: logging.Logger, clock: Clock, what: str, fields: Mapping[str, object] | None = None
    ) -> None:
        """`what` is the subject of both lines, "unit cap-07"; `fields` go with both."""
        self._logger = logger
        self._clock = clock
        self._what = what
        self._fields = dict(fields or {})
        self._lost_at_us: int | None = None

    def lost(self, reason: str) -> None:
        """Report that it does not work, because of `reason`."""
        if self._lost_at_us is None:
            self._lost_at_us = self._clock.now().boot_us
            self._logger.warning("%s is lost", self._what, extra={**self._fields, "reason": reason})

    def back(self) -> None:
        """Report that it works."""
        if self._lost_at_us is not None:
            lasted_s = (self._clock.now().boot_us - self._lost_at_us) / US_PER_S
            self._lost_at_us = None
            self._logger.warning("%s is back", self._what, extra={**self._fields, "lasted_s": round(lasted_s, 1)})


def escaped(text: str) -> str:
    """The text with every unprintable character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _instant(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in vars(record).items() if name not in _STANDARD_FIELDS)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""
