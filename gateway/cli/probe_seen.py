"""What happened on a line, put as evidence for `drivers.diagnose.diagnosis`."""

from drivers.diagnose.diagnosis import Evidence
from drivers.diagnose.scan import Scanned, is_proven
from drivers.dialects.base import RejectKind
from drivers.line import LineCounters
from drivers.profile.load import DeviceProfile
from drivers.reading import FaultKind
from drivers.transport.ports import holders
from drivers.unit.driver import ProbeResult


def seen_by_probe(
    line: str, profile: DeviceProfile, unit_id: int | None, result: ProbeResult, counters: LineCounters
) -> Evidence:
    """What one look with a profile saw."""
    is_network = line.startswith("socket:")
    return Evidence(
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
    )


def seen_by_scan(line: str, unit_id: int | None, scanned: Scanned, down: str | None) -> Evidence:
    """What a search for whatever answers saw; `down`: why the line could not be opened."""
    is_network = line.startswith("socket:")
    faults: list[tuple[FaultKind, str]] = [] if down is None else [(FaultKind.LINE_DOWN, down)]
    if scanned.units and not scanned.stopped:
        faults.append((FaultKind.WRONG_IDENTITY, "no profile fits what answers"))
    settings = "every language" if is_network else "the settings that makers deliver"
    if scanned.units:
        unit = scanned.units[0]
        settings = f"{unit.dialect} over TCP" if unit.settings is None else f"{unit.settings}, {unit.dialect}"
    return Evidence(
        is_port=line.startswith("/"),
        has_settings=not is_network,
        settings=settings,
        unit_id=unit_id,
        held_by=holders(line) if line.startswith("/") and down is not None else (),
        requests=len(scanned.units),
        replies=len(scanned.units),
        refusals=tuple(code for each in scanned.heard for code in each.from_server),
        rejects={kind: sum(each.rejects.get(kind, 0) for each in scanned.heard) for kind in RejectKind},
        idle_bytes=sum(each.idle_bytes for each in scanned.heard),
        is_complete=False,
        is_proven=False,
        is_search=True,
        faults=tuple(faults),
    )
