"""The cooling of one session: runs of each cap, what interrupts them, and what ends them.

Theory of operation. A cap's facts drive a state machine: stopped, cooling, paused. It yields runs, from a start to a
stop, and the pauses inside them. Other ends of cooling (P13) cut the run into which they fall. Faults and time
offline belong to the unit and lie across all of its caps. Cooling is net of all of these; where several caps served the
session, any of them is enough (P23).

Facts at one instant: the one that changes the state comes first. So a stop and a start at the same instant leave a
running cap running and a stopped cap stopped, and the same holds for pause and resume.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import accumulate, groupby, islice
from typing import TypeVar

import msgspec

from gateway.session.facts import (
    AnyFact,
    CapRef,
    CapRemoved,
    Continuity,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopCharted,
    CoolingStopped,
    DepartureCancelled,
    FaultCleared,
    PatientLeft,
    UnitFaulted,
    UnitOffline,
    UnitOnline,
)
from gateway.session.policy import OfflineUnproven, Policy, StopConflict
from gateway.session.spans import FOREVER, US_PER_S, Span, overlapping, subtract, union

EHR = "adt"  # the source of a departure that the EHR reported
BOUND = "bound"  # the reason of a start that a binding to a running cap implies
IMPLICIT_STOP = "implicit_stop"  # the reason of a stop that the next patient on the cap implies (P24)
UNCONFIRMED = "unconfirmed"  # the reason of a pause that the unit's counters alone show
_FAULT = "fault"  # the reason of a pause that the unit's fault brings about (P14)


class Run(msgspec.Struct, frozen=True):
    """Circulation through one cap from a start to its end; `end_us` is FOREVER while it goes on."""

    cap: CapRef
    start_us: int
    end_us: int  # the earliest end (P13)
    end_known_us: int  # when the first of its ends was received
    machine_end_us: int  # when the machine stopped, whatever ended the count
    implicit: bool  # ended by the next patient on the cap
    seen: bool = True  # False: a binding alone began it, out of sight, and no reading ever showed it


class Pause(msgspec.Struct, frozen=True):
    """Circulation interrupted within a run."""

    start_us: int
    end_us: int
    resumed: bool  # otherwise it lasted to the end of the run
    fault: bool  # caused by a fault of the unit (P14)


class CapTime(msgspec.Struct, frozen=True):
    """One cap's share of the session."""

    cap: CapRef
    runs: tuple[Run, ...]
    pauses: tuple[Pause, ...]  # those that no fault caused
    faults: tuple[Span, ...]  # of the unit or of the cap (P14)
    unproven: tuple[Span, ...]  # offline spans that are over and not fully proven (P15)
    settled: tuple[Span, ...]  # offline spans that are over, whose count no later reading changes
    lost_us: int  # since when the unit is offline; FOREVER if readable
    unknown: tuple[Span, ...]  # the offline time, of `unproven` and since `lost_us`, that does not count
    running_spans: tuple[Span, ...]  # when circulation was on, pauses included
    net_spans: tuple[Span, ...]  # when coolant was known to circulate (P9, P14, P15)


