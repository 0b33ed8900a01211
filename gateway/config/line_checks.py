"""Checks across [[line]] tables: duplicate names, units that cannot share a line, more polls than fit on a line."""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

import msgspec

from drivers.decode.values import CELSIUS, canonical_unit
from drivers.dialects.base import Numbers
from drivers.dialects.registry import DialectName, dialect
from drivers.habits import Connection
from drivers.profile.enums import ReadsEffect
from drivers.profile.load import DeviceProfile
from drivers.profile.types import Block
from drivers.toml.lines import Path as KeyPath
from drivers.transport.base import Parity
from gateway.config.problems import Problems
from gateway.config.tables import LineTable, UnitTable
from gateway.messages.notation import Mode

_REPLY_TEXT_CHARS = 12  # assumed length of a text reply: number, sign and terminator
_REPLY_DATA_BYTES = 8  # assumed data of an NC reply: a value of up to four bytes and its qualifier, with a margin
_UNSTABLE_NAMES = ("/dev/ttyUSB", "/dev/ttyACM")
_NETWORKED = ", ".join(name for name in DialectName if dialect(name).is_networked)


class UnitAt(msgspec.Struct, frozen=True):
    """A valid unit table, its path in the file, and its profile if that is valid."""

    path: KeyPath
    table: UnitTable
    profile: DeviceProfile | None


class LineAt(msgspec.Struct, frozen=True):
    """A valid line table, its path in the file, and its valid units."""

    path: KeyPath
    table: LineTable
    units: tuple[UnitAt, ...]


def check_lines(problems: Problems, lines: Sequence[LineAt], mode: Mode | None) -> None:
    """Report every error and warning about `lines`; without a valid `mode`, simulated units are not checked."""
    lines = _named_once(problems, lines)
    for line in lines:
        _check_sharing(problems, line)
    for endpoint in _by_endpoint(lines):
        _check_endpoint(problems, endpoint)
    for line in lines:
        for unit in line.units:
            _check_unit(problems, unit, mode)
        _check_line(problems, line)


def unit_id_of(table: UnitTable, profile: DeviceProfile) -> int | None:
    """The unit's address: from the file, else the profile's default; None if the profile has no addresses."""
    if table.unit_id is not None or profile.address is None:
        return table.unit_id
    return profile.address.default


def _named_once(problems: Problems, lines: Sequence[LineAt]) -> list[LineAt]:
    """Check that names of lines, units and chairs are unique in the file; the lines and units whose names are.

    A table that was pasted twice is one mistake: what else it shares with the first is not told.
    """
    names = _check_unique(problems, "line", [((*line.path, "id"), line.table.id) for line in lines])
    lines = [line for line in lines if (*line.path, "id") in names]
    units = [unit for line in lines for unit in line.units]
    names = _check_unique(problems, "unit", [((*unit.path, "id"), unit.table.id) for unit in units])
    units = [unit for unit in units if (*unit.path, "id") in names]
    caps = [((*unit.path, "cap", at), cap) for unit in units for at, cap in enumerate(unit.table.cap)]
    _check_unique(problems, "chair", [((*path, "chair"), cap.chair) for path, cap in caps])
    return [
        msgspec.structs.replace(line, units=tuple(unit for unit in line.units if (*unit.path, "id") in names))
        for line in lines
    ]


def _check_unique(problems: Problems, what: str, named: Sequence[tuple[KeyPath, str | int]]) -> Collection[KeyPath]:
    """The paths of the names that nobody had before."""
    first: dict[str | int, KeyPath] = {}
    for path, name in named:
        if name in first:
            line = problems.document.line_of(*first[name])
            problems.error(path, f"another {what} is named {name} in line {line}, accepted: each once")
        else:
            first[name] = path
    return set(first.values())


def _by_endpoint(lines: Sequence[LineAt]) -> Collection[list[LineAt]]:
    """The lines, grouped by the endpoint that they open."""
    endpoints: dict[str, list[LineAt]] = defaultdict(list)
    for line in lines:
        endpoints[endpoint_of(line.table.url)].append(line)
    return endpoints.values()


def endpoint_of(url: str) -> str:
    """What a line's URL opens, normalised: the real path of a device (links resolved), or host:port in lower case."""
    return os.path.realpath(url) if url.startswith("/") else urlsplit(url).netloc.lower()


