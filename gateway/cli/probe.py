"""`capgate probe`: one look at one unit, without any configuration."""

import asyncio
import logging
import sys
import tomllib
from pathlib import Path

import click
import msgspec

from drivers.dialects.registry import dialect
from drivers.driver import Driver, ProbeResult, line_timing
from drivers.line import Line, LineCounters
from drivers.profile import DeviceProfile, find_profile
from drivers.profile_model import ReadsEffect, Serial, Timing
from drivers.tomlfile import TomlProblems
from drivers.transport.base import Connector
from drivers.transport.open import connector
from gateway.cli.probe_report import report, show
from gateway.clock import SystemClock
from gateway.shipped import shipped_dir

_SHORT_KEYS = {
    **{key: f"link.serial.{key}" for key in Serial.model_fields},
    **{key: f"timing.{key}" for key in Timing.model_fields},
}
_EPILOG = """\
\b
Examples:
  capgate probe socket://10.0.0.7:502 --profile reference-cap-unit --unit-id 1
  capgate probe /dev/ttyUSB0 --profile smc-hrs --set baud=9600 --json
\b
Exit codes:
  0  every block was read, and by a unit of this kind
  1  not so: the faults say why and what to try next
  2  wrong use: nothing was asked
"""


@click.command(epilog=_EPILOG)
@click.argument("line")
@click.option("--profile", "profile_id", required=True, metavar="ID", help="The kind of unit.")
@click.option("--unit-id", type=click.IntRange(0, 255), help="Its address on the line.  [default: the profile's]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another dialect, link or timing value, e.g. dialect=modbus-rtu, parity=none, gap_ms=5. Repeatable.",
)
@click.option(
    "--profiles",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where further profiles lie.",
)
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.01, 60), help="Seconds to wait for each answer.")
@click.option("--consent", is_flag=True, help="Read although reading such a unit may change what it does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    line: str,
    profile_id: str,
    unit_id: int | None,
    settings: tuple[str, ...],
    directory: Path | None,
    timeout_s: float | None,
    consent: bool,
    as_json: bool,
) -> None:
    """Read one unit once and show everything it says. Nothing is ever written to it.

    LINE is a device path, socket://host:port or rfc2217://host:port.
    """
    overrides = dict(map(_setting, settings))
    if timeout_s is not None:
        overrides["timing.timeout_ms"] = round(timeout_s * 1000)
    directories = [shipped_dir() / "profiles", *([directory] if directory else [])]
    try:
        profile = find_profile(profile_id, directories, overrides)
        opener = connector(line, profile.serial)
    except (TomlProblems, ValueError) as error:
        raise click.UsageError(str(error)) from error
    if profile.reads_effect is not ReadsEffect.NONE and not consent:
        raise click.UsageError(f"reading a {profile.id} {profile.reads_effect}: say --consent if it may")
    unit_id = _checked_unit_id(profile, unit_id)
    logging.getLogger("drivers").addHandler(logging.NullHandler())  # the report says all that they would log
    result, counters = asyncio.run(_look(line, profile, opener, unit_id))
    answer = report(line, profile, unit_id, result, counters)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2))
    else:
        show(answer)
    sys.exit(0 if result.complete and not result.faults else 1)


async def _look(
    url: str, profile: DeviceProfile, opener: Connector, unit_id: int | None
) -> tuple[ProbeResult, LineCounters]:
    baud = None if url.startswith("socket:") else profile.serial.baud
    line = Line(url, opener, dialect(profile.dialect), line_timing(profile), baud)
    try:
        return await Driver("probe", profile, line, unit_id, SystemClock().now).probe(), line.counters
    finally:
        line.close()


def _setting(text: str) -> tuple[str, object]:
    """KEY=VALUE; a value that is no TOML value is text, so that parity=none needs no quotes."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r}, accepted: KEY=VALUE", param_hint="--set")
    if key not in ("dialect", *_SHORT_KEYS) and not key.startswith(("link.", "timing.")):
        accepted = f"dialect, {', '.join(_SHORT_KEYS)}, or a whole key like link.address.max"
        raise click.BadParameter(f"there is no key {key!r}, accepted: {accepted}", param_hint="--set")
    try:
        parsed: object = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return _SHORT_KEYS.get(key, key), parsed


def _checked_unit_id(profile: DeviceProfile, unit_id: int | None) -> int | None:
    address = profile.address
    if address is None or unit_id is None:
        return unit_id if address is None else address.default
    if not address.min <= unit_id <= address.max:
        raise click.BadParameter(f"{unit_id}, accepted: {address.min} to {address.max}", param_hint="--unit-id")
    return unit_id