class Cooling(msgspec.Struct, frozen=True):
    """All of a session's cooling, and the facts about its ends that reviewers ask for."""

    caps: tuple[CapTime, ...]
    machine_runs: tuple[Run, ...]  # as the machine alone reports them
    left_while_cooling: bool  # P28
    removed_while_running: bool  # the machine went on running after the cap came off

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of all caps, by their start."""
        return tuple(sorted((run for cap in self.caps for run in cap.runs), key=lambda run: (run.start_us, run.cap)))


CapFact = CoolingStarted | CoolingStopped | CoolingPaused | CoolingResumed | CapRemoved
CAP_STATES = (CoolingStarted, CoolingStopped, CoolingPaused, CoolingResumed)  # what readings show of a cap
CAP_FACTS = (CoolingStarted, CoolingStopped, CoolingPaused, CoolingResumed, CapRemoved)


def cooling(facts: Iterable[AnyFact], policy: Policy) -> Cooling:
    """The cooling of one session, from its facts under `policy`."""
    ordered = sorted(facts, key=lambda fact: (fact.at_us, fact.known_at_us))
    by_cap: dict[CapRef, list[CapFact]] = {}
    for fact in ordered:
        if isinstance(fact, CAP_FACTS):
            by_cap.setdefault(fact.cap, []).append(fact)
    charted = [fact for fact in ordered if isinstance(fact, CoolingStopCharted)]
    left = [] if policy.count_after_departure else _departures(ordered)
    caps: list[CapTime] = []
    machine_runs: list[Run] = []
    left_while_cooling = removed_while_running = False
    for cap, cap_facts in sorted(by_cap.items()):
        runs, pauses = _machine_runs(cap, cap_facts)
        machine_runs += runs
        removed = [fact for fact in cap_facts if isinstance(fact, CapRemoved)]
        if policy.count_thaw:
            runs = _with_thaw(runs, removed)
        removed_while_running |= any(
            (off := _first_after(removed, run.start_us)) is not None and off.at_us < run.machine_end_us for run in runs
        )
        runs = _cut_at_removals(runs, removed)
        runs = _cut_as_charted(runs, [fact for fact in charted if fact.cap in (None, cap)], policy)
        departures = [fact for fact in left if fact.cap in (None, cap)]
        left_while_cooling |= any(
            (gone := _first_after(departures, run.start_us)) is not None and gone.at_us < run.end_us for run in runs
        )
        runs = _cut_at_departure(runs, departures)
        bound_us = {fact.at_us for fact in cap_facts if isinstance(fact, CoolingStarted) and fact.reason == BOUND}
        caps.append(_cap_time(cap, runs, pauses, ordered, bound_us, policy))
    return Cooling(tuple(caps), tuple(machine_runs), left_while_cooling, removed_while_running)


def _departures(facts: Sequence[AnyFact]) -> list[PatientLeft]:
    """The valid departures: a cancellation voids those that the EHR reported before it. `facts` are in order."""
    cancelled = [fact for fact in facts if isinstance(fact, DepartureCancelled)]
    # For each cancellation the latest receipt among it and all later ones.
    known_us = list(accumulate((fact.known_at_us for fact in reversed(cancelled)), max))[::-1]
    valid: list[PatientLeft] = []
    for fact in facts:
        if isinstance(fact, PatientLeft):
            index = bisect_left(cancelled, fact.at_us, key=_at_us)
            if fact.source != EHR or index == len(cancelled) or known_us[index] < fact.known_at_us:
                valid.append(fact)
    return valid


def _machine_runs(cap: CapRef, facts: Sequence[CapFact]) -> tuple[list[Run], list[Pause]]:
    runs: list[Run] = []
    pauses: list[Pause] = []
    started_us: int | None = None
    paused_us: int | None = None
    fault = False
    for at_us, group in groupby(facts, key=lambda fact: fact.at_us):
        here = tuple(group)
        starts = any(isinstance(fact, CoolingStarted) for fact in here)
        stops = [fact for fact in here if isinstance(fact, CoolingStopped)]
        pauses_here = [fact for fact in here if isinstance(fact, CoolingPaused)]
        resumes = any(isinstance(fact, CoolingResumed) for fact in here)
        if stops and not starts:
            if started_us is not None:
                if paused_us is not None:
                    pauses.append(Pause(paused_us, at_us, resumed=resumes, fault=fault))
                implicit = all(fact.reason == IMPLICIT_STOP for fact in stops)
                known_us = min(fact.known_at_us for fact in stops)
                runs.append(Run(cap, started_us, at_us, known_us, at_us, implicit))
            started_us = paused_us = None
            continue
        if starts and not stops and started_us is None:
            started_us = at_us
        if started_us is None:
            continue
        if paused_us is None and pauses_here and not resumes:
            paused_us = at_us
            fault = all(fact.reason == _FAULT for fact in pauses_here)
        elif paused_us is not None and (starts or resumes) and not pauses_here:
            pauses.append(Pause(paused_us, at_us, resumed=True, fault=fault))
            paused_us = None
    if started_us is not None:
        runs.append(Run(cap, started_us, FOREVER, FOREVER, FOREVER, False))
        if paused_us is not None:
            pauses.append(Pause(paused_us, FOREVER, resumed=False, fault=fault))
    return runs, pauses


def _with_thaw(runs: Sequence[Run], removed: Sequence[CapRemoved]) -> list[Run]:
    """P13, `count_thaw`: a run lasts until the cap was removed, unless another run began before that."""
    longer: list[Run] = []
    for run, limit_us in zip(runs, [*(later.start_us for later in runs[1:]), FOREVER], strict=False):
        off = _first_after(removed, run.end_us)
        longer.append(run if off is None or off.at_us > limit_us else msgspec.structs.replace(run, end_us=off.at_us))
    return longer


def _cut_at_removals(runs: Iterable[Run], removed: Sequence[CapRemoved]) -> list[Run]:
    """P13: a removed cap ends the run that was on."""
    return [_ended(run, _first_after(removed, run.start_us)) for run in runs]


def _cut_as_charted(runs: Iterable[Run], charted: Sequence[CoolingStopCharted], policy: Policy) -> list[Run]:
    """P13: the earliest end counts; `charted` is in order.

    A charted end states that there was no cooling from then until the charting: it cancels runs that the machine
    began in between, and nothing later.
    """
    denied_until_us = list(accumulate((max(end.at_us, end.known_at_us) for end in charted), max))
    cut: list[Run] = []
    for run in runs:
        if policy.stop_conflict is StopConflict.DEVICE and run.machine_end_us < FOREVER:
            cut.append(run)
            continue
        first = bisect_right(denied_until_us, run.start_us)  # the earliest end that reaches past the run's start
        ended = _ended(run, charted[first] if first < len(charted) else None)
        if ended.start_us < ended.end_us:
            cut.append(ended)
    return cut


def _cut_at_departure(runs: Iterable[Run], departures: Sequence[PatientLeft]) -> list[Run]:
    """P28: a patient who has left is not cooled any more, also not by a run that starts later."""
    ended = (_ended(run, departures[0] if departures else None) for run in runs)
    return [run for run in ended if run.start_us < run.end_us]


def _ended(run: Run, end: CapRemoved | CoolingStopCharted | PatientLeft | None) -> Run:
    """The run cut at `end`, if that comes before its own end."""
    if end is None or end.at_us >= run.end_us:
        return run
    return msgspec.structs.replace(run, end_us=end.at_us, end_known_us=min(run.end_known_us, end.known_at_us))


_AnEnd = TypeVar("_AnEnd", CapRemoved, PatientLeft)


def _first_after(ends: Sequence[_AnEnd], at_us: int) -> _AnEnd | None:
    """The first of `ends`, which are in order, that happened after `at_us`."""
    index = bisect_right(ends, at_us, key=_at_us)
    return ends[index] if index < len(ends) else None


def _at_us(fact: AnyFact) -> int:
    return fact.at_us


def _cap_time(
    cap: CapRef,
    runs: Sequence[Run],
    pauses: Sequence[Pause],
    facts: Sequence[AnyFact],
    bound_us: Container[int],
    policy: Policy,
) -> CapTime:
    bridged = policy.offline_unproven is OfflineUnproven.BRIDGE
    silences, lost_us = _silences(cap.device, facts)
    unproven = union(span for span, online in silences if _is_unproven(online, cap.channel))
    settled = union(span for span, online in silences if not (bridged and _is_unproven(online, cap.channel)))
    tolerance_us = policy.pause_tolerance_s * US_PER_S
    losses = union(loss for span, online in silences for loss in _losses(span, online, cap.channel, runs, tolerance_us))
    kept = [part for pause in pauses if (part := _within(pause, runs)) is not None]
    by_choice = [pause for pause in kept if not pause.fault]
    faults = union([*_faults(cap.device, facts), *(_span(pause) for pause in kept if pause.fault)])
    unknown = union([*(() if bridged else unproven), *losses, (lost_us, FOREVER)])
    runs = [_begun_in_sight(run, unknown) if run.start_us in bound_us else run for run in runs]
    running = union((run.start_us, run.end_us) for run in runs)
    return CapTime(
        cap=cap,
        runs=tuple(runs),
        pauses=tuple(by_choice),
        faults=faults,
        unproven=union([*unproven, *losses]),
        settled=settled,
        lost_us=lost_us,
        unknown=unknown,
        running_spans=running,
        net_spans=subtract(running, [*(_span(pause) for pause in by_choice), *faults, *unknown]),
    )


def _begun_in_sight(run: Run, unknown: tuple[Span, ...]) -> Run:
    """A run that a binding began: P11 asks for cooling that was seen, and out of sight it was the patient's before."""
    back_us = next((end_us for _, end_us in overlapping(unknown, run.start_us, run.start_us + 1)), run.start_us)
    if back_us >= run.end_us:
        return msgspec.structs.replace(run, seen=False)
    return msgspec.structs.replace(run, start_us=back_us)


