"""`capgate capture`: records the raw traffic on a line, while polling a unit or while only listening."""

import asyncio
import logging
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from drivers.diagnose.capture import Chunk, Header, line_of
from drivers.direction import Direction
from drivers.errors import LineDown
from drivers.habits import Connection, LineHabits
from drivers.profile.load import DeviceProfile
from drivers.reading import ReadFault
from drivers.transport.base import Connector, SerialSettings, tapped
from drivers.transport.open import connector
from drivers.unit.driver import Driver
from gateway.cli.unit_options import (
    checked_unit_id,
    chosen_profile,
    habits_of,
    is_by_network,
    line_to,
    overrides_of,
    require_consent,
    unit_options,
)
from gateway.messages.instants import rfc3339
from gateway.runtime.clock import US_PER_S, SystemClock

_EPILOG = """\
\b
Examples:
  capgate capture /dev/ttyUSB0 --profile julabo-cf --seconds 60 --out bath.jsonl
  capgate capture /dev/ttyUSB0 --listen --set baud=19200 --out passing-by.jsonl
  capgate decode bath.jsonl
\b
Exit codes:
  0  bytes came, and are in the file
  1  none came, or the line could not be opened
  2  wrong use: nothing was recorded
"""
_SERIAL = "link.serial."


@click.command(epilog=_EPILOG)
@click.argument("line")
@click.option("--profile", "profile_id", metavar="ID", help="The kind of unit to poll, or to listen to.")
@unit_options
@click.option("--listen", is_flag=True, help="Send nothing: record what goes by.")
@click.option(
    "--seconds",
    "length_s",
    type=click.FloatRange(0.1, 86400),
    default=30.0,
    show_default=True,
    help="How long; Ctrl-C ends it earlier.",
)
@click.option("--every", "period_s", type=click.FloatRange(0.1, 600), help="Poll period.  [default: the fastest]")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file, which must not exist yet."
)
@click.option("--consent", is_flag=True, help="Read although reading such a unit may change what it does.")
@click.option("--json", "as_json", is_flag=True, help="Print what was recorded as JSON.")
def command(
    line: str,
    profile_id: str | None,
    unit_id: int | None,
    settings: tuple[str, ...],
    directory: Path | None,
    listen: bool,
    length_s: float,
    period_s: float | None,
    out: Path,
    consent: bool,
    as_json: bool,
) -> None:
    """Record the raw bytes on a line with their times: our own polling of one unit, or with --listen what goes by.

    LINE is a device path, socket://host:port or rfc2217://host:port. The file is JSON, one object a line: capgate
    decode explains it, capgate simulate --capture plays it back.
    """
    overrides, habits = overrides_of(settings), habits_of(settings)
    if profile_id is None and not listen:
        raise click.UsageError("say --profile for polling, or --listen")
    profile = None if profile_id is None else chosen_profile(profile_id, directory, overrides)
    if profile is not None and not listen:
        require_consent(profile, consents=consent)
    serial = _serial(overrides) if profile is None else profile.serial
    address = unit_id if profile is None else checked_unit_id(profile, unit_id)
    logging.getLogger("drivers").addHandler(logging.NullHandler())  # silenced: the file has it all
    try:
        opener = connector(line, serial)
        file = out.open("xb")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"{out}: {error.strerror}") from error
    with file:
        recorder = _Recorder(file)
        recorder.begin(line, profile, address, None if is_by_network(line) else serial, listened=listen)
        taps = tapped(opener, recorder.tap)
        if profile is None or listen:
            work = _listen(taps)
        else:
            every_s = period_s or profile.timing.fastest_poll_s
            work = _poll(line, taps, profile, address, every_s, habits, consents=consent)
        trouble = asyncio.run(_for(length_s, work))
    _report(out, recorder, trouble, as_json)
    sys.exit(0 if recorder.received else 1)


class _Recorder:
    """Writes a capture file; each chunk is flushed before the driver processes it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._clock = SystemClock()
        self._start_us = self._clock.now().boot_us
        self.sent = 0
        self.received = 0

    def begin(
        self,
        line: str,
        profile: DeviceProfile | None,
        unit_id: int | None,
        serial: SerialSettings | None,
        *,
        listened: bool,
    ) -> None:
        """Write the header."""
        header = Header(
            line=line,
            dialect=profile.dialect if profile else None,
            profile=profile.id if profile else None,
            unit_id=unit_id,
            settings=str(serial) if serial else None,
            listened=listened,
            started_at=rfc3339(self._clock.now().utc_us),
        )
        self._write(header)

    def tap(self, direction: Direction, data: bytes) -> None:
        """Write the bytes of one read or write on the line."""
        if direction is Direction.TX:
            self.sent += len(data)
        else:
            self.received += len(data)
        t_s = (self._clock.now().boot_us - self._start_us) / US_PER_S
        self._write(Chunk(t_s, direction, data.hex()))

    def _write(self, entry: Header | Chunk) -> None:
        self._file.write(line_of(entry))
        self._file.flush()


async def _for(length_s: float, work: Awaitable[str]) -> str | None:
    """Run `work` for that long, or until Ctrl-C (both None); returns its error's text if it ends before."""
    try:
        async with asyncio.timeout(length_s):
            return await work
    except (TimeoutError, asyncio.CancelledError):  # Ctrl-C cancels; the file is complete either way
        return None


async def _poll(
    url: str,
    opener: Connector,
    profile: DeviceProfile,
    unit_id: int | None,
    period_s: float,
    habits: LineHabits,
    *,
    consents: bool,
) -> str:
    """Poll until cancelled; returns the error's text if the line cannot be opened at first."""
    line = line_to(url, opener, profile, habits)
    driver = Driver("capture", profile, line, unit_id, SystemClock().now, consents=consents)
    try:
        while True:
            answer = await driver.read()
            if isinstance(answer, ReadFault) and not line.counters.requests:
                return answer.detail
            if habits.connection is Connection.EACH_POLL:
                line.rest()
            await asyncio.sleep(period_s)
    finally:
        line.close()


async def _listen(opener: Connector) -> str:
    """Listen until cancelled; returns the error's text once the line is down."""
    try:
        link = await opener()
    except LineDown as error:
        return error.detail
    try:
        while True:
            await asyncio.sleep(0.1)
            link.inbox.check()
    except LineDown as error:
        return error.detail
    finally:
        link.close()


def _serial(overrides: dict[str, object]) -> SerialSettings:
    """The serial settings given by --set, where no profile is given. Raises UsageError."""
    given = {key.removeprefix(_SERIAL): value for key, value in overrides.items()}
    try:
        return msgspec.convert(given, SerialSettings) if set(overrides) <= _KEYS else _without_profile()
    except msgspec.ValidationError as error:
        raise click.UsageError(f"--set: {error}") from error


_KEYS = {_SERIAL + name for name in SerialSettings.__struct_fields__}


def _without_profile() -> SerialSettings:
    raise click.UsageError(f"without --profile, accepted for --set: {', '.join(SerialSettings.__struct_fields__)}")


def _report(out: Path, recorder: _Recorder, trouble: str | None, as_json: bool) -> None:
    report = {"file": str(out), "sent_bytes": recorder.sent, "received_bytes": recorder.received, "trouble": trouble}
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    click.echo(f"{out}: {recorder.sent} bytes sent, {recorder.received} received")
    if trouble:
        click.echo(f"ended early: {trouble}")
    if not recorder.received:
        click.echo("nothing came: capgate probe says what to try next")
