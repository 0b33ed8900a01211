"""The report of `capgate probe`: measured points, findings about line and unit, and a hint for each fault."""

import msgspec

from drivers.diagnose.connections import ConnectionsSeen
from drivers.diagnose.diagnosis import Diagnoses, LineEvidence, diagnose
from drivers.diagnose.scan import Scanned, is_proven
from drivers.dialects.base import RejectKind
from drivers.dialects.registry import dialect
from drivers.line import LineCounters
from drivers.profile.load import DeviceProfile
from drivers.reading import FaultKind, Quality, ReadFault, Reason, RunState
from drivers.transport.ports import holders
from drivers.unit.driver import ProbeResult
from gateway.cli.unit_options import is_by_network

# The run state of a unit with several caps: the first of these that one of its caps has.
_BY_PRIORITY = (
    RunState.FAULT,
    RunState.READY,
    RunState.RUNNING,
    RunState.PAUSED,
    RunState.UNKNOWN,
    RunState.STOPPED,
)
_MISMATCHED = (RejectKind.WRONG_COUNT, RejectKind.WRONG_FUNCTION, RejectKind.WRONG_TRANSACTION)
_UNREADABLE = (RejectKind.NOISE, RejectKind.BAD_CHECK)


class ReportPoint(msgspec.Struct, frozen=True):
    """A point, or a state derived by the profile's rules, without `raw`. `value` is None exactly if quality is bad."""

    name: str
    cap: int | None
    raw: int | str | None
    value: float | str | bool | None
    unit: str
    quality: Quality
    reason: Reason | None


class ReportFault(msgspec.Struct, frozen=True):
    """A fault; `hint` begins with its area (line, wiring, address, map, ...)."""

    kind: FaultKind
    detail: str
    hint: str


class ReportIdentity(msgspec.Struct, frozen=True):
    """The kind of unit in the profile, and whether the unit that answered is of it."""

    vendor: str
    model: str
    source: str
    serial_number: str | None
    confirmed: bool | None  # None: too little was read to decide


class ProbeReport(msgspec.Struct, frozen=True):
    """The output of `capgate probe --json`. `profile` and `identity` are None if no profile fits."""

    profile: str | None
    line: str
    unit_id: int | None
    identity: ReportIdentity | None
    run_state: RunState
    alarms: tuple[str, ...]
    points: tuple[ReportPoint, ...]
    faults: tuple[ReportFault, ...]
    findings: Diagnoses
    next: str | None
    likely: tuple[str, ...]  # profiles that fit, best first

    @property
    def is_good(self) -> bool:
        """Whether every block was read without a fault, identity included."""
        return self.profile is not None and not self.faults


def report(
    line: str,
    profile: DeviceProfile,
    unit_id: int | None,
    result: ProbeResult,
    counters: LineCounters,
    connections: ConnectionsSeen,
) -> ProbeReport:
    """The report on one probe of a unit."""
    identity = profile.identity
    is_foreign = any(fault.kind is FaultKind.WRONG_IDENTITY for fault in result.faults)
    confirmed = False if is_foreign else True if result.complete and not result.faults else None
    states = {cap.run_state for cap in result.decoded.caps}
    findings = diagnose(_probe_evidence(line, profile, unit_id, result, counters, connections))
    hint = _Hints(line, profile, unit_id, result, counters, findings)
    return ProbeReport(
        profile=profile.id,
        line=line,
        unit_id=unit_id,
        identity=ReportIdentity(
            identity.vendor, identity.model, identity.source, result.decoded.serial_number, confirmed
        ),
        run_state=next(state for state in _BY_PRIORITY if state in states),
        alarms=result.decoded.alarms,
        points=(*_read(result), *_concluded(profile, result)),
        faults=tuple(ReportFault(fault.kind, fault.detail, hint(fault)) for fault in result.faults),
        findings=findings,
        next=findings.next,
        likely=(profile.id,) if confirmed else (),
    )


def report_without_unit(line: str, unit_id: int | None, scanned: Scanned, down: str | None = None) -> ProbeReport:
    """The report on a scan in which no profile fitted; `down`: why the line could not be opened."""
    faults: list[ReportFault] = []
    findings = diagnose(_scan_evidence(line, unit_id, scanned, down))
    if down is not None:
        faults.append(ReportFault(FaultKind.LINE_DOWN, down, f"line: {findings.port.next}"))
    if scanned.stopped:
        faults.append(ReportFault(FaultKind.NEEDS_CONSENT, scanned.stopped, "unit: see its panel"))
    for unit in () if scanned.stopped else scanned.units:
        place = f"{unit.dialect}{'' if unit.settings is None else f' at {unit.settings}'}"
        address = "" if unit.unit_id is None else f", unit id {unit.unit_id}"
        detail = f"{place}{address}: {unit.answer}, but no profile fits"
        faults.append(ReportFault(FaultKind.WRONG_IDENTITY, detail, "map: name the kind with --profile"))
    if not faults:
        asked = len(scanned.traffic)
        detail = f"no usable answer to {scanned.requests} requests, {asked} languages and settings"
        faults.append(ReportFault(FaultKind.TIMEOUT, detail, f"{findings.next}; capgate scan {line} asks more"))
    return ProbeReport(None, line, unit_id, None, RunState.UNKNOWN, (), (), tuple(faults), findings, findings.next, ())


