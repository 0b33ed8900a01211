"""Resolves the [[line]] tables into the lines and units to poll, and checks them against each other.

Theory of operation. Error recovery, so that one check names all errors: a table that violates its schema is already
reported and left out here, the valid ones are checked further. Each table keeps its path in the file, for line numbers.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel

from drivers.dialects.registry import DialectName
from drivers.habits import LineHabits
from drivers.line import LineTiming
from drivers.profile.enums import Trust
from drivers.profile.load import DeviceProfile, find_profile
from drivers.toml.document import TomlProblems
from drivers.toml.lines import Path as KeyPath
from drivers.transport.base import SerialSettings
from gateway.config.line_checks import LineAt, UnitAt, check_lines, endpoint_of, unit_id_of
from gateway.config.problems import Problems
from gateway.config.tables import LineTable, Overrides, Segment, UnitTable
from gateway.messages.notation import Mode

PROFILE_DIRS: KeyPath = ("gateway", "profiles")
_OWN_HOSTS = ("127.0.0.1", "::1", "localhost")


class SensorOffset(msgspec.Struct, frozen=True):
    """A site's calibration: `offset_c` is added to the measured value of `point`."""

    point: str
    offset_c: float
    calibrated_on: date


class UnitSpec(msgspec.Struct, frozen=True):
    """One unit to poll. `profile` includes the site's overrides."""

    id: str
    profile: DeviceProfile
    unit_id: int | None  # None: the unit is alone on its line and has no address
    poll_period_s: float
    chairs: Mapping[int, str]  # cap -> chair, where one is named
    offsets: tuple[SensorOffset, ...]
    simulated: bool
    consent_to_reads: bool = False  # the site agrees to reads that have an effect on the unit


class LineSpec(msgspec.Struct, frozen=True):
    """One serial port or connection. `timing` is that of its slowest unit; `serial` does not apply to socket://."""

    id: str
    url: str
    dialect: DialectName
    serial: SerialSettings
    timing: LineTiming
    units: tuple[UnitSpec, ...]
    habits: LineHabits = LineHabits()

    @property
    def baud(self) -> int | None:
        """Bits per second; None on socket://, where time on the wire is neglected."""
        return None if self.url.startswith("socket:") else self.serial.baud


def line_digest(line: LineSpec, unit: UnitSpec, box: str) -> str | None:
    """A digest of a unit's line and address, equal for two gateways that poll the same unit: 16 hexadecimal digits.

    For serial ports and loopback addresses it includes `box`, an id of the host; None if that is empty.
    """
    endpoint = endpoint_of(line.url)
    if endpoint.startswith("/") or (urlsplit(line.url).hostname or "") in _OWN_HOSTS:
        if not box:
            return None
        endpoint = f"{box} {endpoint}"
    return hashlib.blake2b(f"{endpoint} {unit.unit_id}".encode(), digest_size=8).hexdigest()


def resolve_lines(problems: Problems, profile_dirs: Sequence[Path], mode: Mode | None) -> tuple[LineSpec, ...]:
    """The lines whose tables and profiles are valid; to be used only if `problems` has no error."""
    profiles = _Profiles(problems, profile_dirs)
    if problems.document.data.get("line") == []:
        problems.error(("line",), "empty, accepted: one [[line]] or more")
    lines = [_line(problems, profiles, index, raw) for index, raw in _tables(problems.document.data.get("line"))]
    sound = [line for line in lines if line is not None]
    check_lines(problems, sound, mode)
    return tuple(_spec(line) for line in sound if line.units and all(unit.profile for unit in line.units))


class _UnitId(BaseModel):
    id: Segment


class _LineOfIds(BaseModel):
    unit: tuple[_UnitId, ...]


class _FileOfIds(BaseModel):
    line: tuple[_LineOfIds, ...]


def unit_ids(problems: Problems) -> list[str] | None:
    """The ids of all units, whatever else is wrong with them; None if an error leaves one of them unknown."""
    found = problems.parsed(_FileOfIds, problems.document.data)
    ids = [unit.id for line in found.line for unit in line.unit] if found else []
    return ids if found and len(set(ids)) == len(ids) else None