def _check_endpoint(problems: Problems, lines: Sequence[LineAt]) -> None:
    """Lines share an endpoint only if it takes several connections, and unit ids are unique behind it.

    A serial port and a device server's socket lead to one bus, where requests of two lines would mix with each other's
    replies. A Modbus TCP server answers each connection separately.
    """
    known = [(unit, unit.profile) for line in lines for unit in line.units if unit.profile]
    is_served = all(dialect(profile.dialect).is_networked for _, profile in known) and not any(
        _has_port(line) for line in lines
    )
    first, *others = lines
    for line in others if not is_served else ():
        opened = f"{first.table.id} in line {problems.document.line_of(*first.path, 'url')} opens the same"
        message = f"{opened}, accepted: all its units in that [[line]]; only {_NETWORKED} takes several connections"
        problems.error((*line.path, "url"), message)
    what = "unit of this line" if len(lines) == 1 else "unit at this URL"
    _check_numbers(problems, lines, [profile for _, profile in known])
    for together in [lines] if is_served else [[line] for line in lines]:
        there = [(unit, unit.profile) for line in together for unit in line.units if _fits(problems, unit)]
        unit_ids = [((*unit.path, "unit_id"), unit_id_of(unit.table, p)) for unit, p in there if p]
        _check_unique(problems, what, [(path, unit_id) for path, unit_id in unit_ids if unit_id is not None])


def _check_numbers(problems: Problems, lines: Sequence[LineAt], profiles: Sequence[DeviceProfile]) -> None:
    """Numbers that a server does not return are excused only where nobody else could have answered."""
    for line in lines:
        numbers = {"transactions": line.table.transactions, "unit_ids": line.table.unit_ids}
        for key in (key for key, said in numbers.items() if said is Numbers.IGNORED):
            if not all(dialect(profile.dialect).is_networked for profile in profiles):
                message = f"{profiles[0].dialect} has no such numbers, accepted: echoed; ignored only for {_NETWORKED}"
                problems.error((*line.path, key), message)
            elif (count := sum(len(each.units) for each in lines)) > 1:
                message = f"{count} units are asked at this URL, so their answers could be mixed up"
                problems.error((*line.path, key), f"{message}, accepted: echoed, or one unit alone")


def _fits(problems: Problems, unit: UnitAt) -> bool:
    """Whether the unit's profile suits its line: else nothing is judged by it."""
    return problems.is_sound((*unit.path, "profile"))


def _has_port(line: LineAt) -> bool:
    """Whether the line opens a serial port, locally or by RFC 2217, which serves one client."""
    return not line.table.url.startswith("socket:")


def _check_line(problems: Problems, line: LineAt) -> None:
    url = line.table.url
    if url.startswith(_UNSTABLE_NAMES):
        problems.warn((*line.path, "url"), "may name another adapter after a restart, better: /dev/serial/by-path/...")
    if line.table.connection is Connection.EACH_POLL and url.startswith("/"):
        message = "a serial port is no connection, accepted: kept; each-poll only for socket:// and rfc2217://"
        problems.error((*line.path, "connection"), message)
    if url.startswith("/") and not os.path.exists(url):
        problems.warn((*line.path, "url"), f"{url} is not there now")
    known = [(unit, unit.profile) for unit in line.units if unit.profile]
    if known and len(known) == len(line.units) and problems.is_sound(line.path):
        _check_load(problems, line, known)


def _check_sharing(problems: Problems, line: LineAt) -> None:
    """Units on one line have the same dialect and serial settings, and addresses. What most have is the line's."""
    known = [(unit, unit.profile) for unit in line.units if unit.profile]
    if not known:
        return
    if len(known) > 1 and _has_port(line) and all(dialect(profile.dialect).is_networked for _, profile in known):
        message = f"no line for {known[0][1].dialect}, which its units speak, accepted: socket://host:port"
        problems.error((*line.path, "url"), message)
        return
    usual = Counter((profile.dialect, profile.serial) for _, profile in known).most_common(1)[0][0]
    first_unit, first = next(each for each in known if (each[1].dialect, each[1].serial) == usual)
    for unit, profile in known:
        if misfit := _unshared(line, unit, profile, first_unit, first):
            problems.error((*unit.path, "profile"), misfit)
        elif len(line.units) > 1 and profile.address is not None and unit_id_of(unit.table, profile) is None:
            problems.error((*unit.path,), "unit_id is missing, accepted: one that no other unit of the line has")


