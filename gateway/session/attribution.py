"""Attribution: facts sorted into sessions. A pure function of the set of facts.

Theory of operation. The facts of each cap are cut into occupancies, one occupant each. Where the sender named the
patient of a fact, that decides. Otherwise the bindings do: an occupancy belongs to the patient bound to the cap when it
begins, or to the first one bound while it goes on. A binding of another patient ends it, whatever the machine reports
(P24), and so does cooling that starts again after the cap was idle. Reassignments then move whole occupancies. A
patient's occupancies make one session, on any number of caps (P23), unless half a day lies between them; an occupancy
without a patient makes a session of its own. An infusion fact belongs to a session by patient and instant, a fact of a
unit by the unit's caps, a fact that names a token by the SessionOpened fact of that token. A patient's fact that is
about a time far from any cooling belongs to no session, so that what a session is depends on the facts near it alone.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.session.cooling import BOUND, CAP_STATES, IMPLICIT_STOP
from gateway.session.facts import (
    AnyFact,
    BindingVoided,
    CapRef,
    ClockStepped,
    CoolingStopCharted,
    DepartureCancelled,
    FaultCleared,
    OrderChecked,
    PatientBound,
    PatientLeft,
    PatientReassigned,
    PreparationCharted,
    SessionFact,
    SessionOpened,
    UnitFaulted,
    UnitOffline,
    UnitOnline,
    UnitShared,
    UnitSharingEnded,
    deduplicated,
)
from gateway.session.history import AFTER_US, BEFORE_US, NO_HISTORY, PatientHistory, anchor_us
from gateway.session.occupancy import IdleAt, Occupancy, occupancies, on_a_cap, with_implicit_stops
from gateway.session.policy import parse_policy
from gateway.session.spans import FOREVER, US_PER_MINUTE, US_PER_S
from gateway.session.statements import InfusionFact

_HOUR_US = 60 * US_PER_MINUTE
SPLIT_US = 12 * _HOUR_US  # cooling of one patient this far apart is two sessions
DEFAULT_IDLE_US = 1800 * US_PER_S
_LEAD_US = 6 * _HOUR_US  # how long before its first cooling a patient's facts rather belong to it than to the last one

_PatientFact = InfusionFact | OrderChecked | SessionFact | CoolingStopCharted | PatientLeft | DepartureCancelled
_UNIT_FACTS = (UnitFaulted, FaultCleared, UnitOffline, UnitOnline, UnitShared, UnitSharingEnded)


class Session(msgspec.Struct, frozen=True):
    """One patient's episode: its facts, and the tokens drawn for it, the valid one first."""

    patient: str  # "" while unknown
    cap: CapRef | None  # the first; None for a patient without any cooling
    opened_us: int
    tokens: tuple[str, ...]
    reassigned: bool  # only a reassignment made it this patient's
    prepared_before: bool  # preparation was charted for the patient before the reassignment, and stays with that one
    facts: tuple[AnyFact, ...]

    @property
    def cooled(self) -> bool:
        """Whether coolant ever circulated in it."""
        return self.cap is not None


@dataclass
class _Group:
    """A session under construction. Without occupancies: after a reassignment took them, or a patient never cooled."""

    patient: str
    opened_us: int
    occupancies: list[Occupancy] = field(default_factory=list[Occupancy])
    tokens: list[str] = field(default_factory=list[str])
    facts: list[AnyFact] = field(default_factory=list[AnyFact])
    prepared_before: bool = False

    @property
    def last_us(self) -> int:
        return max((occupancy.last_us for occupancy in self.occupancies), default=self.opened_us)

    def devices(self) -> set[str]:
        return {occupancy.cap.device for occupancy in self.occupancies}


def sessions(
    facts: Iterable[AnyFact], idle_us_at: IdleAt = lambda _: DEFAULT_IDLE_US, split_us: int = SPLIT_US
) -> tuple[Session, ...]:
    """The sessions in `facts`, sorted by patient and beginning; and one of a patient's facts far from any cooling.

    Cooling of one patient up to `split_us` apart is one session; the patient's facts as far from it belong to it.
    """
    valid = _without_voided(deduplicated(facts))
    by_cap: dict[CapRef, list[AnyFact]] = {}
    for fact in valid:
        if on_a_cap(fact) and fact.cap is not None:
            by_cap.setdefault(fact.cap, []).append(fact)
    pinned = _pinned_idle_us(valid)
    found = {cap: occupancies(cap, each, idle_us_at, pinned.get(cap, {})) for cap, each in by_cap.items()}
    moves = _reassign(found, valid, split_us)
    owned = [occupancy for on_cap in found.values() for occupancy in with_implicit_stops(on_cap)]
    grouping = _Grouping(_groups(owned, split_us), split_us)
    for fact, opened_us in moves:
        grouping.anchor(fact.from_patient, opened_us)
    grouping.take_tokens(valid)
    grouping.take_patient_facts(valid)
    grouping.take_unit_facts(valid)
    for fact, opened_us in moves:
        before, after = grouping.of(fact.from_patient, opened_us), grouping.of(fact.to_patient, opened_us)
        after.prepared_before |= any(isinstance(each, PreparationCharted) for each in before.facts)
        for group in (before, after):
            group.facts.append(fact)
    return tuple(_session(group) for group in sorted(grouping.groups, key=lambda each: (each.patient, each.opened_us)))