def _span(pause: Pause) -> Span:
    return pause.start_us, pause.end_us


def _within(pause: Pause, runs: Sequence[Run]) -> Pause | None:
    """The pause clipped to its run, which may itself have been cut; None if nothing of it is left."""
    index = bisect_right(runs, pause.start_us, key=_start_us) - 1
    if index < 0 or pause.start_us >= runs[index].end_us:
        return None
    end_us = runs[index].end_us
    return Pause(pause.start_us, min(pause.end_us, end_us), pause.resumed and pause.end_us <= end_us, pause.fault)


def _start_us(run: Run) -> int:
    return run.start_us


def _faults(device: str, facts: Iterable[AnyFact]) -> tuple[Span, ...]:
    """P14: from the first bad poll of a fault to its clearing, fault by fault."""
    open_us: dict[str, int] = {}
    faults: list[Span] = []
    for fact in facts:
        match fact:
            case UnitFaulted() if fact.device == device:
                open_us.setdefault(fact.code, fact.at_us)
            case FaultCleared() if fact.device == device:
                cleared = [code for code in open_us if not fact.code or code in ("", fact.code)]
                faults += [(open_us.pop(code), fact.at_us) for code in cleared]
            case _:
                pass
    return union([*faults, *((start, FOREVER) for start in open_us.values())])


