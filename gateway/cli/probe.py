"""`capgate probe`: polls one unit once, without a configuration."""

import asyncio
import logging
import sys
from pathlib import Path

import click
import msgspec

from drivers.diagnose.connections import ConnectionsSeen, connections_seen
from drivers.diagnose.scan import Scan, Scanned
from drivers.diagnose.scan_plan import plan
from drivers.errors import LineDown
from drivers.habits import LineHabits
from drivers.line import LineCounters
from drivers.profile.load import DeviceProfile
from drivers.transport.base import Connector
from drivers.transport.open import connector
from drivers.unit.driver import Driver, ProbeResult
from gateway.cli.probe_report import ProbeReport, report, report_without_unit
from gateway.cli.probe_show import show
from gateway.cli.unit_options import (
    checked_unit_id,
    chosen_profile,
    every_profile,
    habits_of,
    is_by_network,
    line_to,
    overrides_of,
    require_consent,
    settings_for,
    unit_options,
)
from gateway.runtime.clock import SystemClock

_SEARCH_TIMEOUT_S = 0.5
_EPILOG = """\
\b
Examples:
  capgate probe socket://10.0.0.7:502 --profile reference-cap-unit --unit-id 1
  capgate probe /dev/ttyUSB0 --profile smc-hrs --set baud=9600 --json
  capgate probe /dev/ttyUSB0
\b
Exit codes:
  0  every block was read, and by a unit of this kind
  1  not so: the faults say why and what to try next
  2  wrong use: nothing was asked
"""


@click.command(epilog=_EPILOG)
@click.argument("line")
@click.option(
    "--profile", "profile_id", metavar="ID", help="The kind of unit.  [default: try each as its maker delivers it]"
)
@unit_options
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.01, 60), help="Seconds to wait for each answer.")
@click.option("--consent", is_flag=True, help="Read although reading such a unit may change what it does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    line: str,
    profile_id: str | None,
    unit_id: int | None,
    settings: tuple[str, ...],
    directory: Path | None,
    timeout_s: float | None,
    consent: bool,
    as_json: bool,
) -> None:
    """Read one unit once and show everything it says. Nothing is ever written to it.

    LINE is a device path, socket://host:port or rfc2217://host:port. The port, the wiring, the line settings, the
    address and the map are judged one by one, each with what it rests on.
    """
    overrides, habits = overrides_of(settings), habits_of(settings)
    if timeout_s is not None:
        overrides["timing.timeout_ms"] = round(timeout_s * 1000)
    logging.getLogger("drivers").addHandler(logging.NullHandler())  # silenced: the report has it all
    if profile_id is None:
        if settings or consent:
            raise click.UsageError("--set and --consent go with a kind of unit: say --profile")
        answer = _searched(line, every_profile(directory), unit_id, timeout_s or _SEARCH_TIMEOUT_S, directory)
    else:
        profile = chosen_profile(profile_id, directory, overrides)
        require_consent(profile, consents=consent)
        answer = _read(line, profile, checked_unit_id(profile, unit_id), habits, consents=consent)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))
    else:
        show(answer)
    sys.exit(0 if answer.is_good else 1)


def _read(url: str, profile: DeviceProfile, unit_id: int | None, habits: LineHabits, *, consents: bool) -> ProbeReport:
    opener = _connector(url, profile)
    result, counters, connections = asyncio.run(_look(url, profile, opener, unit_id, habits, consents=consents))
    return report(url, profile, unit_id, result, counters, connections)


def _searched(
    url: str, profiles: list[DeviceProfile], unit_id: int | None, timeout_s: float, directory: Path | None
) -> ProbeReport:
    """Scan with the makers' default settings, and report by the profile that fits best."""
    addresses = [1] if unit_id is None else [unit_id]
    questions = plan(profiles, addresses, is_serial=not is_by_network(url), only_own_settings=True)
    _connector(url, profiles[0])
    scan = Scan(url, profiles, SystemClock().now, lambda _: None, timeout_s)
    try:
        found = asyncio.run(scan.run(questions))
    except LineDown as error:
        return report_without_unit(url, unit_id, Scanned((), (), (), None, 0), down=error.detail)
    if not found.units or not found.units[0].likely:
        return report_without_unit(url, unit_id, found)
    unit = found.units[0]
    kind = next(profile for profile in profiles if profile.id == unit.likely[0])
    overrides = overrides_of(tuple(f"{key}={value}" for key, value in settings_for(kind, unit).items()))
    answer = _read(url, chosen_profile(kind.id, directory, overrides), unit.unit_id, LineHabits(), consents=False)
    return msgspec.structs.replace(answer, likely=unit.likely)


def _connector(url: str, profile: DeviceProfile) -> Connector:
    try:
        return connector(url, profile.serial)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


async def _look(
    url: str, profile: DeviceProfile, opener: Connector, unit_id: int | None, habits: LineHabits, *, consents: bool
) -> tuple[ProbeResult, LineCounters, ConnectionsSeen]:
    line, another = (line_to(url, opener, profile, habits) for _ in range(2))
    try:
        driver = Driver("probe", profile, line, unit_id, SystemClock().now, consents=consents)
        result = await driver.probe()
        if not (is_by_network(url) and result.complete):
            return result, line.counters, ConnectionsSeen()
        seen = await connections_seen(line, another, profile.blocks[0].query(unit_id))
        return result, line.counters, seen
    finally:
        line.close()