class _Profiles:
    """Cache of profiles by id and overrides."""

    def __init__(self, problems: Problems, directories: Sequence[Path]) -> None:
        self._problems = problems
        self._directories = directories
        self._are_known = problems.is_sound(PROFILE_DIRS) and "gateway" in problems.document.data
        self._found: dict[tuple[object, ...], DeviceProfile | TomlProblems] = {}

    def get(self, unit_path: KeyPath, unit: UnitTable, line_set: Overrides) -> DeviceProfile | None:
        """The unit's profile; None if it is invalid, with errors reported at the keys that cause them."""
        overrides = {**line_set, **unit.set}
        key = (unit.profile, *sorted((name, repr(value)) for name, value in overrides.items()))
        if key not in self._found:
            try:
                self._found[key] = find_profile(unit.profile, self._directories, overrides)
            except TomlProblems as invalid:
                self._found[key] = invalid
        found = self._found[key]
        if isinstance(found, DeviceProfile):
            if found.identity.trust is Trust.FIELD:
                message = f'{found.id} says trust = "field" of itself: whoever wrote it vouches for it'
                better = 'better: "bench", with golden polls of a capture, until many units were read for long'
                self._problems.warn((*unit_path, "profile"), f"{message}, {better}")
            return found
        self._report(unit_path, unit, found)
        return None

    def _report(self, unit_path: KeyPath, unit: UnitTable, invalid: TomlProblems) -> None:
        for problem in invalid.problems:
            name = problem.path.removeprefix("override ")
            if name != problem.path:
                owner = unit_path if name in unit.set else unit_path[:2]
                if self._problems.is_sound((*owner, "set", name)):
                    self._problems.error((*owner, "set", name), problem.message)
            elif problem.file == unit.profile:
                if self._are_known:
                    self._problems.error((*unit_path, "profile"), problem.message)
            else:
                self._problems.add(problem)  # an error in the profile's own file


def _tables(value: object) -> Iterator[tuple[int, dict[str, object]]]:
    """The tables in an array of tables, with their indexes."""
    if isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            if isinstance(item, dict):
                yield index, cast("dict[str, object]", item)


def _line(problems: Problems, profiles: _Profiles, index: int, raw: dict[str, object]) -> LineAt | None:
    path: KeyPath = ("line", index)
    read = [(at, problems.parsed(UnitTable, unit)) for at, unit in _tables(raw.get("unit"))]
    sound = [(at, unit) for at, unit in read if unit is not None]
    table = problems.parsed(LineTable, {**raw, "unit": [unit for _, unit in sound]})
    if table is None:
        return None
    if raw.get("unit") == []:
        problems.error((*path, "unit"), "empty, accepted: one [[line.unit]] or more")
    units: list[UnitAt] = []
    for at, unit in sound:
        unit_path = (*path, "unit", at)
        units.append(UnitAt(unit_path, unit, profiles.get(unit_path, unit, table.set)))
    return LineAt(path, table, tuple(units))


def _spec(line: LineAt) -> LineSpec:
    units = [(unit.table, unit.profile) for unit in line.units if unit.profile]
    profiles = [profile for _, profile in units]
    return LineSpec(
        id=line.table.id,
        url=line.table.url,
        dialect=profiles[0].dialect,
        serial=profiles[0].serial,
        timing=_slowest(profiles),
        units=tuple(_unit_spec(table, profile) for table, profile in units),
        habits=LineHabits(line.table.transactions, line.table.unit_ids, line.table.connection),
    )


def _slowest(profiles: Sequence[DeviceProfile]) -> LineTiming:
    def most(time_s: Callable[[DeviceProfile], float]) -> float:
        return max(map(time_s, profiles))

    return LineTiming(
        gap_s=most(lambda profile: profile.timing.gap_s),
        timeout_s=most(lambda profile: profile.timing.timeout_s),
        drain_s=most(lambda profile: profile.timing.drain_s),
        settle_after_open_s=most(lambda profile: profile.timing.settle_after_open_s),
    )


def _unit_spec(table: UnitTable, profile: DeviceProfile) -> UnitSpec:
    return UnitSpec(
        id=table.id,
        profile=profile,
        unit_id=unit_id_of(table, profile),
        poll_period_s=float(table.poll_period_s),
        chairs={cap.cap: cap.chair for cap in table.cap},
        offsets=tuple(SensorOffset(each.point, float(each.offset_c), each.calibrated_on) for each in table.offset),
        simulated=table.simulated,
        consent_to_reads=table.consent_to_reads,
    )
