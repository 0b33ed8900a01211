"""`capgate scan`: finds the units on a line, their settings and their likely kinds."""

import asyncio
import logging
import re
import sys
from pathlib import Path

import click
import msgspec

from drivers.diagnose.scan import Scan, Scanned, ScanProgress, Traffic, Unit
from drivers.diagnose.scan_plan import BAUDS, Plan, plan
from drivers.errors import LineDown
from drivers.profile.load import LEFT_OUT, DeviceProfile
from drivers.transport.base import SerialSettings
from drivers.transport.open import connector
from gateway.cli.unit_options import every_profile, is_by_network, probe_command, profiles_option
from gateway.runtime.clock import SystemClock

_ADDRESSES = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
_EPILOG = """\
\b
Examples:
  capgate scan /dev/ttyUSB0
  capgate scan socket://10.0.0.7:4001 --addresses 1-247
  capgate scan /dev/ttyUSB0 --profile smc-hrs --baud 9600 --baud 19200 --json
\b
Exit codes:
  0  a unit answers, and a profile fits it
  1  none does; the text says what was heard instead
  2  wrong use: nothing was asked
"""


class _Answer(msgspec.Struct, frozen=True):
    """The output of `capgate scan --json`."""

    line: str
    units: tuple["_Found", ...]
    heard: tuple[Traffic, ...]
    skipped: tuple[str, ...]
    stopped: str | None
    left_out: tuple[str, ...]
    requests: int
    down: str | None = None


class _Found(msgspec.Struct, frozen=True):
    """A unit that answered, the profiles that fit it, and the command that reads it."""

    unit: Unit
    likely: tuple[str, ...]
    command: str | None


def _addresses(_context: click.Context, _option: click.Parameter, text: str) -> tuple[int, ...]:
    found: list[int] = []
    for part in text.split(","):
        match = _ADDRESSES.fullmatch(part.strip())
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high <= 255:
            raise click.BadParameter(f"{part!r}, accepted: such as 1-16 or 1,3,17, each from 1 to 255")
        found += range(low, high + 1)
    return tuple(dict.fromkeys(found))


@click.command(epilog=_EPILOG)
@click.argument("line")
@click.option("--profile", "profile_ids", multiple=True, metavar="ID", help="Look for this kind alone. Repeatable.")
@click.option(
    "--addresses", default="1-16", show_default=True, callback=_addresses, help="Addresses to ask, such as 1-247."
)
@click.option(
    "--baud", "bauds", type=click.IntRange(300, 1_000_000), multiple=True, help="Baud rates to try. Repeatable."
)
@click.option("--own-settings", is_flag=True, help="Try only the line settings that makers deliver.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.01, 60),
    default=0.5,
    show_default=True,
    help="Seconds to wait for each answer.",
)
@profiles_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    line: str,
    profile_ids: tuple[str, ...],
    addresses: tuple[int, ...],
    bauds: tuple[int, ...],
    own_settings: bool,
    timeout_s: float,
    directory: Path | None,
    as_json: bool,
) -> None:
    """Find the units on a line: their settings, addresses and likely kinds. Only reads are sent, and few of them.

    LINE is a device path, socket://host:port or rfc2217://host:port. The scan ends at the first setting at which a unit
    answers, for all units on a line share it. Progress goes to standard error. Do not scan a line with a unit that
    reading switches, such as a ThermoCube.
    """
    profiles = every_profile(directory, profile_ids)
    try:
        connector(line, SerialSettings())
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    asked = plan(
        profiles,
        addresses,
        is_serial=not is_by_network(line),
        bauds=bauds or BAUDS,
        only_own_settings=own_settings,
    )
    left_out = (*asked.left_out, *LEFT_OUT)
    _begin(asked, left_out, timeout_s)
    logging.getLogger("drivers").addHandler(logging.NullHandler())  # silenced: the answer has it all
    progress = _ProgressLine()
    scan = Scan(line, profiles, SystemClock().now, progress, timeout_s)
    try:
        answer = _answer(line, asyncio.run(scan.run(asked)), left_out, profiles)
    except LineDown as error:
        answer = _Answer(line, (), (), (), None, left_out, 0, error.detail)
    progress.end()
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2) if as_json else "\n".join(_lines(answer)))
    sys.exit(0 if any(each.likely for each in answer.units) else 1)


