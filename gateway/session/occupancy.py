"""Occupancy: the facts of one cap, cut at changes of occupant. Pure; attribution.py has the theory of operation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import msgspec

from gateway.session.cooling import BOUND, IMPLICIT_STOP
from gateway.session.facts import (
    AnyFact,
    CapRef,
    CapRemoved,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopCharted,
    CoolingStopped,
    DevicePostTimerStarted,
    PatientBound,
    PatientLeft,
    PatientReleased,
)
from gateway.session.history import BEFORE_US
from gateway.session.spans import FOREVER, US_PER_MINUTE

IdleAt = Callable[[int], int]  # from an instant, UTC, to how long who then has a cap keeps it after a stop

BINDING_HOLDS_US = 4 * 60 * US_PER_MINUTE  # a binding expires if cooling does not start within this time

_OccupancyFact = (
    CoolingStarted
    | CoolingStopped
    | CoolingPaused
    | CoolingResumed
    | CapRemoved
    | CoolingStopCharted
    | PatientLeft
    | DevicePostTimerStarted
)


class Occupancy(msgspec.Struct, frozen=True):
    """One cap's facts under one occupant. `owner` is the patient, "" while unknown."""

    cap: CapRef
    opened_us: int
    owner: str
    first_owner: str  # before reassignments
    facts: tuple[AnyFact, ...]

    @property
    def cooled(self) -> bool:
        """Whether coolant ever circulated in it."""
        return any(isinstance(fact, CoolingStarted) for fact in self.facts)

    @property
    def last_us(self) -> int:
        """Its last fact's instant; FOREVER while coolant circulates."""
        return FOREVER if self.running_at(FOREVER) else max(fact.at_us for fact in self.facts)

    def running_at(self, at_us: int) -> bool:
        """Whether coolant circulated just before `at_us`."""
        running = False
        for fact in self.facts:
            if fact.at_us < at_us or (fact.at_us == at_us and isinstance(fact, CoolingStopped)):
                running = isinstance(fact, CoolingStarted) or (running and not isinstance(fact, CoolingStopped))
        return running


def on_a_cap(fact: AnyFact) -> TypeGuard["_OccupancyFact | PatientBound | PatientReleased"]:
    """Whether `fact` is about one cap."""
    return isinstance(fact, PatientBound | PatientReleased | _OccupancyFact) and fact.cap is not None


def occupancies(
    cap: CapRef, facts: Iterable[AnyFact], idle_us_at: IdleAt, pinned_idle_us: Mapping[int, int]
) -> list[Occupancy]:
    """The occupancies of `cap`, by their beginning.

    `pinned_idle_us` has what the pinned policy says of how long after a stop an occupant keeps the cap, by the instant
    at which a session opened; `idle_us_at` has it of who has no session yet.
    """
    walk = _Walk(idle_us_at, pinned_idle_us)
    for fact in sorted(filter(on_a_cap, facts), key=lambda fact: (fact.at_us, rank(fact), fact.known_at_us)):
        walk.take(fact)
    found = [Occupancy(cap, draft.opened_us, draft.owner, draft.owner, tuple(draft.facts)) for draft in walk.drafts]
    return sorted(found, key=lambda occupancy: occupancy.opened_us)


def with_implicit_stops(found: Sequence[Occupancy]) -> list[Occupancy]:
    """P24: an occupancy that no fact stopped is stopped by the next occupant of the cap."""
    result: list[Occupancy] = []
    for index, occupancy in enumerate(found):
        following = next((s for s in found[index + 1 :] if s.owner != occupancy.owner and s.cooled), None)
        if following is not None and occupancy.running_at(following.opened_us):
            stop = CoolingStopped(
                at_us=following.opened_us,
                known_at_us=min(fact.known_at_us for fact in following.facts),
                cap=occupancy.cap,
                patient=occupancy.owner,
                reason=IMPLICIT_STOP,
            )
            occupancy = msgspec.structs.replace(occupancy, facts=(*occupancy.facts, stop))
        result.append(occupancy)
    return result


def rank(fact: AnyFact) -> int:
    """Sort key for facts at one instant: ends, then releases, then bindings, then starts."""
    match fact:
        case CoolingStopped():
            return 0
        case PatientReleased():
            return 2
        case PatientBound():
            return 3
        case CoolingStarted():
            return 4
        case _:
            return 1


