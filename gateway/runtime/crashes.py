"""How often the gateway crashed lately, in a file of the state directory; too often means safe mode.

A crash is an error that nothing caught, or a signal such as SIGSEGV or the watchdog's SIGABRT, of which Python leaves a
trace. To be killed (SIGKILL, a power failure) is none: it says nothing about the gateway.
"""

import faulthandler
import logging
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from gateway.runtime.replace import replace_file
from gateway.runtime.tasks import innermost

_log = logging.getLogger("capgate")

CRASHES_FILE = "crashes.json"
TRACE_FILE = "crash.trace"
TOO_MANY = 5
WITHIN_US = 600_000_000
LATELY_US = 3_600_000_000
MOST_STARTS = 20  # that are remembered


class Crash(msgspec.Struct, frozen=True):
    """One crash: when, UTC, and the kind of error or signal with its place, without the error's text."""

    at_us: int
    what: str


class _File(msgspec.Struct, frozen=True):
    crashes: tuple[Crash, ...] = ()
    safe_mode: bool = False
    starts_us: tuple[int, ...] = ()  # of those since the last one that ended by itself, UTC


class Crashes:
    """The crashes of the gateway whose state directory this is."""

    def __init__(self, directory: Path, now_us: Callable[[], int]) -> None:
        self._path = directory / CRASHES_FILE
        self._trace = directory / TRACE_FILE
        self._now_us = now_us
        self._known = _File()
        with suppress(OSError, msgspec.MsgspecError):
            self._known = msgspec.json.decode(self._path.read_bytes(), type=_File)

    @property
    def lately(self) -> tuple[Crash, ...]:
        """Those of the last hour."""
        return self._since(LATELY_US)

    @property
    def starts_lately(self) -> int:
        """How often it began within ten minutes and did not end by itself, whatever ended it."""
        now_us = self._now_us()
        return sum(0 <= now_us - each < WITHIN_US for each in self._known.starts_us)

    @property
    def in_safe_mode(self) -> bool:
        """Whether there were too many, and nobody has ended safe mode since."""
        return self._known.safe_mode

    def watch_signals(self) -> BinaryIO | None:
        """Note this start, and the signal that ended the last process; leave a trace if one ends this.

        Once in a process. The file of the trace, to be kept open; None if it cannot be written.
        """
        with suppress(OSError):
            trace = self._trace.read_text(errors="replace") if self._trace.exists() else ""
            if trace:
                self._add(Crash(int(self._trace.stat().st_mtime * 1e6), trace.partition("\n")[0]))
            self._keep(starts_us=(*self._known.starts_us, self._now_us())[-MOST_STARTS:])
            file = os.fdopen(os.open(self._trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
            faulthandler.enable(file, all_threads=False)  # walking the stacks of running threads may itself fail
            return file
        return None

    def note(self, error: Exception) -> None:
        """Note that this error ends the process."""
        error = innermost(error)
        frame = next(iter(traceback.extract_tb(error.__traceback__)[-1:]), None)
        where = f" in {frame.name}, {Path(frame.filename).name} line {frame.lineno}" if frame else ""
        self._add(Crash(self._now_us(), f"{type(error).__name__}{where}"))

    def clear(self) -> None:
        """Forget them: the gateway ended by itself, or somebody ends safe mode."""
        self._known = _File()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _add(self, crash: Crash) -> None:
        known = (*self._since(LATELY_US), crash)
        safe_mode = self._known.safe_mode or sum(crash.at_us - each.at_us < WITHIN_US for each in known) >= TOO_MANY
        self._keep(crashes=known, safe_mode=safe_mode)

    def _keep(self, **changed: object) -> None:
        self._known = msgspec.structs.replace(self._known, **changed)
        try:
            replace_file(self._path, msgspec.json.encode(self._known))
        except OSError as error:
            _log.error("crashes and starts are not noted", extra={"reason": str(error)})

    def _since(self, within_us: int) -> tuple[Crash, ...]:
        now_us = self._now_us()
        return tuple(each for each in self._known.crashes if 0 <= now_us - each.at_us < within_us)
