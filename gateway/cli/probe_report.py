"""What `capgate probe` prints: the report, as JSON or as a table, and for each fault what to try next."""

import msgspec

from drivers.dialects.base import RejectKind
from drivers.driver import ProbeResult
from drivers.line import LineCounters
from drivers.profile import DeviceProfile
from drivers.reading import FaultKind, Quality, ReadFault, Reason, RunState

# What a unit of several caps is said to do: the first of these that one of its caps does.
_FOREMOST = (
    RunState.FAULT,
    RunState.READY,
    RunState.RUNNING,
    RunState.PAUSED,
    RunState.UNKNOWN,
    RunState.STOPPED,
)
_ANSWERS_TO_ANOTHER = (RejectKind.WRONG_COUNT, RejectKind.WRONG_FUNCTION, RejectKind.WRONG_TRANSACTION)
_UNREADABLE = (RejectKind.NOISE, RejectKind.BAD_CHECK)


class ReportPoint(msgspec.Struct, frozen=True):
    """One point; a conclusion of the profile's rules has no `raw`. `value` is None exactly when quality is bad."""

    name: str
    cap: int | None
    raw: int | str | None
    value: float | str | bool | None
    unit: str
    quality: Quality
    reason: Reason | None


class ReportFault(msgspec.Struct, frozen=True):
    """One thing that went wrong; `hint` begins with where to look."""

    kind: FaultKind
    detail: str
    hint: str


class ReportIdentity(msgspec.Struct, frozen=True):
    """What kind of unit was asked for, and whether it is one that answered."""

    vendor: str
    model: str
    source: str
    serial_number: str | None
    confirmed: bool | None  # None: too little was read to tell


class Report(msgspec.Struct, frozen=True):
    """The answer of `capgate probe --json`."""

    profile: str
    line: str
    unit_id: int | None
    identity: ReportIdentity
    run_state: RunState
    alarms: tuple[str, ...]
    points: tuple[ReportPoint, ...]
    faults: tuple[ReportFault, ...]


def report(
    line: str, profile: DeviceProfile, unit_id: int | None, result: ProbeResult, counters: LineCounters
) -> Report:
    """The report on one look at a unit."""
    identity = profile.identity
    is_foreign = any(fault.kind is FaultKind.WRONG_IDENTITY for fault in result.faults)
    confirmed = False if is_foreign else True if result.complete and not result.faults else None
    states = {cap.run_state for cap in result.decoded.caps}
    hint = _Hints(line, profile, unit_id, result, counters)
    return Report(
        profile=profile.id,
        line=line,
        unit_id=unit_id,
        identity=ReportIdentity(
            identity.vendor, identity.model, identity.source, result.decoded.serial_number, confirmed
        ),
        run_state=next(state for state in _FOREMOST if state in states),
        alarms=result.decoded.alarms,
        points=(*_read(result), *_concluded(profile, result)),
        faults=tuple(ReportFault(fault.kind, fault.detail, hint(fault)) for fault in result.faults),
    )


def _read(result: ProbeResult) -> list[ReportPoint]:
    return [
        ReportPoint(each.name, each.cap, each.raw, each.value, each.unit, each.quality, each.reason)
        for each in result.points
    ]


def _concluded(profile: DeviceProfile, result: ProbeResult) -> list[ReportPoint]:
    """What the profile's rules make of it, cap by cap; nothing that such a unit cannot tell."""
    missing = Reason.UNDECIDED if result.complete else Reason.NOT_READ
    points: list[ReportPoint] = []
    for cap in result.decoded.caps:
        known = None if cap.run_state is RunState.UNKNOWN else cap.run_state.value
        conclusions: dict[str, str | bool | None] = {"run_state": known} if profile.run_states else {}
        if profile.connected:
            conclusions["connected"] = cap.connected
        if profile.circulating.when:
            conclusions["circulating"] = cap.circulating
        for name, value in conclusions.items():
            quality, reason = (Quality.BAD, missing) if value is None else (Quality.GOOD, None)
            points.append(ReportPoint(name, cap.cap, None, value, "1", quality, reason))
    return points