def _answer(line: str, scanned: Scanned, left_out: tuple[str, ...], profiles: list[DeviceProfile]) -> _Answer:
    kinds = {profile.id: profile for profile in profiles}
    units = tuple(
        _Found(unit, unit.likely, probe_command(line, kinds[unit.likely[0]], unit) if unit.likely else None)
        for unit in scanned.units
    )
    return _Answer(line, units, scanned.traffic, scanned.skipped, scanned.stopped, left_out, scanned.requests)


def _begin(asked: Plan, left_out: tuple[str, ...], timeout_s: float) -> None:
    minutes = asked.requests * timeout_s / 60
    click.echo(
        f"at most {asked.requests} requests at {len(asked.rounds)} settings, {minutes:.1f} min if nobody answers; "
        f"left out, for reading may switch such a unit: {', '.join(left_out)}",
        err=True,
    )


class _ProgressLine:
    """A scan's progress on stderr: one updated line on a terminal, else a line for each dialect and setting."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._place = ""

    def __call__(self, progress: ScanProgress) -> None:
        place = progress.dialect if progress.settings is None else f"{progress.settings}, {progress.dialect}"
        is_new, self._place = place != self._place, place
        address = "" if progress.unit_id is None else f", unit id {progress.unit_id}"
        if self._on_terminal:
            click.echo(f"\r\x1b[K{progress.done} of {progress.total}: {place}{address}", nl=False, err=True)
        elif is_new:
            click.echo(f"{progress.done} of {progress.total}: {place}", err=True)

    def end(self) -> None:
        """Clear the line on the terminal."""
        if self._on_terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


def _lines(answer: _Answer) -> list[str]:
    lines = [line for found in answer.units for line in _unit_lines(found)]
    if answer.down is not None:
        return [f"the line could not be opened: {answer.down}", "try next: capgate ports; see who holds it"]
    if answer.stopped:
        lines.append(f"stopped: {answer.stopped}")
    if not answer.units:
        lines += [f"no unit answers; {answer.requests} requests were sent", *_noises(answer.heard)]
        lines.append("try next: swap TX and RX or A and B; look at the unit's menu; --addresses 1-247")
    return lines + [f"skipped {each}" for each in answer.skipped]


def _unit_lines(found: _Found) -> list[str]:
    unit = found.unit
    place = unit.dialect if unit.settings is None else f"{unit.settings}, {unit.dialect}"
    address = "" if unit.unit_id is None else f", unit id {unit.unit_id}"
    lines = [f"{place}{address}: {unit.answer}{' (at every address asked)' if unit.any_address else ''}"]
    for match in (each for each in unit.matches if each.fits or not unit.likely):
        coolant = "" if match.coolant_c is None else f", coolant {match.coolant_c:g} degC"
        verdict = f"fits{coolant}" if match.fits else f"does not fit: {match.why_not}"
        lines.append(f"    {match.profile}: {verdict}")
    return [*lines, f"    {found.command}"] if found.command else lines


def _noises(heard: tuple[Traffic, ...]) -> list[str]:
    """Lines on bytes received that were no answers, often of a unit with other line settings."""
    lines: list[str] = []
    for each in heard:
        kinds = [f"{count} times {kind}" for kind, count in each.rejects.items()]
        kinds += [f"exception {code:02X} of the device server" for code in each.from_server]
        kinds += [f"{each.idle_bytes} bytes unasked"] if each.idle_bytes else []
        if kinds:
            place = each.dialect if each.settings is None else f"{each.settings}, {each.dialect}"
            lines.append(f"heard at {place}: {', '.join(kinds)}")
    return lines
