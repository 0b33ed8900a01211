"""A slow oracle for the tracker: it paints every second of a timeline and counts the painted ones.

It reads the facts on its own and shares nothing with the tracker but the facts' types and the policy's values. It takes
one patient's facts whose instants are whole seconds, no two of them the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import UnionType

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CapRemoved,
    Continuity,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopCharted,
    CoolingStopped,
    FaultCleared,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
    PatientLeft,
    UnitFaulted,
    UnitOffline,
    UnitOnline,
)
from gateway.session.policy import InfusionEndBasis, OfflineUnproven, PauseCounting, Policy, StopConflict


def attained_s(facts: Sequence[AnyFact], policy: Policy, until_s: int) -> list[int]:
    """The seconds at which units are attained."""
    end_s = _infusion_end(facts, policy)
    if end_s is None:
        return []
    caps = sorted({fact.cap for fact in facts if isinstance(fact, CoolingStarted)})
    painted = {cap: _paint(cap, facts, policy, until_s) for cap in caps}
    running = [{cap for cap in caps if painted[cap].running[s]} for s in range(until_s)]
    cools = [any(painted[cap].cools(s) for cap in caps) for s in range(until_s)]
    dark = [any(painted[cap].running[s] and painted[cap].unknown[s] for cap in caps) for s in range(until_s)]
    _fill_gaps(cools, dark, policy)
    first_s, last_s = _continued(running, end_s, policy)
    found: list[int] = []
    counted = 0
    for s in range(first_s, min(last_s, until_s)):
        counted += cools[s]
        if cools[s] and counted == policy.first_threshold_s + len(found) * policy.increment_s:
            found.append(s + 1)
    return found


@dataclass
class _Painted:
    """One cap, second by second."""

    running: list[bool] = field(default_factory=list[bool])
    paused: list[bool] = field(default_factory=list[bool])
    faulty: list[bool] = field(default_factory=list[bool])
    unknown: list[bool] = field(default_factory=list[bool])

    def cools(self, s: int) -> bool:
        return self.running[s] and not (self.paused[s] or self.faulty[s] or self.unknown[s])


def _paint(cap: CapRef, facts: Sequence[AnyFact], policy: Policy, until_s: int) -> _Painted:
    by_second = {fact.at_us // 1_000_000: fact for fact in facts}
    brush = _Brush(cap, policy, [(s, by_second[s]) for s in sorted(by_second)])
    dark = _dark_seconds(cap.device, by_second, policy, until_s)
    painted = _Painted()
    for s in range(until_s):
        if s in by_second:
            brush.take(s, by_second[s])
        painted.running.append(brush.runs)
        painted.paused.append(brush.paused)
        painted.faulty.append(bool(brush.faults))
        painted.unknown.append(s in dark)
    return painted


@dataclass
class _Brush:
    """The colour of one cap's present second."""

    cap: CapRef
    policy: Policy
    facts: list[tuple[int, AnyFact]]
    on: bool = False  # the machine's word
    ended: bool = False  # another's word
    thawing: bool = False
    gone: bool = False
    paused: bool = False
    faults: set[str] = field(default_factory=set[str])

    @property
    def runs(self) -> bool:
        return (self.thawing or (self.on and not self.ended)) and not self.gone

    def take(self, s: int, fact: AnyFact) -> None:
        match fact:
            case CoolingStarted() | CoolingStopped() | CoolingPaused() | CoolingResumed() if fact.cap == self.cap:
                self._machine(s, fact)
            case CapRemoved() if fact.cap == self.cap:
                self.ended, self.thawing = True, False
            case CoolingStopCharted() if fact.cap in (None, self.cap):
                device_decides = self.policy.stop_conflict is StopConflict.DEVICE
                if not (device_decides and (not self.on or self._later(s, CoolingStopped))):
                    self.ended, self.thawing = True, False
            case PatientLeft():
                self.gone = self.gone or not self.policy.count_after_departure
            case UnitFaulted() if fact.device == self.cap.device:
                self.faults.add(fact.code)
            case FaultCleared() if fact.device == self.cap.device:
                self.faults = self.faults - {fact.code} if fact.code else set()
            case _:
                pass

    def _machine(self, s: int, fact: CoolingStarted | CoolingStopped | CoolingPaused | CoolingResumed) -> None:
        match fact:
            case CoolingStarted():
                self.ended = self.ended and self.on
                self.on, self.paused, self.thawing = True, False, False
            case CoolingStopped():
                comes_off = [type(each) for each in self._later(s, CapRemoved | CoolingStarted)][:1] == [CapRemoved]
                self.thawing = self.thawing or (self.on and not self.ended and self.policy.count_thaw and comes_off)
                self.on = self.paused = False
            case CoolingPaused():
                self.paused = self.on
            case CoolingResumed():
                self.paused = False

    def _later(self, at_s: int, kinds: type | UnionType) -> list[AnyFact]:
        return [
            fact
            for s, fact in self.facts
            if s > at_s and isinstance(fact, kinds) and getattr(fact, "cap", 0) == self.cap
        ]


