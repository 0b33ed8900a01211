"""Which facts bear on each other: local in time, so that years of facts cost what a day of them costs.

Theory of operation. Whoever looks at a session needs all facts that may change it and no others, whether they lie in
memory or in the ledger. What happened on one cap falls into segments: between two of them the cap stood still for so
long that neither a binding nor an interrupted cooling reaches across. A segment is taken whole or not at all. With it
go the facts of its patients, as far as they are about that time; those may lie on further caps (a swap, a second
treatment of the day), whose segments then belong to it too. Facts of the units and of the clock are context.

Some facts are told long after what they are about: a correction, a void, a reassignment, a signature. Such a fact is
placed by its anchor, the instant of what it is about, and not by its own.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.session.facts import (
    AnyFact,
    BindingVoided,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    DepartureCancelled,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
    Key,
    PatientBound,
    PatientLeft,
    PatientReassigned,
    SessionFact,
    SessionOpened,
    cap_key,
)
from gateway.session.occupancy import BINDING_HOLDS_US, on_a_cap, rank
from gateway.session.policy import parse_policy
from gateway.session.spans import FOREVER, US_PER_MINUTE, US_PER_S

_HOUR_US = 60 * US_PER_MINUTE
CLOCK: Key = ("clock", "")  # what concerns every session
BEFORE_US = 24 * _HOUR_US  # how long before cooling its patient's facts, and those of its unit, may matter
_AFTER_US = 36 * _HOUR_US  # and how long after it
_CHAIN_US = 12 * _HOUR_US  # facts of one patient this far apart are about different treatments
_WINDOW_US = 36 * _HOUR_US  # how far around an instant a segment is looked for at first


class FactsByKey(Protocol):
    """Facts by what they concern: those in memory, or those in the ledger. Each answer is in the order of `at_us`."""

    def of(self, key: Key) -> Sequence[AnyFact]:
        """All of them."""
        ...

    def between(self, key: Key, first_us: int, last_us: int) -> Sequence[AnyFact]:
        """Those that happened within these instants, both included."""
        ...

    def before(self, key: Key, at_us: int) -> AnyFact | None:
        """The last one that happened before."""
        ...

    def after(self, key: Key, at_us: int) -> AnyFact | None:
        """The first one that happened after."""
        ...


class Anchor(msgspec.Struct, frozen=True):
    """An instant of what `key` names."""

    key: Key
    at_us: int


class Segment(msgspec.Struct, frozen=True):
    """What happened on one cap between two long standstills; `last_us` is FOREVER while coolant circulates."""

    cap: CapRef
    first_us: int
    last_us: int
    facts: tuple[AnyFact, ...]


def anchors_of(fact: AnyFact, source: FactsByKey) -> tuple[Anchor, ...]:
    """Where the fact belongs, by every key that leads there."""
    at_us = anchor_us(fact, {key[1]: source.of(key) for key in fact.concerns if key[0] == "patient"})
    if opened := _opening(fact, source):
        at_us = opened.at_us
    return tuple(Anchor(key, at_us) for key in fact.concerns)


def anchor_us(fact: AnyFact, of_patients: Mapping[str, Sequence[AnyFact]]) -> int:
    """The instant of what the fact is about; `of_patients` has the facts of its patients."""
    match fact:
        case InfusionEndCorrected():
            told = _statements(fact.order, of_patients.get(fact.patient, ()))
            return min((each.at_us for each in told), key=lambda at_us: abs(at_us - fact.new_end_us), default=None) or (
                fact.new_end_us
            )
        case InfusionEndVoided():
            return _last_known(_statements(fact.order, of_patients.get(fact.patient, ())), fact.known_at_us, fact.at_us)
        case InfusionEnded() if fact.no_time:
            begun = [
                each
                for each in _statements(fact.order, of_patients.get(fact.patient, ()))
                if not isinstance(each, InfusionEnded)
            ]
            return _last_known(begun, fact.known_at_us, fact.known_at_us)
        case BindingVoided():
            own = of_patients.get(fact.patient, ())
            bound = [each for each in own if isinstance(each, PatientBound) and each.cap == fact.cap]
            return _last_known(bound, fact.known_at_us, fact.at_us)
        case PatientReassigned():
            return _moved_us(fact, of_patients)
        case DepartureCancelled():
            left = [each for each in of_patients.get(fact.patient, ()) if isinstance(each, PatientLeft)]
            return _last_known(left, fact.known_at_us, fact.at_us)
        case SessionFact() if not fact.token:
            served = [at_us for at_us in _served_us(of_patients.get(fact.patient, ())) if at_us <= fact.at_us]
            late = served and fact.at_us - served[-1] > _AFTER_US
            return served[-1] if late else fact.at_us
        case _:
            return fact.at_us


def related(source: FactsByKey, anchors: Iterable[Anchor], idle_us: int) -> tuple[AnyFact, ...]:
    """All facts that bear on what is at `anchors`. `idle_us`: how long a stop leaves a cap to its occupant at least."""
    return _Search(source, idle_us).run(anchors)


def gather(
    recorded: FactsByKey, anchors: Sequence[Anchor], learned: Sequence[AnyFact], idle_us: int
) -> tuple[tuple[AnyFact, ...], frozenset[Key]]:
    """What must be read back before `learned` can be assessed, and the patients and sessions of which that is all."""
    source = _WithLearned(recorded, learned)
    wanted = [*anchors, *(anchor for fact in learned for anchor in anchors_of(fact, source))]
    found = dict.fromkeys(related(source, wanted, idle_us))
    keys = {anchor.key for anchor in wanted} | {key for fact in found for key in fact.concerns}
    whole = frozenset(key for key in keys if key[0] in ("patient", "token"))
    for key in whole:
        found.update(dict.fromkeys(recorded.of(key)))
    return tuple(fact for fact in found if fact not in learned), whole


class _WithLearned:
    """Recorded facts together with some that are not recorded yet ."""

    def __init__(self, recorded: FactsByKey, learned: Iterable[AnyFact]) -> None:
        self._recorded = recorded
        self._learned = sorted(learned, key=_at_us)

    def of(self, key: Key) -> Sequence[AnyFact]:
        """All of them."""
        return self._merged(self._recorded.of(key), self._new(key))

    def between(self, key: Key, first_us: int, last_us: int) -> Sequence[AnyFact]:
        """Those that happened within these instants, both included."""
        new = [fact for fact in self._new(key) if first_us <= fact.at_us <= last_us]
        return self._merged(self._recorded.between(key, first_us, last_us), new)

    def before(self, key: Key, at_us: int) -> AnyFact | None:
        """The last one that happened before."""
        recorded = self._recorded.before(key, at_us)
        found = [fact for fact in (recorded, *self._new(key)) if fact is not None and fact.at_us < at_us]
        return max(found, key=_at_us, default=None)

    def after(self, key: Key, at_us: int) -> AnyFact | None:
        """The first one that happened after."""
        recorded = self._recorded.after(key, at_us)
        found = [fact for fact in (recorded, *self._new(key)) if fact is not None and fact.at_us > at_us]
        return min(found, key=_at_us, default=None)

    def _new(self, key: Key) -> list[AnyFact]:
        return [fact for fact in self._learned if key in fact.concerns]

    @staticmethod
    def _merged(recorded: Sequence[AnyFact], new: Sequence[AnyFact]) -> Sequence[AnyFact]:
        return sorted((*recorded, *new), key=_at_us) if new else recorded


class _Search:
    """One walk from anchors to all that is connected with them."""

    def __init__(self, source: FactsByKey, idle_us: int) -> None:
        self._source = source
        self._idle_us = idle_us
        self._found: dict[AnyFact, None] = {}
        self._segments: list[Segment] = []
        self._waiting: deque[tuple[Key, int, int]] = deque()
        self._seen: set[tuple[Key, int, int]] = set()

    def run(self, anchors: Iterable[Anchor]) -> tuple[AnyFact, ...]:
        for each in anchors:
            about = each.key[0] == "patient"
            self._reach(each.key, each.at_us - (_AFTER_US if about else 0), each.at_us + (BEFORE_US if about else 0))
        while self._waiting:
            key, first_us, last_us = self._waiting.popleft()
            match key[0]:
                case "cap":
                    self._take_segment(key, first_us)
                case "patient":
                    self._take_patient(key, first_us, last_us)
                case "token":
                    self._take_session(key)
                case _:
                    self._found.update(dict.fromkeys(self._source.between(key, first_us, last_us)))
        self._take_context()
        return tuple(self._found)

    def _reach(self, key: Key, first_us: int, last_us: int) -> None:
        if (key, first_us, last_us) not in self._seen:
            self._seen.add((key, first_us, last_us))
            self._waiting.append((key, first_us, last_us))

    def _take_segment(self, key: Key, at_us: int) -> None:
        if any(cap_key(each.cap) == key and each.first_us <= at_us <= each.last_us for each in self._segments):
            return
        segment = segment_at(self._source, key, at_us, self._idle_us)
        if segment is None or segment in self._segments:
            return
        self._segments.append(segment)
        for fact in (*segment.facts, *self._moves_of(segment, key[1])):
            self._found[fact] = None
            for concerned in fact.concerns:
                if concerned[0] == "patient":
                    self._reach(concerned, segment.first_us - BEFORE_US, min(segment.last_us, FOREVER) + _AFTER_US)
                elif concerned[0] == "token":
                    self._reach(concerned, fact.at_us, fact.at_us)

    def _moves_of(self, segment: Segment, cap: str) -> list[AnyFact]:
        """The reassignments of what happened in the segment, however late they came."""
        later = self._source.between(("moved", cap), segment.first_us, FOREVER)
        return [fact for fact in later if segment.first_us <= self._anchor_us(fact) <= segment.last_us]

    def _anchor_us(self, fact: AnyFact) -> int:
        return anchor_us(fact, {key[1]: self._source.of(key) for key in fact.concerns if key[0] == "patient"})

    def _take_patient(self, key: Key, first_us: int, last_us: int) -> None:
        for fact in self._source.of(key):
            at_us = next(each.at_us for each in anchors_of(fact, self._source) if each.key == key)
            if fact in self._found or not first_us <= at_us <= last_us:
                continue
            self._found[fact] = None
            self._reach(key, at_us - _CHAIN_US, at_us + _CHAIN_US)
            for concerned in fact.concerns:
                if concerned[0] in ("cap", "token"):
                    self._reach(concerned, at_us, at_us)
                elif concerned != key and concerned[0] == "patient":
                    self._reach(concerned, at_us - _CHAIN_US, at_us + _CHAIN_US)

    def _take_session(self, key: Key) -> None:
        for fact in self._source.of(key):
            self._found[fact] = None
            if isinstance(fact, SessionOpened):
                for concerned in fact.concerns:
                    if concerned != key:
                        self._reach(concerned, fact.at_us, fact.at_us)

    def _take_context(self) -> None:
        for each in self._segments:
            first_us, last_us = each.first_us - BEFORE_US, min(each.last_us, FOREVER) + BEFORE_US
            unit: Key = ("unit", each.cap.device)
            for key in (unit, CLOCK):
                self._found.update(dict.fromkeys(self._source.between(key, first_us, last_us)))


def segment_at(source: FactsByKey, key: Key, at_us: int, idle_us: int) -> Segment | None:
    """The segment of a cap that `at_us` falls into or may still touch; None if the cap stood still."""
    first_us, last_us = at_us - _WINDOW_US, at_us + _WINDOW_US
    while True:
        found = [fact for fact in source.between(key, first_us, last_us) if _makes_segments(fact)]
        earlier, later = source.before(key, first_us), source.after(key, last_us)
        pieces = _pieces(found, idle_us)
        chosen = min(
            (each for each in pieces if each.first_us - each.reach_us <= at_us <= each.end_us),
            key=lambda each: (max(each.first_us - at_us, 0), -each.first_us),
            default=None,
        )
        if earlier is not None and (chosen is None or chosen is pieces[0]) and _may_link(earlier, chosen, at_us):
            first_us = earlier.at_us - _WINDOW_US
        elif later is not None and chosen is not None and chosen is pieces[-1] and later.at_us <= chosen.end_us:
            last_us = later.at_us + _WINDOW_US
        elif chosen is None:
            return None
        else:
            cap = next(fact.at_cap for fact in chosen.facts if fact.at_cap is not None)
            last = FOREVER if chosen.running else chosen.facts[-1].at_us
            return Segment(cap, chosen.first_us, last, tuple(chosen.facts))


class _Piece(msgspec.Struct):
    facts: list[AnyFact]
    first_us: int
    end_us: int  # what begins up to here belongs to it
    reach_us: int
    running: bool = False


def _pieces(facts: Iterable[AnyFact], idle_us: int) -> list[_Piece]:
    """The facts of one cap, cut where it stood still."""
    pieces: list[_Piece] = []
    reach_us = max(idle_us, BINDING_HOLDS_US)
    for fact in sorted(facts, key=lambda fact: (fact.at_us, rank(fact), fact.known_at_us)):
        if isinstance(fact, SessionOpened):
            reach_us = max(reach_us, parse_policy(fact.policy).session_idle_s * US_PER_S)
        if not pieces or (not pieces[-1].running and fact.at_us > pieces[-1].end_us):
            pieces.append(_Piece([], fact.at_us, 0, reach_us))
        piece = pieces[-1]
        piece.facts.append(fact)
        if isinstance(fact, CoolingStarted | CoolingStopped):
            piece.running = isinstance(fact, CoolingStarted)
        piece.end_us = FOREVER if piece.running else max(each.at_us for each in piece.facts[-1:]) + reach_us
    return pieces


def _may_link(earlier: AnyFact, piece: _Piece | None, at_us: int) -> bool:
    """Whether what happened before the window may reach into it."""
    first_us = at_us if piece is None else min(piece.first_us, at_us)
    return not isinstance(earlier, CoolingStopped) or first_us - earlier.at_us <= BEFORE_US


def _makes_segments(fact: AnyFact) -> bool:
    return on_a_cap(fact) or isinstance(fact, SessionOpened)


def _opening(fact: AnyFact, source: FactsByKey) -> SessionOpened | None:
    """The opening of the session that a fact names by its token."""
    if not isinstance(fact, SessionFact) or not fact.token:
        return None
    return next((each for each in source.of(("token", fact.token)) if isinstance(each, SessionOpened)), None)


def _statements(order: str, facts: Iterable[AnyFact]) -> list[InfusionStarted | InfusionEnded | InfusionRestarted]:
    """What was charted of an order with an instant of its own."""
    return [
        fact
        for fact in facts
        if isinstance(fact, InfusionStarted | InfusionRestarted | InfusionEnded)
        and fact.order == order
        and not (isinstance(fact, InfusionEnded) and fact.no_time)
    ]


def _last_known(facts: Iterable[AnyFact], known_at_us: int, otherwise_us: int) -> int:
    known = [fact for fact in facts if fact.known_at_us <= known_at_us]
    return max(known, key=lambda fact: (fact.known_at_us, fact.at_us)).at_us if known else otherwise_us


def last_anchor(key: Key, own: Iterable[AnyFact], now_us: int) -> Anchor:
    """Where a patient was last treated before `now_us`, or a session is; `own` are the facts that concern it."""
    known = list(own)
    begun = _served_us(known)
    begun += [_moved_us(each, {key[1]: known}) for each in known if isinstance(each, PatientReassigned)]
    return Anchor(key, max((at_us for at_us in begun if at_us <= now_us), default=now_us))


def _served_us(own: Iterable[AnyFact]) -> list[int]:
    """When a cap began to serve the patient, in order."""
    return sorted(fact.at_us for fact in own if isinstance(fact, PatientBound | CoolingStarted))


def _moved_us(fact: PatientReassigned, of_patients: Mapping[str, Sequence[AnyFact]]) -> int:
    """When what was reassigned began, as far as bindings, earlier reassignments and patient-named facts show."""
    own = of_patients.get(fact.from_patient, ())
    here = [each for each in own if isinstance(each, PatientBound | CoolingStarted) and each.cap == fact.cap]
    begun = [each.at_us for each in here if each.at_us <= fact.limit_us]
    moves = [
        each
        for each in own
        if isinstance(each, PatientReassigned)
        and (each.cap, each.to_patient) == (fact.cap, fact.from_patient)
        and each.known_at_us < fact.known_at_us
    ]
    begun += [_moved_us(each, of_patients) for each in moves]
    return max(begun, default=fact.began_before_us or fact.at_us)


def _at_us(fact: AnyFact) -> int:
    return fact.at_us
