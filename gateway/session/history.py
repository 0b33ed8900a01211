"""The instant that a late fact is about: corrections, voids, reassignments and signatures arrive long after it. Pure.

A patient's facts are indexed once, in sorted lists; each look-up is a binary search.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from gateway.session.facts import (
    AnyFact,
    BindingVoided,
    CapRef,
    CoolingStarted,
    DepartureCancelled,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
    PatientBound,
    PatientLeft,
    PatientReassigned,
    SessionFact,
)
from gateway.session.spans import US_PER_MINUTE

BEFORE_US = 24 * 60 * US_PER_MINUTE  # how long before cooling facts of its patient, and of its unit, can affect it
AFTER_US = 36 * 60 * US_PER_MINUTE  # how long after cooling its patient's facts may matter

_Receipts = list[tuple[int, int]]  # (known_at_us, at_us) of each fact, sorted


class PatientHistory:
    """One patient's facts, indexed to find the instant that another fact is about."""

    def __init__(self, facts: Iterable[AnyFact]) -> None:
        self.moves: list[PatientReassigned] = []
        self.served_us: list[int] = []  # when a cap began to serve the patient
        self._served_on: dict[CapRef, list[int]] = {}
        self._charted_us: dict[str, list[int]] = {}  # by order: instants of its starts and ends
        self._charted: dict[str, _Receipts] = {}  # by order
        self._begun: dict[str, _Receipts] = {}  # by order
        self._bound: dict[CapRef, _Receipts] = {}
        self._left: _Receipts = []
        for fact in facts:
            self._take(fact)
        for instants in (self.served_us, *self._served_on.values(), *self._charted_us.values()):
            instants.sort()
        for receipts in (self._left, *self._charted.values(), *self._begun.values(), *self._bound.values()):
            receipts.sort()

    def charted_nearest_us(self, order: str, at_us: int) -> int | None:
        """The charted instant of the order nearest to `at_us`; of two equally near, the earlier one."""
        instants = self._charted_us.get(order, [])
        index = bisect_left(instants, at_us)
        return min(instants[max(0, index - 1) : index + 1], key=lambda each: abs(each - at_us), default=None)

    def charted_last_us(self, order: str, known_at_us: int) -> int | None:
        """The instant of the order's last charted fact, of those received by `known_at_us`."""
        return _last_us(self._charted.get(order, []), known_at_us)

    def begun_last_us(self, order: str, known_at_us: int) -> int | None:
        """As `charted_last_us`, of starts alone."""
        return _last_us(self._begun.get(order, []), known_at_us)

    def bound_last_us(self, cap: CapRef, known_at_us: int) -> int | None:
        """As `charted_last_us`, of bindings to the cap."""
        return _last_us(self._bound.get(cap, []), known_at_us)

    def left_last_us(self, known_at_us: int) -> int | None:
        """As `charted_last_us`, of departures."""
        return _last_us(self._left, known_at_us)

    def served_before_us(self, at_us: int, cap: CapRef | None = None) -> int | None:
        """When any cap, or `cap`, last began to serve the patient by `at_us`."""
        instants = self.served_us if cap is None else self._served_on.get(cap, [])
        index = bisect_right(instants, at_us)
        return instants[index - 1] if index else None

    def _take(self, fact: AnyFact) -> None:
        receipt = (fact.known_at_us, fact.at_us)
        match fact:
            case PatientBound() | CoolingStarted():
                self.served_us.append(fact.at_us)
                self._served_on.setdefault(fact.cap, []).append(fact.at_us)
                if isinstance(fact, PatientBound):
                    self._bound.setdefault(fact.cap, []).append(receipt)
            case InfusionEnded() if fact.no_time:
                pass
            case InfusionStarted() | InfusionRestarted() | InfusionEnded():
                self._charted_us.setdefault(fact.order, []).append(fact.at_us)
                self._charted.setdefault(fact.order, []).append(receipt)
                if not isinstance(fact, InfusionEnded):
                    self._begun.setdefault(fact.order, []).append(receipt)
            case PatientLeft():
                self._left.append(receipt)
            case PatientReassigned():
                self.moves.append(fact)
            case _:
                pass


NO_HISTORY = PatientHistory(())


def anchor_us(fact: AnyFact, of_patient: Callable[[str], PatientHistory]) -> int:
    """The instant of what the fact is about."""
    known: int | None
    match fact:
        case InfusionEndCorrected():
            return of_patient(fact.patient).charted_nearest_us(fact.order, fact.new_end_us) or fact.new_end_us
        case InfusionEndVoided():
            known = of_patient(fact.patient).charted_last_us(fact.order, fact.known_at_us)
        case InfusionEnded() if fact.no_time:
            known = of_patient(fact.patient).begun_last_us(fact.order, fact.known_at_us)
            return fact.known_at_us if known is None else known
        case BindingVoided():
            known = of_patient(fact.patient).bound_last_us(fact.cap, fact.known_at_us)
        case PatientReassigned():
            return moved_us(fact, of_patient)
        case DepartureCancelled():
            known = of_patient(fact.patient).left_last_us(fact.known_at_us)
        case SessionFact() if not fact.token:
            served_us = of_patient(fact.patient).served_before_us(fact.at_us)
            known = served_us if served_us is not None and fact.at_us - served_us > AFTER_US else None
        case _:
            known = None
    return fact.at_us if known is None else known


def moved_us(fact: PatientReassigned, of_patient: Callable[[str], PatientHistory]) -> int:
    """When the reassigned session began, as far as bindings, earlier reassignments and patient-named facts show."""
    history = of_patient(fact.from_patient)
    served_us = history.served_before_us(fact.limit_us, fact.cap)
    begun = [] if served_us is None else [served_us]
    begun += [
        moved_us(each, of_patient)
        for each in history.moves
        if (each.cap, each.to_patient) == (fact.cap, fact.from_patient) and each.known_at_us < fact.known_at_us
    ]
    return max(begun, default=fact.began_before_us or fact.at_us)


def _last_us(receipts: _Receipts, known_at_us: int) -> int | None:
    index = bisect_right(receipts, known_at_us, key=lambda each: each[0])
    return receipts[index - 1][1] if index else None