def _dark_seconds(device: str, by_second: dict[int, AnyFact], policy: Policy, until_s: int) -> set[int]:
    """P15: seconds of which nothing is known that counts."""
    dark: set[int] = set()
    since: int | None = None
    for s in sorted(by_second):
        match by_second[s]:
            case UnitOffline(device=which) if which == device:
                since = s if since is None else since
            case UnitOnline(device=which, continuity=continuity) if which == device and since is not None:
                if continuity is Continuity.UNPROVEN and policy.offline_unproven is OfflineUnproven.EXCLUDE:
                    dark |= set(range(since, s))
                since = None
            case _:
                pass
    return dark if since is None else dark | set(range(since, until_s))


def _fill_gaps(cools: list[bool], dark: list[bool], policy: Policy) -> None:
    """P9 gross, P31: what interrupts cooling briefly and in sight may count."""
    last: int | None = None
    for s, cool in enumerate(list(cools)):
        if not cool:
            continue
        gap_s = 0 if last is None else s - last - 1
        gross = policy.pause_counting is PauseCounting.GROSS_WITHIN_TOLERANCE and gap_s <= policy.pause_tolerance_s
        if last is not None and (gross or gap_s < policy.min_pause_s) and not any(dark[last + 1 : s]):
            cools[last + 1 : s] = [True] * gap_s
        last = s


def _continued(running: list[set[CapRef]], end_s: int, policy: Policy) -> tuple[int, int]:
    """P11, P12: from and to which second cooling is continued."""
    if not policy.continuity_required:
        return end_s, len(running)
    last: int | None = max((s for s in range(min(end_s, len(running))) if running[s]), default=None)
    if last is None:
        return 0, 0
    for s in range(end_s, len(running)):
        if not running[s]:
            continue
        if s - last - 1 > policy.pause_tolerance_s and running[s] & running[last]:
            return end_s, last + 1  # the same cap after too long: what came before it counts, if it reached the end
        last = s
    return end_s, last + 1


def _infusion_end(facts: Sequence[AnyFact], policy: Policy) -> int | None:
    """The second at which the last agent that counts has ended; None while one runs."""
    classes = {AgentClass.CHEMO, AgentClass.BIOLOGIC}
    if policy.infusion_end_basis is InfusionEndBasis.ALL_IV_STOP:
        classes |= {AgentClass.HYDRATION, AgentClass.FLUSH}
    orders = {fact.order for fact in facts if isinstance(fact, InfusionStarted) and fact.admin in classes}
    ends = [_order_end(order, facts) for order in orders]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else None


def _order_end(order: str, facts: Sequence[AnyFact]) -> int | None:
    starts = sorted(
        fact.at_us for fact in facts if isinstance(fact, InfusionStarted | InfusionRestarted) and fact.order == order
    )
    voids = [fact for fact in facts if isinstance(fact, InfusionEndVoided) and fact.order == order]
    best: tuple[int, int] | None = None
    for fact in facts:
        match fact:
            case InfusionEnded(order=whose) if whose == order:
                version, end_us = 1, fact.at_us
            case InfusionEndCorrected(order=whose) if whose == order:
                version, end_us = fact.version, fact.new_end_us
            case _:
                continue
        # It speaks of the latest start before it; only the last start matters, and none may lie after it.
        if end_us < starts[0] or (len(starts) > 1 and end_us <= starts[-1]):
            continue
        if not any(_withdraws(void, fact, version) for void in voids):
            best = max(best or (0, 0), (version, end_us))
    return None if best is None else best[1] // 1_000_000


def _withdraws(void: InfusionEndVoided, fact: InfusionEnded | InfusionEndCorrected, version: int) -> bool:
    if void.version is None:
        return (fact.known_at_us, fact.at_us) < (void.known_at_us, void.at_us)
    if isinstance(fact, InfusionEnded):
        return fact.at_us <= void.at_us  # an end that came about later is another end
    return version <= void.version
