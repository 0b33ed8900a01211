"""Captures of a line while its units are polled: a minute of its raw traffic in a bounded file, for `capgate decode`.

Theory of operation. Polling goes on as it is and nothing is sent for the capture's sake: it overhears the line through
a tap that is there from the start and costs a comparison while nobody listens. What it hears is kept in memory, at most
MAX_BYTES of it, and written by a thread once it is over: the line never waits for the disk. One capture at a time; of
each line the last one is kept. One that goes on when the gateway ends is lost.
"""

import asyncio
import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from drivers.diagnose.capture import Chunk, Header, line_of
from drivers.direction import Direction
from drivers.transport.base import Tap
from gateway.config.lines import LineSpec
from gateway.messages.instants import rfc3339
from gateway.runtime.clock import US_PER_S, Clock

_log = logging.getLogger("capgate.captures")

FOLDER = "captures"  # in the state directory: LINE.jsonl
LENGTH_S = 60.0
MAX_BYTES = 1 << 20  # of a file


class LineTap:
    """Hears all that goes over a line, and passes it on while somebody listens."""

    def __init__(self) -> None:
        self.listener: Tap | None = None

    def __call__(self, direction: Direction, data: bytes) -> None:
        """Take the bytes of one read or write on the line."""
        if self.listener is not None:
            self.listener(direction, data)


class CaptureBusy(Exception):
    """A capture goes on; the text names its line."""


class Capture(msgspec.Struct, frozen=True):
    """The last capture of a line that is kept."""

    ended_us: int
    size_bytes: int


class Captures:
    """Records one line at a time while it is `run`. What goes over a line is told to its tap in `taps`."""

    def __init__(self, lines: Iterable[LineSpec], clock: Clock, state_dir: Path) -> None:
        self._lines = {line.id: line for line in lines}
        self.taps = {line: LineTap() for line in self._lines}
        self._clock = clock
        self._folder = state_dir / FOLDER
        self._recording: _Recording | None = None
        self._begun: asyncio.Queue[_Recording] = asyncio.Queue(1)

    @property
    def running(self) -> tuple[str, int] | None:
        """The line that is recorded, and until which instant, in us."""
        recording = self._recording
        return recording and (recording.line.id, recording.until_us)

    def begin(self, line: str) -> int:
        """Record a configured line from now on, until the instant that is returned, in us. Raises CaptureBusy."""
        if self._recording is not None:
            raise CaptureBusy(self._recording.line.id)
        self._recording = _Recording(self._lines[line], self._clock)
        self.taps[line].listener = self._recording.heard
        self._begun.put_nowait(self._recording)
        return self._recording.until_us

    def kept(self) -> dict[str, Capture]:
        """The captures of all lines that are there. Blocks."""
        found: dict[str, Capture] = {}
        for line in self._lines:
            with suppress(OSError):
                stat = capture_file(self._folder.parent, line).stat()
                found[line] = Capture(stat.st_mtime_ns // 1000, stat.st_size)
        return found

    async def run(self) -> None:
        """End each capture when its time is over, until cancelled."""
        while True:  # ends with the task
            recording = await self._begun.get()
            try:
                await self._finish(recording)
            finally:
                self._recording = None

    async def _finish(self, recording: "_Recording") -> None:
        """Listen until the time is over or the file full, and keep what was heard."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LENGTH_S / self._clock.speed):
                    await recording.full.wait()
        finally:
            self.taps[recording.line.id].listener = None
        try:
            await asyncio.to_thread(self._keep, recording)
        except OSError as error:
            _log.error("a capture is lost", extra={"line": recording.line.id, "reason": str(error)})

    def _keep(self, recording: "_Recording") -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file = capture_file(self._folder.parent, recording.line.id)
        written = file.with_suffix(".new")
        written.unlink(missing_ok=True)
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
            new.writelines(recording.written)
        written.replace(file)


def capture_file(state_dir: Path, line: str) -> Path:
    """Where the last capture of a line lies."""
    return state_dir / FOLDER / f"{line}.jsonl"


class _Recording:
    """What was heard on a line since it began, as lines of a capture file."""

    def __init__(self, line: LineSpec, clock: Clock) -> None:
        now = clock.now()
        self.line = line
        self.until_us = now.utc_us + round(LENGTH_S * US_PER_S)
        self.full = asyncio.Event()
        self._clock = clock
        self._began_boot_us = now.boot_us
        self.written = [line_of(_header(line, now.utc_us))]
        self._size_bytes = len(self.written[0])

    def heard(self, direction: Direction, data: bytes) -> None:
        """Add the bytes of one read or write, while there is room."""
        t_s = (self._clock.now().boot_us - self._began_boot_us) / US_PER_S
        written = line_of(Chunk(t_s, direction, data.hex()))
        self._size_bytes += len(written)
        if self._size_bytes > MAX_BYTES:
            self.full.set()
        else:
            self.written.append(written)


def _header(line: LineSpec, now_us: int) -> Header:
    """Of a line whose units are of several kinds, or have several addresses, neither is said."""
    profiles, addresses = {unit.profile.id for unit in line.units}, {unit.unit_id for unit in line.units}
    return Header(
        line=line.url,
        dialect=line.dialect,
        profile=profiles.pop() if len(profiles) == 1 else None,
        unit_id=addresses.pop() if len(addresses) == 1 else None,
        settings=None if line.baud is None else str(line.serial),
        listened=False,
        started_at=rfc3339(now_us),
    )