def _pinned_idle_us(facts: Iterable[AnyFact]) -> dict[CapRef, dict[int, int]]:
    """By cap and a session's opening, how long the session's policy lets the occupant keep the cap after a stop."""
    pinned: dict[CapRef, dict[int, int]] = {}
    for fact in facts:
        if isinstance(fact, SessionOpened):
            pinned.setdefault(fact.cap, {})[fact.at_us] = parse_policy(fact.policy).session_idle_s * US_PER_S
    return pinned


def _without_voided(facts: Sequence[AnyFact]) -> tuple[AnyFact, ...]:
    last: dict[tuple[CapRef, str], BindingVoided] = {}  # by cap and patient, the one that was received last
    for fact in facts:
        if isinstance(fact, BindingVoided):
            known = last.setdefault((fact.cap, fact.patient), fact)
            last[fact.cap, fact.patient] = max(known, fact, key=lambda each: each.known_at_us)

    def is_valid(fact: AnyFact) -> bool:
        if not isinstance(fact, PatientBound):
            return True
        void = last.get((fact.cap, fact.patient))
        return void is None or not voided(fact, void)

    return tuple(filter(is_valid, facts))


def voided(binding: PatientBound, void: BindingVoided) -> bool:
    """Whether `void` voids the binding: received no later, same cap and patient."""
    same = (binding.cap, binding.patient) == (void.cap, void.patient)
    return same and binding.known_at_us <= void.known_at_us


def _reassign(
    found: dict[CapRef, list[Occupancy]], facts: Sequence[AnyFact], split_us: int
) -> list[tuple[PatientReassigned, int]]:
    """Apply reassignments to `found`; each that moved something, with the beginning of the first occupancy moved."""
    moves: list[tuple[PatientReassigned, int]] = []
    orders = [fact for fact in facts if isinstance(fact, PatientReassigned)]
    for fact in sorted(orders, key=lambda fact: (fact.known_at_us, fact.at_us)):
        on_cap = found.get(fact.cap, [])
        opened_us: int | None = None
        for index in reversed(range(len(on_cap))):
            occupancy = on_cap[index]
            if occupancy.owner != fact.from_patient or occupancy.opened_us > fact.limit_us:
                continue
            if opened_us is not None and opened_us - occupancy.last_us > split_us:
                break  # an earlier session of the same patient on this cap
            on_cap[index] = msgspec.structs.replace(occupancy, owner=fact.to_patient)
            opened_us = occupancy.opened_us
        if opened_us is not None:
            moves.append((fact, opened_us))
    return moves


def _groups(owned: Iterable[Occupancy], split_us: int) -> list[_Group]:
    groups: list[_Group] = []
    latest: dict[str, _Group] = {}
    for occupancy in sorted(owned, key=lambda occupancy: (occupancy.opened_us, occupancy.cap)):
        group = latest.get(occupancy.owner) if occupancy.owner else None
        if group is None or occupancy.opened_us - group.last_us > split_us:
            group = _Group(occupancy.owner, occupancy.opened_us)
            groups.append(group)
            latest[occupancy.owner] = group
        group.occupancies.append(occupancy)
        group.facts += occupancy.facts
    return groups