def _probe_evidence(
    line: str,
    profile: DeviceProfile,
    unit_id: int | None,
    result: ProbeResult,
    counters: LineCounters,
    connections: ConnectionsSeen,
) -> LineEvidence:
    """The evidence of a poll with a profile."""
    is_network = is_by_network(line)
    return LineEvidence(
        is_port=line.startswith("/"),
        has_settings=not is_network,
        settings=f"{profile.dialect} over TCP" if is_network else f"{profile.serial}, {profile.dialect}",
        unit_id=unit_id,
        held_by=holders(line) if line.startswith("/") and not counters.requests else (),
        requests=counters.requests,
        replies=counters.replies,
        refusals=tuple(code for code, count in counters.exceptions.items() for _ in range(count)),
        rejects=dict(counters.rejects),
        idle_bytes=counters.idle_bytes,
        is_complete=result.complete,
        is_proven=is_proven(profile, result),
        is_search=False,
        faults=tuple((fault.kind, fault.detail) for fault in result.faults),
        is_networked=dialect(profile.dialect).is_networked,
        came=counters.came,
        closes=connections.closes,
        serves_one=connections.serves_one,
    )


def _scan_evidence(line: str, unit_id: int | None, scanned: Scanned, down: str | None) -> LineEvidence:
    """The evidence of a scan in which no profile fitted; `down`: why the line could not be opened."""
    is_network = is_by_network(line)
    faults: list[tuple[FaultKind, str]] = [] if down is None else [(FaultKind.LINE_DOWN, down)]
    if scanned.units and not scanned.stopped:
        faults.append((FaultKind.WRONG_IDENTITY, "no profile fits what answers"))
    settings = "every language" if is_network else "the settings that makers deliver"
    if scanned.units:
        unit = scanned.units[0]
        settings = f"{unit.dialect} over TCP" if unit.settings is None else f"{unit.settings}, {unit.dialect}"
    return LineEvidence(
        is_port=line.startswith("/"),
        has_settings=not is_network,
        settings=settings,
        unit_id=unit_id,
        held_by=holders(line) if line.startswith("/") and down is not None else (),
        requests=len(scanned.units),
        replies=len(scanned.units),
        refusals=tuple(code for each in scanned.traffic for code in each.from_server),
        rejects={kind: sum(each.rejects.get(kind, 0) for each in scanned.traffic) for kind in RejectKind},
        idle_bytes=sum(each.idle_bytes for each in scanned.traffic),
        is_complete=False,
        is_proven=False,
        is_search=True,
        faults=tuple(faults),
    )


def _read(result: ProbeResult) -> list[ReportPoint]:
    return [
        ReportPoint(each.name, each.cap, each.raw, each.value, each.unit, each.quality, each.reason)
        for each in result.points
    ]


def _concluded(profile: DeviceProfile, result: ProbeResult) -> list[ReportPoint]:
    """The states that the profile's rules derive, cap by cap; only those that the profile has rules for."""
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
    """The hint for a fault (wiring, line settings, timing, address or map), derived from the line's counters."""

    def __init__(
        self,
        line: str,
        profile: DeviceProfile,
        unit_id: int | None,
        result: ProbeResult,
        counters: LineCounters,
        findings: Diagnoses,
    ) -> None:
        self._findings = findings
        self._is_networked = dialect(profile.dialect).is_networked
        self._is_port = line.startswith("/")
        self._unit_id = unit_id
        self._settings = f"{profile.serial}, {profile.dialect}" if "socket:" not in line else profile.dialect
        self._timeout_ms = round(profile.timing.timeout_s * 1000)
        self._rejects = counters.rejects
        self._mismatched = sum(counters.rejects[kind] for kind in _MISMATCHED) > 2 * result.short_blocks
        self._unreadable = any(counters.rejects[kind] for kind in _UNREADABLE)
        # After a time-out, an answer to another request, or bytes while idle, must be a late answer.
        # What was judged first decides: after an answer of another length, a time-out says nothing of the unit's pace.
        missed = bool(result.faults) and result.faults[0].kind is FaultKind.TIMEOUT
        missed = missed and not counters.rejects[RejectKind.FOREIGN_TRANSACTION]
        is_garbled = any(fault.kind is FaultKind.GARBLED for fault in result.faults)
        self._is_else = is_garbled and self._mismatched and not self._unreadable
        self._is_late = missed and (self._mismatched or (counters.idle_bytes > 0 and not self._unreadable))

    def __call__(self, fault: ReadFault) -> str:
        match fault.kind:
            case FaultKind.LINE_DOWN:
                return self._of_line_down()
            case FaultKind.TIMEOUT | FaultKind.GARBLED if self._is_late:
                return (
                    f"timing: answers come later than {self._timeout_ms} ms; "
                    "raise timeout_ms (--timeout) and drain_ms beyond the longest"
                )
            case FaultKind.TIMEOUT | FaultKind.GARBLED if self._is_else:
                return "map: whole answers come, but not to what was asked; try another profile"
            case FaultKind.TIMEOUT:
                return self._of_timeout()
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
            case FaultKind.NEEDS_CONSENT:
                return (
                    "unit: switch its communication timeout off at its panel, or say --consent (in gateway.toml "
                    "consent_to_reads = true) once the site agrees; then open the line anew"
                )

    def _of_line_down(self) -> str:
        if self._is_port:
            return (
                "line: check that the adapter is plugged in and the path right (ls -l /dev/serial/by-path), that "
                "your user may open it (group dialout), and that no other program holds it"
            )
        return f"line: {self._findings.port.next or 'probe again'}"

    def _of_timeout(self) -> str:
        if self._rejects[RejectKind.FOREIGN_TRANSACTION]:
            return f"line settings: {self._findings.next}"
        if self._rejects[RejectKind.WRONG_UNIT] and self._is_networked:
            return f"address: {self._findings.next}"
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