class _Hints:
    """What to try next: wiring, line settings, timing, address and map told apart as far as the line tells."""

    def __init__(
        self, line: str, profile: DeviceProfile, unit_id: int | None, result: ProbeResult, counters: LineCounters
    ) -> None:
        self._is_port = line.startswith("/")
        self._unit_id = unit_id
        self._settings = f"{profile.serial}, {profile.dialect}" if "socket:" not in line else profile.dialect
        self._timeout_ms = round(profile.timing.timeout_s * 1000)
        self._rejects = counters.rejects
        self._to_another = any(counters.rejects[kind] for kind in _ANSWERS_TO_ANOTHER)
        self._unreadable = any(counters.rejects[kind] for kind in _UNREADABLE)
        # Once an answer has stayed out, one to another request, or bytes while nobody asks, can only be a late one.
        missed = any(fault.kind is FaultKind.TIMEOUT for fault in result.faults)
        self._is_late = missed and (self._to_another or (counters.idle_bytes > 0 and not self._unreadable))

    def __call__(self, fault: ReadFault) -> str:
        match fault.kind:
            case FaultKind.LINE_DOWN if self._is_port:
                return (
                    "line: check that the adapter is plugged in and the path right (ls -l /dev/serial/by-path), that "
                    "your user may open it (group dialout), and that no other program holds it"
                )
            case FaultKind.LINE_DOWN:
                return "line: check host and port, that the device server is on, and that no other client holds it"
            case FaultKind.TIMEOUT | FaultKind.GARBLED if self._is_late:
                return (
                    f"timing: answers come later than {self._timeout_ms} ms; "
                    "raise timeout_ms (--timeout) and drain_ms beyond the longest"
                )
            case FaultKind.TIMEOUT:
                return self._of_timeout()
            case FaultKind.GARBLED if self._to_another and not self._unreadable:
                return "map: whole answers come, but not to what was asked; try another profile"
            case FaultKind.GARBLED:
                return (
                    f"line settings: answers come unreadable; compare {self._settings} with the unit's menu, look for "
                    "interference (termination, shield), then doubt the profile"
                )
            case FaultKind.REFUSED:
                return (
                    "map: line and address are right, but the unit does not know these registers; try another profile"
                )
            case FaultKind.BUSY:
                return "unit: it is busy; try again"
            case FaultKind.DEVICE_FAILURE:
                return "unit: it reports a failure of its own; look at its display"
            case FaultKind.UNREACHABLE:
                return (
                    "address: the device server answers, the unit behind it does not; "
                    f"check its cable and that its unit id is {self._unit_id}"
                )
            case FaultKind.WRONG_IDENTITY:
                return "map: what answers is another kind of unit; check --unit-id, then try another profile"

    def _of_timeout(self) -> str:
        if self._rejects[RejectKind.WRONG_UNIT]:
            return f"address: another unit answers, but not unit id {self._unit_id}; set --unit-id"
        if self._rejects[RejectKind.ECHO]:
            return "wiring: only our own request comes back; switch the adapter's echo off, check the unit's end"
        if self._unreadable:
            return f"line settings: bytes come that are no answer; compare {self._settings} with the unit's menu"
        address = "" if self._unit_id is None else f"that its unit id is {self._unit_id}, "
        return (
            f"wiring or address: nothing comes within {self._timeout_ms} ms; check the cable (A/B, TX/RX), "
            f"that the unit's port is switched on, {address}then {self._settings}"
        )


def show(answer: Report) -> None:
    """The report as a table for people, on standard output."""
    from rich.console import Console  # here, for rich is slow to import
    from rich.table import Table
    from rich.text import Text

    console = Console()
    address = "" if answer.unit_id is None else f", unit id {answer.unit_id}"
    console.print(Text(f"{answer.identity.vendor} {answer.identity.model} at {answer.line}{address}"))
    points = [point for point in answer.points if point.reason is not Reason.NOT_READ]
    if points:
        console.print(Text(f"run state {answer.run_state}; alarms: {', '.join(answer.alarms) or 'none'}"))
        table = Table("point", "cap", "raw", "value", "unit", "quality", box=None)
        for point in points:
            table.add_row(*map(Text, _row(point)))
        console.print(table)
    for fault in answer.faults:
        console.print(Text(f"{fault.kind}: {fault.detail}\n  try next: {fault.hint}"), soft_wrap=True)


def _row(point: ReportPoint) -> tuple[str, ...]:
    match point.value:
        case None:
            value = "-"
        case bool():
            value = "yes" if point.value else "no"
        case float():
            value = f"{point.value:g}"
        case _:
            value = str(point.value)
    return (
        point.name,
        "" if point.cap is None else str(point.cap),
        "" if point.raw is None else str(point.raw),
        value,
        "" if point.unit == "1" else point.unit,
        f"{point.quality}: {point.reason}" if point.reason else point.quality,
    )