class _Grouping:
    """Groups of occupancies, and the rules that add the other facts to them."""

    def __init__(self, groups: list[_Group], split_us: int) -> None:
        self.groups: list[_Group] = []
        self._own: dict[str, list[_Group]] = {}  # by patient, in the order of opening
        self._far: dict[str, _Group] = {}  # by patient: what is near none of them
        self._before_us, self._after_us = max(BEFORE_US, split_us), max(AFTER_US, split_us)
        for group in groups:
            self._add(group)

    def of(self, patient: str, at_us: int) -> _Group:
        """The patient's session about `at_us`: the last that is under way or about to begin, else the next."""
        own = self._own.get(patient, [])
        begun = bisect_right(own, at_us + _LEAD_US, key=_opened_us)
        if begun and at_us <= own[begun - 1].last_us + self._after_us:
            return own[begun - 1]
        if begun < len(own) and at_us >= own[begun].opened_us - self._before_us:
            return own[begun]
        if patient not in self._far:
            self._far[patient] = _Group(patient, at_us)
            self.groups.append(self._far[patient])
        return self._far[patient]

    def anchor(self, patient: str, opened_us: int) -> None:
        """Keep a session for the patient whose cooling was reassigned, so that its increments can be retracted."""
        own = self._own.get(patient, ())
        if not any(each.opened_us - _LEAD_US <= opened_us <= each.last_us for each in own):
            self._add(_Group(patient, opened_us))

    def _add(self, group: _Group) -> None:
        self.groups.append(group)
        insort(self._own.setdefault(group.patient, []), group, key=_opened_us)

    def take_tokens(self, facts: Iterable[AnyFact]) -> None:
        facts = tuple(facts)
        opened = [fact for fact in facts if isinstance(fact, SessionOpened)]
        bound = {(fact.cap, fact.at_us): fact.patient for fact in facts if isinstance(fact, PatientBound)}
        for fact in sorted(opened, key=lambda fact: (fact.known_at_us, fact.at_us)):
            on_cap = [
                (occupancy, group)
                for group in self.groups
                for occupancy in group.occupancies
                if occupancy.cap == fact.cap and occupancy.cooled
            ]
            begun = [each for each in on_cap if each[0].opened_us <= fact.at_us]
            # Of occupancies that open at one instant, each has a token of its own.
            occupancy, group = max(
                begun or on_cap, key=lambda each: (each[0].opened_us, not each[1].tokens), default=(None, None)
            )
            if occupancy is None or group is None:
                continue
            patient, at_us = fact.patient or occupancy.first_owner, occupancy.opened_us
            if not fact.patient and occupancy.last_us < fact.at_us:  # a cap out of sight had stopped before the binding
                patient, at_us = bound.get((fact.cap, fact.at_us), patient), fact.at_us
            home = group if group.patient == patient else self.of(patient, at_us)
            home.tokens.append(fact.token)
            home.facts.append(fact)

    def take_patient_facts(self, facts: Sequence[AnyFact]) -> None:
        by_token = {token: group for group in self.groups for token in group.tokens}
        of_patients = {patient: PatientHistory(each) for patient, each in _by_patient(facts).items()}
        for fact in facts:
            if not isinstance(fact, _PatientFact) or on_a_cap(fact):
                continue
            if isinstance(fact, SessionFact) and fact.token:
                if fact.token in by_token:
                    by_token[fact.token].facts.append(fact)
            elif fact.patient:
                at_us = anchor_us(fact, lambda patient: of_patients.get(patient, NO_HISTORY))
                self.of(fact.patient, at_us).facts.append(fact)

    def take_unit_facts(self, facts: Iterable[AnyFact]) -> None:
        for group in self.groups:
            if group.occupancies:
                first_us, last_us = group.opened_us - BEFORE_US, min(group.last_us + BEFORE_US, FOREVER)
                group.facts += _unit_facts(facts, group.devices(), first_us, last_us)


def _opened_us(group: _Group) -> int:
    return group.opened_us


def _unit_facts(facts: Iterable[AnyFact], devices: set[str], first_us: int, last_us: int) -> Iterator[AnyFact]:
    before: dict[str, UnitOffline | UnitOnline] = {}  # by unit: whether it was in sight when the first instant came
    for fact in facts:
        if first_us <= fact.at_us <= last_us and (
            isinstance(fact, ClockStepped) or (isinstance(fact, _UNIT_FACTS) and fact.device in devices)
        ):
            yield fact
        elif isinstance(fact, UnitOffline | UnitOnline) and fact.device in devices and fact.at_us < first_us:
            before[fact.device] = max(before.get(fact.device, fact), fact, key=lambda each: each.at_us)
    for silence in before.values():
        if isinstance(silence, UnitOffline):
            yield silence
            yield from _seen_again(silence, facts)


def _seen_again(silence: UnitOffline, facts: Iterable[AnyFact]) -> Iterator[UnitOnline]:
    """The end of a silence that only a later reading of a cap shows: earlier versions did not always record it."""
    read = [
        fact.at_us
        for fact in facts
        if isinstance(fact, CAP_STATES)
        and fact.cap.device == silence.device
        and fact.at_us > silence.at_us
        and fact.reason not in (BOUND, IMPLICIT_STOP)
    ]
    if read:
        yield UnitOnline(at_us=min(read), known_at_us=min(read), device=silence.device)


def _by_patient(facts: Iterable[AnyFact]) -> dict[str, list[AnyFact]]:
    found: dict[str, list[AnyFact]] = {}
    for fact in facts:
        for kind, name in fact.concerns:
            if kind == "patient":
                found.setdefault(name, []).append(fact)
    return found


def _session(group: _Group) -> Session:
    cooled = [occupancy for occupancy in group.occupancies if occupancy.cooled]
    return Session(
        patient=group.patient,
        cap=cooled[0].cap if cooled else None,
        opened_us=cooled[0].opened_us if cooled else group.opened_us,
        tokens=tuple(group.tokens),
        reassigned=bool(cooled) and cooled[0].first_owner != group.patient,
        prepared_before=group.prepared_before,
        facts=tuple(group.facts),
    )
