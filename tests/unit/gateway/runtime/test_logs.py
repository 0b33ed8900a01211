"""Log lines stay one line, say what changed, and can be read by machines."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.reading import Stamp
from gateway.runtime.kernel_clock import Kept
from gateway.runtime.logs import HumanFormatter, JsonFormatter, LogLevel, Outage, escaped, recent_lines, setup_logging


class FakeClock:
    """A clock that stands until it is moved."""

    speed = 1.0
    released_us = 0

    def __init__(self) -> None:
        self.boot_us = 0

    def now(self) -> Stamp:
        return Stamp(1_790_000_000_000_000 + self.boot_us, self.boot_us)

    def kept(self) -> Kept:
        return Kept(synchronised=True)

    def step_us(self) -> int:
        return 0

    def align(self) -> None:
        pass

    def resume(self, stamp: Stamp) -> None:
        pass


def record(msg: str, **extra: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "gateway.x", "levelno": 30, "levelname": "WARNING", "msg": msg, "created": 1_790_000_000.25, **extra}
    )


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    """What one logger wrote, parsed."""
    written: list[dict[str, object]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(JsonFormatter().format(record)))

    handler = Keep()
    logger = logging.getLogger("outage")
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


@pytest.fixture
def _root_restored() -> Iterator[None]:
    root = logging.getLogger()
    before, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers, logging.raiseExceptions = before, raises
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_json_line_has_time_level_logger_message_and_the_extra_fields() -> None:
    line = json.loads(JsonFormatter().format(record("unit lost", unit="cap-07", misses=3)))
    assert line == {
        "ts": "2026-09-21T14:13:20.250Z",
        "level": "warning",
        "logger": "gateway.x",
        "msg": "unit lost",
        "unit": "cap-07",
        "misses": 3,
    }


def test_an_extra_field_cannot_pass_for_the_time_or_the_level() -> None:
    line = json.loads(JsonFormatter().format(record("m", ts="forged", level="debug")))
    assert (line["ts"], line["level"]) == ("2026-09-21T14:13:20.250Z", "warning")


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_whatever_the_text_a_line_stays_one_printable_line(message: str, value: str) -> None:
    given_record = record(message.replace("%", "%%"), detail=value)
    for line in (JsonFormatter().format(given_record), HumanFormatter().format(given_record)):
        assert line.isprintable(), repr(line)


def test_json_gives_back_exactly_the_text_that_was_logged() -> None:
    text = 'a\x1b[2J\n\x00\x7f\u202e "q" \ud800 °C'
    assert json.loads(JsonFormatter().format(record("m", detail=text)))["detail"] == text


def test_escapes_are_readable() -> None:
    assert escaped("a\r\n\x1b[0m é") == r"a\r\n\x1b[0m é"


@pytest.mark.parametrize("formatter", [JsonFormatter(), HumanFormatter()])
def test_an_exception_brings_its_traceback(formatter: logging.Formatter) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        text = formatter.format(record("failed", exc_info=sys.exc_info()))
    assert "ValueError: broken" in text


def test_the_human_line_is_short() -> None:
    assert HumanFormatter().format(record("unit lost", unit="cap-07")) == (
        "14:13:20 WARNING gateway.x: unit lost  unit=cap-07"
    )


@pytest.mark.usefixtures("_root_restored")
def test_setup_replaces_the_handlers_and_sets_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    for _ in range(2):
        setup_logging(json=True, level=LogLevel.WARNING)
    logging.getLogger("a.b").info("quiet")
    logging.getLogger("a.b").warning("once %d", 1)
    assert [json.loads(line)["msg"] for line in stderr.getvalue().splitlines()] == ["once 1"]
    assert [json.loads(line)["msg"] for line in recent_lines()] == ["quiet", "once 1"]


def test_an_outage_speaks_once_on_loss_and_once_on_return(lines: list[dict[str, object]]) -> None:
    clock = FakeClock()
    outage = Outage(logging.getLogger("outage"), clock, "unit cap-07", {"unit": "cap-07"})
    outage.back()
    assert lines == []
    for _ in range(5):
        outage.lost("timeout")
        clock.boot_us += 2_000_000
    assert [line["msg"] for line in lines] == ["unit cap-07 is lost"]
    for _ in range(5):
        outage.back()
    assert [line["msg"] for line in lines] == ["unit cap-07 is lost", "unit cap-07 is back"]
    assert (lines[0]["reason"], lines[1]["lasted_s"], lines[1]["unit"]) == ("timeout", 10.0, "cap-07")
