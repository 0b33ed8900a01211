"""Scans a line for units: sends the requests of a plan until units answer, then tries profiles on them.

All units on a line share its settings, so the scan ends after the first round in which one answers. Each unit that
answers is probed with every profile of its dialect; a profile fits if all its blocks are read and its identity checks
have good values. The port stays open during a round, for all dialects, since opening a port disturbs the line.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import msgspec

from drivers.decode.values import number
from drivers.diagnose.scan_plan import Plan, Question, Round, dialects_of
from drivers.dialects.base import Dialect, Query, Raw, RejectKind
from drivers.dialects.registry import DialectName, dialect
from drivers.errors import DriverError, Garbled, LineDown, NoReply, SettingsRefused, UnitRefused
from drivers.line import Line, LineCounters, LineTiming
from drivers.profile.types import DeviceProfile
from drivers.reading import FaultKind, Quality, Stamp
from drivers.transport.base import ByteLink, Connector, SerialSettings
from drivers.transport.open import connector
from drivers.unit.driver import Driver, ProbeResult

_SETTLE_S = 0.1
_REOPEN_TRIES = 8
_REOPEN_WAIT_S = 0.25  # a device server releases its port some time after a client disconnects
_FROM_A_UNIT = {RejectKind.WRONG_COUNT, RejectKind.WRONG_FUNCTION}


class Match(msgspec.Struct, frozen=True):
    """How a profile fits a unit; `good` of its `points` have a good value."""

    profile: str
    fits: bool
    good: int
    points: int
    coolant_c: float | None
    why_not: str | None  # None if it fits


class Unit(msgspec.Struct, frozen=True):
    """A unit that answered. `matches`: best first; `any_address`: it answers to every unit id."""

    dialect: DialectName
    settings: SerialSettings | None
    unit_id: int | None
    answer: str
    any_address: bool = False
    matches: tuple[Match, ...] = ()

    @property
    def likely(self) -> tuple[str, ...]:
        """The profiles that fit."""
        return tuple(match.profile for match in self.matches if match.fits)


class Traffic(msgspec.Struct, frozen=True):
    """The counters of one dialect at one setting."""

    settings: SerialSettings | None
    dialect: DialectName
    requests: int
    answers: int
    rejects: dict[RejectKind, int]
    idle_bytes: int
    from_server: tuple[int, ...]  # exception codes by which a device server reports an unreachable unit


class ScanProgress(msgspec.Struct, frozen=True):
    """The progress of a scan, in requests."""

    done: int
    total: int
    settings: SerialSettings | None
    dialect: DialectName
    unit_id: int | None


class Scanned(msgspec.Struct, frozen=True):
    """The result of a scan. `stopped`: why it ended early; `skipped`: settings that the port does not support."""

    units: tuple[Unit, ...]
    traffic: tuple[Traffic, ...]
    skipped: tuple[str, ...]
    stopped: str | None
    requests: int


class Scan:
    """One scan of the line at `url`; it sends only the plan's requests and the profiles' reads."""

    def __init__(
        self,
        url: str,
        profiles: Sequence[DeviceProfile],
        now: Callable[[], Stamp],
        report: Callable[[ScanProgress], None],
        timeout_s: float,
    ) -> None:
        self._url = url
        self._profiles = profiles
        self._now = now
        self._report = report
        self._timeout_s = timeout_s
        self._done = 0
        self._total = 0
        self._units: list[Unit] = []
        self._answered: dict[tuple[DialectName, int | None], Query] = {}
        self._traffic: list[Traffic] = []
        self._stopped: str | None = None

    async def run(self, plan: Plan) -> Scanned:
        """Scan until a unit answers or the plan is done. Raises LineDown if the line cannot be opened."""
        self._total = plan.requests
        skipped: list[str] = []
        for each in plan.rounds:
            try:
                await self._scan_round(each)
            except SettingsRefused as error:
                skipped.append(f"{each.settings}: {error.detail}")
                self._total -= each.requests
            if self._units or self._stopped:
                break
        return Scanned(tuple(self._units), tuple(self._traffic), tuple(skipped), self._stopped, self._done)

    async def _scan_round(self, asked: Round) -> None:
        shared = _SharedLink(connector(self._url, asked.settings or SerialSettings()))
        try:
            await shared.open()
            await self._ask_all(shared, asked.settings, asked.questions)
            if self._units and not any(unit.likely for unit in self._units) and not self._stopped:
                self._total += sum(question.tries for question in asked.further)
                await self._ask_all(shared, asked.settings, asked.further)
        finally:
            shared.close()

    async def _ask_all(
        self, shared: "_SharedLink", settings: SerialSettings | None, questions: tuple[Question, ...]
    ) -> None:
        for name, each in groupby(questions, key=lambda question: question.dialect):
            await self._scan_dialect(shared, settings, name, each)
            if self._stopped:
                return
        matched = [unit if unit.matches else await self._with_matches(shared, settings, unit) for unit in self._units]
        self._units = _without_duplicates(matched)

    async def _scan_dialect(
        self, shared: "_SharedLink", settings: SerialSettings | None, name: DialectName, questions: Iterable[Question]
    ) -> None:
        codec = dialect(name)
        line = shared.line(self._url, codec, self._timing(name), settings)
        found: list[Unit] = []
        asked = 0
        for question in questions:
            asked += 1
            if (answer := await self._ask(line, settings, question)) is None:
                continue
            found.append(Unit(name, settings, question.query.unit_id, answer))
            self._answered[name, question.query.unit_id] = question.query
            if self._stopped:
                break
        self._traffic.append(_traffic(settings, name, line.counters))
        if len(found) == asked > 1 and not codec.needs_drain:
            found = [msgspec.structs.replace(found[0], any_address=True)]
        self._units += {each.unit_id: each for each in found}.values()

    async def _ask(self, line: Line, settings: SerialSettings | None, question: Question) -> str | None:
        """Send a request; returns a text on the answer, None if no unit answered."""
        for _ in range(question.tries):
            self._done += 1
            self._report(ScanProgress(self._done, self._total, settings, question.dialect, question.query.unit_id))
            before = dict(line.counters.rejects)
            try:
                raw = await line.exchange(question.query)
            except UnitRefused as error:
                return None if error.kind is FaultKind.UNREACHABLE else f"refuses with {error.detail}"
            except (NoReply, Garbled):
                new = {kind for kind, count in line.counters.rejects.items() if count > before[kind]}
                if new & _FROM_A_UNIT and not new & {RejectKind.BAD_CHECK, RejectKind.NOISE}:
                    return "answers, but not what was asked"
                continue
            if question.is_watchdog and number(raw):
                self._stopped = (
                    "a unit answered whose communication watchdog is armed: it acts by itself when it is no longer "
                    "asked, so nothing more was asked; switch the watchdog off at its panel"
                )
            return f"answers {_shown(raw)}"
        return None

    async def _with_matches(self, shared: "_SharedLink", settings: SerialSettings | None, unit: Unit) -> Unit:
        """The unit with the match of every profile of its dialect.

        Each probe follows a repeat of the request that was answered, which flushes the unit's receive buffer.
        """
        matches: list[Match] = []
        for profile in self._profiles:
            if unit.dialect not in dialects_of(profile, is_serial=settings is not None):
                continue
            if unit.unit_id is not None and profile.address is None:
                continue
            adapted = msgspec.structs.replace(profile, dialect=unit.dialect)
            line = shared.line(self._url, dialect(unit.dialect), self._timing(unit.dialect), settings)
            with contextlib.suppress(DriverError):
                await line.exchange(self._answered[unit.dialect, unit.unit_id])
            driver = Driver("scan", adapted, line, unit.unit_id, self._now)
            matches.append(_match(profile, await driver.probe()))
        matches.sort(key=lambda match: (not match.fits, -match.good))
        return msgspec.structs.replace(unit, matches=tuple(matches))

    def _timing(self, name: DialectName) -> LineTiming:
        gaps = [profile.timing.gap_s for profile in self._profiles if name in dialects_of(profile, is_serial=False)]
        return LineTiming(max(gaps, default=0.0), self._timeout_s, self._timeout_s, _SETTLE_S)


def _without_duplicates(units: list[Unit]) -> list[Unit]:
    """The units, those with a profile first. If one without an address has a profile, others without are dropped.

    A line without addresses has a single unit, so those are the same one in other dialects.
    """
    units = sorted(units, key=lambda unit: not unit.likely)
    if not any(unit.likely and unit.unit_id is None for unit in units):
        return units
    return [unit for unit in units if unit.likely or unit.unit_id is not None]


class _SharedLink:
    """One open link, shared by lines of several dialects, and reopened if it is lost."""

    def __init__(self, opens: Connector) -> None:
        self._opens = opens
        self._link: ByteLink | None = None

    async def open(self) -> None:
        """Open the link; a link that was open before is tried _REOPEN_TRIES times. Raises LineDown."""
        tries = 1 if self._link is None else _REOPEN_TRIES
        self.close()
        while True:
            try:
                self._link = await self._opens()
            except LineDown:
                tries -= 1
                if tries == 0:
                    raise
                await asyncio.sleep(_REOPEN_WAIT_S)
            else:
                return

    def line(self, url: str, codec: Dialect, timing: LineTiming, settings: SerialSettings | None) -> Line:
        """A line of a dialect on the open link; if the line closes the link, its next use reopens it."""
        is_first = True

        async def link() -> ByteLink:
            nonlocal is_first
            if self._link is None or self._link.inbox.is_lost or not is_first:
                await self.open()
            is_first = False
            if self._link is None:
                raise LineDown(f"{url}: closed")
            return self._link

        return Line(url, link, codec, timing, None if settings is None else settings.baud)

    def close(self) -> None:
        """Close the port or connection."""
        if self._link is not None:
            self._link.close()


def _traffic(settings: SerialSettings | None, name: DialectName, counters: LineCounters) -> Traffic:
    server = tuple(code for code in counters.exceptions if UnitRefused(code).kind is FaultKind.UNREACHABLE)
    answers = counters.replies + sum(counters.exceptions.values())
    rejects = {kind: count for kind, count in counters.rejects.items() if count}
    return Traffic(settings, name, counters.requests, answers, rejects, counters.idle_bytes, server)


def _match(profile: DeviceProfile, result: ProbeResult) -> Match:
    good = sum(point.quality is Quality.GOOD for point in result.points)
    supply = next((each.value for each in result.points if each.name == "coolant_supply"), None)
    why_not = None if is_proven(profile, result) else "what would prove the kind has no value"
    if result.faults:
        why_not = result.faults[0].detail
    return Match(
        profile=profile.id,
        fits=why_not is None,
        good=good,
        points=len(result.points),
        coolant_c=supply if isinstance(supply, float) else None,
        why_not=why_not,
    )


def is_proven(profile: DeviceProfile, result: ProbeResult) -> bool:
    """Whether every identity check of the profile has a good value."""
    good = {point.name for point in result.points if point.quality is Quality.GOOD}
    return all(verify.point in good for verify in profile.verify)


def _shown(raw: Raw) -> str:
    return repr(raw) if isinstance(raw, str) else " ".join(f"{word:04X}" for word in raw)
