"""The options shared by the commands that read a unit: profile, address and overrides."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from drivers.diagnose.scan import Unit
from drivers.habits import LineHabits
from drivers.line import Line
from drivers.profile.enums import ReadsEffect
from drivers.profile.load import DeviceProfile, find_profile, load_profiles
from drivers.profile.shape import Serial, TimingTable
from drivers.toml.document import TomlProblems
from drivers.transport.base import Connector
from drivers.unit.driver import line_timing
from gateway.runtime.shipped import shipped_dir

SHORT_KEYS = {
    **{key: f"link.serial.{key}" for key in Serial.model_fields},
    **{key: f"timing.{key}" for key in TimingTable.model_fields},
}

_HABITS = LineHabits.__struct_fields__
_HABIT_WORDS = ", ".join(f"{key}={getattr(LineHabits(), key)}" for key in _HABITS)

F = TypeVar("F", bound=Callable[..., None])


def profiles_option(function: F) -> F:
    """Add `--profiles` to a command."""
    return click.option(
        "--profiles",
        "directory",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Where further profiles lie.",
    )(function)


def unit_options(function: F) -> F:
    """Add `--unit-id`, `--set` and `--profiles` to a command."""
    function = profiles_option(function)
    function = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Another dialect, link, timing or line value, e.g. dialect=modbus-rtu, parity=none, gap_ms=5, "
        "transactions=ignored. Repeatable.",
    )(function)
    return click.option(
        "--unit-id", type=click.IntRange(0, 255), help="Its address on the line.  [default: the profile's]"
    )(function)


def directories(directory: Path | None) -> Sequence[Path]:
    """The directories of profiles: the shipped one, then the site's."""
    return [shipped_dir() / "profiles", *([directory] if directory else [])]


def overrides_of(settings: tuple[str, ...]) -> dict[str, object]:
    """The values of `--set`, by the profile's keys, without those of the line. Raises BadParameter."""
    return {key: value for key, value in map(_setting, settings) if key not in _HABITS}


def habits_of(settings: tuple[str, ...]) -> LineHabits:
    """The values of `--set` that concern the line's far end. Raises BadParameter."""
    given = {key: value for key, value in map(_setting, settings) if key in _HABITS}
    try:
        return msgspec.convert(given, LineHabits)
    except msgspec.ValidationError as error:
        raise click.BadParameter(f"{error}, accepted: {_HABIT_WORDS}", param_hint="--set") from error


def chosen_profile(profile_id: str, directory: Path | None, overrides: dict[str, object]) -> DeviceProfile:
    """The profile with that id. Raises UsageError with every error."""
    try:
        return find_profile(profile_id, directories(directory), overrides)
    except TomlProblems as error:
        raise click.UsageError(str(error)) from error


def every_profile(directory: Path | None, ids: tuple[str, ...] = ()) -> list[DeviceProfile]:
    """All profiles, or those with the ids. Raises UsageError."""
    if ids:
        return [chosen_profile(each, directory, {}) for each in ids]
    try:
        return list(load_profiles(directories(directory)).values())
    except TomlProblems as error:
        raise click.UsageError(str(error)) from error


def require_consent(profile: DeviceProfile, *, consents: bool) -> None:
    """Raises UsageError if reading such a unit has an effect on it and `consents` is false."""
    if profile.reads_effect is not ReadsEffect.NONE and not consents:
        raise click.UsageError(f"reading a {profile.id} {profile.reads_effect}: say --consent if it may")


def checked_unit_id(profile: DeviceProfile, unit_id: int | None) -> int | None:
    """The address to poll: `unit_id`, or the profile's default. Raises BadParameter."""
    address = profile.address
    if address is None or unit_id is None:
        return unit_id if address is None else address.default
    if not address.min <= unit_id <= address.max:
        raise click.BadParameter(f"{unit_id}, accepted: {address.min} to {address.max}", param_hint="--unit-id")
    return unit_id


def settings_for(profile: DeviceProfile, unit: Unit) -> dict[str, str]:
    """The overrides, by `--set`'s keys, with which a profile reads a unit that a scan found."""
    found: dict[str, str] = {} if unit.dialect is profile.dialect else {"dialect": unit.dialect}
    if unit.settings is None:
        return found
    own, at = profile.serial, unit.settings
    pairs = {
        "baud": (own.baud, at.baud),
        "bits": (own.bits, at.bits),
        "parity": (own.parity, at.parity),
        "stop": (own.stop, at.stop),
        "handshake": (own.handshake, at.handshake),
    }
    return {**found, **{key: str(there) for key, (here, there) in pairs.items() if here != there}}


def probe_command(url: str, profile: DeviceProfile, unit: Unit) -> str:
    """The `capgate probe` command that reads the unit."""
    address = [] if unit.unit_id is None else [f"--unit-id {unit.unit_id}"]
    settings = [f"--set {key}={value}" for key, value in settings_for(profile, unit).items()]
    return " ".join([f"capgate probe {url} --profile {profile.id}", *address, *settings])


def is_by_network(url: str) -> bool:
    """Whether the URL leads to the unit by the network alone, where nothing is said of a wire."""
    return url.startswith("socket:")


def line_to(url: str, opener: Connector, profile: DeviceProfile, habits: LineHabits) -> Line:
    """The line of one unit that a command reads."""
    baud = None if is_by_network(url) else profile.serial.baud
    return Line(url, opener, habits.dialect(profile.dialect), line_timing(profile), baud)


def _setting(text: str) -> tuple[str, object]:
    """Parse KEY=VALUE; a value that is not valid TOML is taken as text, so that parity=none needs no quotes."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.BadParameter(f"{text!r}, accepted: KEY=VALUE", param_hint="--set")
    if key not in ("dialect", *_HABITS, *SHORT_KEYS) and not key.startswith(("link.", "timing.")):
        accepted = f"dialect, {', '.join((*SHORT_KEYS, *_HABITS))}, or a whole key like link.address.max"
        raise click.BadParameter(f"there is no key {key!r}, accepted: {accepted}", param_hint="--set")
    try:
        parsed: object = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return SHORT_KEYS.get(key, key), parsed