def _silences(device: str, facts: Iterable[AnyFact]) -> tuple[list[tuple[Span, UnitOnline]], int]:
    """P15: the offline spans that are over, each with its UnitOnline, and since when it is offline now, or FOREVER."""
    silent_us: int | None = None
    silences: list[tuple[Span, UnitOnline]] = []
    for fact in facts:
        match fact:
            case UnitOffline() if fact.device == device and silent_us is None:
                silent_us = fact.at_us
            case UnitOnline() if fact.device == device and silent_us is not None:
                silences.append(((silent_us, fact.at_us), fact))
                silent_us = None
            case _:
                pass
    return silences, FOREVER if silent_us is None else silent_us


def _is_unproven(online: UnitOnline, channel: int) -> bool:
    """Whether nothing is proven of one cap. A fact that names no caps concerns all of them."""
    if online.continuity is Continuity.PROVEN:
        return False
    return channel in online.unproven if online.unproven or online.lost else True


def _losses(silence: Span, online: UnitOnline, channel: int, runs: Sequence[Run], tolerance_us: int) -> Iterator[Span]:
    """The spans of a silence in which, by its counters, a cap did not cool.

    The counters show how long that was, not when. It is put at the end of the silence, or of the run if that ended
    within it, which leaves the fewest counted minutes. A loss longer than the tolerance may have been a stop that
    closed the count (P11, P12): then the whole silence is lost.
    """
    lost_us = sum(loss.lost_us for loss in online.lost if loss.channel == channel)
    if not lost_us:
        return
    start_us, end_us = silence
    if lost_us > tolerance_us:
        lost_us = end_us - start_us
    for run in islice(runs, bisect_right(runs, start_us, key=_end_us), None):
        if run.start_us >= end_us:
            return
        lost_end_us = min(run.end_us, end_us)
        yield max(run.start_us, start_us, lost_end_us - lost_us), lost_end_us


def _end_us(run: Run) -> int:
    return run.end_us