def _unshared(
    line: LineAt, unit: UnitAt, profile: DeviceProfile, first_unit: UnitAt, first: DeviceProfile
) -> str | None:
    """Why the unit cannot be on the line with `first_unit`, which is as most there are; None if it can."""
    if dialect(profile.dialect).is_networked and _has_port(line):
        return f"speaks {profile.dialect}, accepted on this line: a profile for serial lines"
    if unit is not first_unit and profile.address is None:
        return "has no address, accepted: alone on its line"
    if profile.dialect is not first.dialect:
        return f"speaks {profile.dialect}, accepted on the line of {first_unit.table.id}: {first.dialect}"
    if profile.serial != first.serial and _has_port(line):
        accepted = f"{first.serial}, handshake {first.serial.handshake}"
        return f"differs in link.serial, accepted on the line of {first_unit.table.id}: {accepted}"
    return None


def _check_load(problems: Problems, line: LineAt, known: Sequence[tuple[UnitAt, DeviceProfile]]) -> None:
    """The polls of all units take less than 100 % of the line's time, with an opening for each where that is asked."""
    openings = line.table.connection is Connection.EACH_POLL
    load = sum(
        (_poll_time_s(profile, has_wire=_has_port(line)) + openings * profile.timing.settle_after_open_s)
        / unit.table.poll_period_s
        for unit, profile in known
    )
    slowest = sum(len(profile.blocks) * profile.timing.drain_s / unit.table.poll_period_s for unit, profile in known)
    if load > 1:
        message = f"{len(known)} units keep the line busy for {load:.0%} of the time"
        problems.error((*line.path, "unit"), f"{message}, accepted: longer poll_period_s, or fewer units")
    elif load + slowest > 1:
        message = f"polls are late when units answer as slowly as they may ({load + slowest:.0%} of the time)"
        problems.warn((*line.path, "unit"), f"{message}, better: longer poll_period_s")


def _poll_time_s(profile: DeviceProfile, *, has_wire: bool) -> float:
    """Time of one poll's blocks on the wire, with the gaps before them; without the unit's response time."""
    serial = profile.serial
    character_s = (
        (1 + serial.bits + (serial.parity is not Parity.NONE) + serial.stop) / serial.baud if has_wire else 0.0
    )
    return sum(_characters_of(profile, block) * character_s + profile.timing.gap_s for block in profile.blocks)


def _characters_of(profile: DeviceProfile, block: Block) -> int:
    """Characters of request and reply together."""
    content = _REPLY_TEXT_CHARS if isinstance(block.source, str) else _REPLY_DATA_BYTES
    return dialect(profile.dialect).exchange_size(block.query(None), content)


def _check_unit(problems: Problems, unit: UnitAt, mode: Mode | None) -> None:
    table = unit.table
    if table.simulated and mode is Mode.LIVE:
        problems.error((*unit.path, "simulated"), 'a simulated unit, accepted in mode "live": none')
    _check_unique(problems, "cap", [((*unit.path, "cap", at, "cap"), cap.cap) for at, cap in enumerate(table.cap)])
    _check_unique(
        problems, "offset", [((*unit.path, "offset", at, "point"), each.point) for at, each in enumerate(table.offset)]
    )
    if unit.profile and _fits(problems, unit):
        _check_against_profile(problems, unit.path, table, unit.profile)


def _check_against_profile(problems: Problems, path: KeyPath, table: UnitTable, profile: DeviceProfile) -> None:
    address = profile.address
    if table.unit_id is not None and address is None:
        problems.error((*path, "unit_id"), f"{profile.id} has no address, accepted: no unit_id")
    if table.unit_id is not None and address and not address.min <= table.unit_id <= address.max:
        problems.error((*path, "unit_id"), f"no address of {profile.id}, accepted: {address.min} to {address.max}")
    if table.poll_period_s < profile.timing.fastest_poll_s:
        problems.error(
            (*path, "poll_period_s"), f"too fast for {profile.id}, accepted: {profile.timing.fastest_poll_s:g} or more"
        )
    if profile.reads_effect is not ReadsEffect.NONE and not table.consent_to_reads:
        message = f"reading {profile.id} has an effect on the unit ({profile.reads_effect})"
        problems.error((*path,), f"{message}, accepted: consent_to_reads = true, once the site has agreed")
    for at, cap in enumerate(table.cap):
        if cap.cap > profile.caps:
            problems.error((*path, "cap", at, "cap"), f"no cap of {profile.id}, accepted: 1 to {profile.caps}")
    temperatures = sorted({point.name for point in profile.points if canonical_unit(point) == CELSIUS})
    for at, offset in enumerate(table.offset):
        if offset.point not in temperatures:
            problems.error((*path, "offset", at, "point"), f"no temperature, accepted: {', '.join(temperatures)}")