@dataclass
class _Draft:
    owner: str
    opened_us: int
    idle_us: int
    facts: list[AnyFact] = field(default_factory=list[AnyFact])
    running: bool = False
    stopped_us: int = 0
    released: bool = False

    def add(self, fact: AnyFact) -> None:
        self.facts.append(fact)
        if isinstance(fact, CoolingStarted):
            self.running = True
        elif isinstance(fact, CoolingStopped):
            self.running, self.stopped_us = False, fact.at_us

    def is_unclaimed(self, at_us: int) -> bool:
        """Whether it may be the cooling of whoever has the cap at `at_us`; what is older than a day was another's."""
        return not self.owner and at_us - self.opened_us <= BEFORE_US


@dataclass
class _Walk:
    """One pass over a cap's facts, in the order of their instants."""

    idle_us_at: IdleAt
    pinned_idle_us: Mapping[int, int]
    drafts: list[_Draft] = field(default_factory=list[_Draft])
    current: _Draft | None = None
    bound: str = ""
    bound_us: int = 0
    bound_used: bool = False  # cooling has run under the binding

    def take(self, fact: "_OccupancyFact | PatientBound | PatientReleased") -> None:
        match fact:
            case PatientBound():
                self._bind(fact)
            case PatientReleased():
                if fact.patient in ("", self.bound):
                    self.bound = ""
                if self.current is not None and fact.patient in ("", self.current.owner):
                    self.current.released = True
            case CoolingStarted() if fact.patient:
                self._start_for_patient(fact)
            case CoolingStarted():
                self._start(fact)
            case _ if fact.patient:
                self._add_to_patient(fact)
            case _:
                if self.current is not None:
                    self.current.add(fact)

    def _open(self, owner: str, at_us: int) -> _Draft:
        continues = self.current is not None and owner and self.current.owner == owner
        unpinned_us = self.current.idle_us if self.current is not None and continues else self.idle_us_at(at_us)
        self.current = _Draft(owner, at_us, self.pinned_idle_us.get(at_us, unpinned_us))
        self.drafts.append(self.current)
        return self.current

    def _bind(self, fact: PatientBound) -> None:
        self.bound, self.bound_us, self.bound_used = fact.patient, fact.at_us, False
        draft = self.current
        if draft is None:
            return
        if draft.owner == fact.patient:
            draft.released, self.bound_used = False, draft.running
        elif draft.is_unclaimed(fact.at_us) and (draft.running or fact.at_us - draft.stopped_us <= draft.idle_us):
            draft.owner, self.bound_used = fact.patient, True
        elif draft.running:
            self.bound_used = True
            self._open(fact.patient, fact.at_us).add(_taken_over(draft, fact))
        else:
            self.current = None

    def _start(self, fact: CoolingStarted) -> None:
        draft = self.current
        if draft is not None and (
            draft.running or (not draft.released and fact.at_us - draft.stopped_us <= draft.idle_us)
        ):
            draft.add(fact)
            return
        fresh = not self.bound_used and fact.at_us - self.bound_us <= BINDING_HOLDS_US
        self._open(self.bound if fresh else "", fact.at_us).add(fact)
        self.bound_used = True

    def _start_for_patient(self, fact: CoolingStarted) -> None:
        """A start whose sender named the patient."""
        draft = self.current
        if draft is not None and draft.is_unclaimed(fact.at_us) and draft.running:
            draft.owner = fact.patient
        if draft is None or draft.owner != fact.patient:
            draft = self._open(fact.patient, fact.at_us)
        draft.add(fact)

    def _add_to_patient(self, fact: _OccupancyFact) -> None:
        """Add to the patient's latest occupancy of this cap; to one without cooling if there is none."""
        own = [draft for draft in self.drafts if draft.owner == fact.patient]
        draft = own[-1] if own else _Draft(fact.patient, fact.at_us, self.idle_us_at(fact.at_us))
        if not own:
            self.drafts.append(draft)
        draft.add(fact)


def _taken_over(draft: _Draft, bound: PatientBound) -> CoolingStarted:
    """A start of cooling for a patient who was bound while the cap cooled another one."""
    started = [fact for fact in draft.facts if isinstance(fact, CoolingStarted)][-1]
    return msgspec.structs.replace(
        started, at_us=bound.at_us, known_at_us=bound.known_at_us, patient=bound.patient, reason=BOUND
    )
