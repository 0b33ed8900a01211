"""Finds all facts that can affect a session, near it in time, so that years of facts cost what a day of them costs.

Theory of operation. This is a graph search over facts, linked by what they concern and by nearness in time. Assessing a
session needs all facts that can change it and no others, from memory or from the ledger. The facts of one cap fall into
segments: between two of them the cap was idle for so long that neither a binding nor an interrupted cooling spans the
gap. A segment is taken whole or not at all. With it come the facts of its patients about that time; they may name
further caps (a swap, a second treatment that day), whose segments then belong to it too. Facts of the units and of the
clock within a day are added as context.

Some facts arrive long after the time that they are about: a correction, a void, a reassignment, a signature. Such a
fact is placed by its anchor, the instant that it is about, and not by its own instant.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeGuard

import msgspec

from gateway.session.cooling import CAP_STATES
from gateway.session.facts import (
    AnyFact,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    Key,
    SessionFact,
    SessionOpened,
    UnitOffline,
    UnitOnline,
    cap_key,
)
from gateway.session.history import AFTER_US, BEFORE_US, NO_HISTORY, PatientHistory, anchor_us, moved_us
from gateway.session.occupancy import BINDING_HOLDS_US, on_a_cap, rank
from gateway.session.policy import parse_policy
from gateway.session.spans import FOREVER, US_PER_MINUTE, US_PER_S

_HOUR_US = 60 * US_PER_MINUTE
CLOCK: Key = ("clock", "")  # facts about the clock, which concern every session
_CHAIN_US = 12 * _HOUR_US  # facts of one patient this far apart are about different treatments
REACH_US = BEFORE_US + AFTER_US + _CHAIN_US  # facts further from an instant cannot affect it
_WINDOW_US = 36 * _HOUR_US  # initial half-width of the window in which a segment is searched


class FactsByKey(Protocol):
    """Facts by what they concern, in memory or in the ledger. Every result is in the order of `at_us`."""

    def of(self, key: Key) -> Sequence[AnyFact]:
        """All facts that concern `key`."""
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
    """Where a search for facts begins: an instant of the cap, unit, patient or session that `key` names."""

    key: Key
    at_us: int


class Segment(msgspec.Struct, frozen=True):
    """The facts of one cap between two long idle times; `last_us` is FOREVER while coolant circulates."""

    cap: CapRef
    first_us: int
    last_us: int
    facts: tuple[AnyFact, ...]


def anchors_of(fact: AnyFact, source: FactsByKey) -> tuple[Anchor, ...]:
    """The anchors of a fact: the instant that it is about, under every key that it concerns."""
    return _anchors_of(fact, _Cache(source))


def _anchors_of(fact: AnyFact, cache: "_Cache") -> tuple[Anchor, ...]:
    at_us = _placed_us(fact, cache)
    return tuple(Anchor(key, at_us) for key in fact.concerns)


def _placed_us(fact: AnyFact, cache: "_Cache") -> int:
    """The instant of its anchors."""
    opened = _opening(fact, cache)
    return _anchor_us(fact, cache) if opened is None else opened.at_us


def _anchor_us(fact: AnyFact, cache: "_Cache") -> int:
    """The instant that the fact is about, by the facts of the patients that it names; others' may not be in memory."""
    return anchor_us(
        fact, lambda patient: cache.history(patient) if ("patient", patient) in fact.concerns else NO_HISTORY
    )


def related(source: FactsByKey, anchors: Iterable[Anchor], idle_us: int) -> tuple[AnyFact, ...]:
    """All facts that can affect what is at `anchors`.

    `idle_us` is how long after a stop an occupant keeps the cap at least.
    """
    return _Search(source, idle_us).run(anchors)


def gather(
    recorded: FactsByKey, anchors: Sequence[Anchor], learned: Sequence[AnyFact], idle_us: int
) -> tuple[tuple[AnyFact, ...], frozenset[Key]]:
    """The recorded facts needed to assess `learned`, and the patients and sessions of which they are complete."""
    source = _WithLearned(recorded, learned)
    wanted = [*anchors, *(anchor for fact in learned for anchor in anchors_of(fact, source))]
    found = dict.fromkeys(related(source, wanted, idle_us))
    if any(isinstance(fact, CoolingStopped) for fact in learned):  # which may part what belonged together until now
        found.update(dict.fromkeys(related(recorded, wanted, idle_us)))
    keys = {anchor.key for anchor in wanted} | {key for fact in found for key in fact.concerns}
    whole = frozenset(key for key in keys if key[0] in ("patient", "token"))
    for key in whole:
        found.update(dict.fromkeys(recorded.of(key)))
    return tuple(fact for fact in found if fact not in learned), whole


class _WithLearned:
    """Recorded facts merged with `learned` ones that are not recorded yet."""

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


class _Cache:
    """A cache of a source's facts and histories, so that each key is read once."""

    def __init__(self, source: FactsByKey) -> None:
        self._source = source
        self._facts: dict[Key, Sequence[AnyFact]] = {}
        self._histories: dict[str, PatientHistory] = {}

    def of(self, key: Key) -> Sequence[AnyFact]:
        """All facts that concern `key`."""
        if key not in self._facts:
            self._facts[key] = self._source.of(key)
        return self._facts[key]

    def history(self, patient: str) -> PatientHistory:
        """The patient's facts, indexed."""
        if patient not in self._histories:
            self._histories[patient] = PatientHistory(self.of(("patient", patient)))
        return self._histories[patient]


class _Unseen:
    """Facts by anchor, each returned once: a disjoint-set forest skips those that were returned."""

    def __init__(self, facts: Iterable[tuple[int, AnyFact]]) -> None:
        self._facts = list(facts)
        self._places = sorted(range(len(self._facts)), key=lambda place: self._facts[place][0])
        self._instants = [self._facts[place][0] for place in self._places]
        self._next = list(range(len(self._facts) + 1))

    def within(self, first_us: int, last_us: int) -> list[tuple[int, AnyFact]]:
        """The facts anchored from `first_us` to `last_us` that were not returned before, in their original order."""
        places: list[int] = []
        index = self._from(bisect_left(self._instants, first_us))
        while index < len(self._instants) and self._instants[index] <= last_us:
            places.append(self._places[index])
            self._next[index] = index + 1
            index = self._from(index + 1)
        return [self._facts[place] for place in sorted(places)]

    def _from(self, index: int) -> int:
        """The first index from `index` on that was not returned."""
        while self._next[index] != index:
            self._next[index] = self._next[self._next[index]]
            index = self._next[index]
        return index


class _Search:
    """One breadth-first search from anchors to all facts connected with them."""

    def __init__(self, source: FactsByKey, idle_us: int) -> None:
        self._source = source
        self._cache = _Cache(source)
        self._unseen: dict[Key, _Unseen] = {}  # by patient
        self._idle_us = idle_us
        self._found: dict[AnyFact, None] = {}
        self._segments: list[Segment] = []
        self._waiting: deque[tuple[Key, int, int]] = deque()
        self._seen: set[tuple[Key, int, int]] = set()

    def run(self, anchors: Iterable[Anchor]) -> tuple[AnyFact, ...]:
        for each in anchors:
            about = each.key[0] == "patient"
            self._reach(each.key, each.at_us - (AFTER_US if about else 0), each.at_us + (BEFORE_US if about else 0))
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
        opens = any(isinstance(fact, SessionOpened) for fact in segment.facts)
        if opens and not any(map(_moves_coolant, segment.facts)):
            self._reach_cooling_before(key, segment.first_us)
        for fact in (*segment.facts, *self._moves_of(segment, key[1])):
            self._found[fact] = None
            for concerned in fact.concerns:
                if concerned[0] == "patient":
                    self._reach(concerned, segment.first_us - REACH_US, min(segment.last_us, FOREVER) + AFTER_US)
                elif concerned[0] == "token":
                    self._reach(concerned, fact.at_us, fact.at_us)

    def _reach_cooling_before(self, key: Key, at_us: int) -> None:
        """A session that opened where the cap proves to have been idle goes on in the cooling before."""
        fact = last_of(self._source, key, (CoolingStarted, CoolingStopped), at_us)
        if fact is not None:
            self._reach(key, fact.at_us, fact.at_us)

    def _moves_of(self, segment: Segment, cap: str) -> list[AnyFact]:
        """The reassignments of sessions in the segment, however late they were received."""
        later = self._source.between(("moved", cap), segment.first_us, FOREVER)
        return [fact for fact in later if segment.first_us <= _anchor_us(fact, self._cache) <= segment.last_us]

    def _take_patient(self, key: Key, first_us: int, last_us: int) -> None:
        if key not in self._unseen:
            self._unseen[key] = _Unseen((_placed_us(fact, self._cache), fact) for fact in self._cache.of(key))
        for at_us, fact in self._unseen[key].within(first_us, last_us):
            if fact in self._found:
                continue
            self._found[fact] = None
            self._reach(key, at_us - _CHAIN_US, at_us + _CHAIN_US)
            for concerned in fact.concerns:
                if concerned[0] in ("cap", "token"):
                    self._reach(concerned, at_us, at_us)
                elif concerned != key and concerned[0] == "patient":
                    self._reach(concerned, at_us - _CHAIN_US, at_us + _CHAIN_US)

    def _take_session(self, key: Key) -> None:
        for fact in self._cache.of(key):
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
            if (silence := silence_at(self._source, unit, first_us)) is not None:
                self._found[silence] = None


def silence_at(source: FactsByKey, unit: Key, at_us: int) -> UnitOffline | None:
    """The silence of the unit that goes on at that instant, however long."""
    fact = last_of(source, unit, (UnitOffline, UnitOnline), at_us)
    return fact if isinstance(fact, UnitOffline) else None


def last_seen(source: FactsByKey, keys: Iterable[Key]) -> Iterator[AnyFact]:
    """Of each unit among `keys` the silence that goes on, of each cap what was seen of it last, however old."""
    for key in keys:
        match key[0]:
            case "unit":
                fact = silence_at(source, key, FOREVER)
            case "cap":
                fact = last_of(source, key, CAP_STATES, FOREVER)
            case _:
                fact = None
        if fact is not None:
            yield fact


def last_of(source: FactsByKey, key: Key, kinds: tuple[type[AnyFact], ...], at_us: int) -> AnyFact | None:
    """The last fact of one of these kinds that concerns `key` before `at_us`."""
    fact = source.before(key, at_us)
    while fact is not None:
        at_once = [each for each in source.between(key, fact.at_us, fact.at_us) if isinstance(each, kinds)]
        if at_once:
            return at_once[-1]
        fact = source.before(key, fact.at_us)
    return None


def segment_at(source: FactsByKey, key: Key, at_us: int, idle_us: int) -> Segment | None:
    """The segment of a cap that `at_us` falls into or is within reach of; None if the cap was idle."""
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
        if earlier is not None and not _is_cut_off(chosen, pieces) and _may_link(earlier, chosen, at_us):
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
    end_us: int  # a fact up to here belongs to it
    reach_us: int  # the longest idle time that it spans
    running: bool = False


def _pieces(facts: Iterable[AnyFact], idle_us: int) -> list[_Piece]:
    """The facts of one cap, cut where it was idle for longer than `reach_us`."""
    pieces: list[_Piece] = []
    reach_us = max(idle_us, BINDING_HOLDS_US)
    for fact in sorted(facts, key=lambda fact: (fact.at_us, rank(fact), fact.known_at_us)):
        if isinstance(fact, SessionOpened):
            reach_us = max(reach_us, parse_policy(fact.policy).session_idle_s * US_PER_S)
        if not pieces or (not pieces[-1].running and fact.at_us > pieces[-1].end_us):
            pieces.append(_Piece([], fact.at_us, 0, reach_us))
        piece = pieces[-1]
        piece.facts.append(fact)
        if _moves_coolant(fact):
            piece.running = isinstance(fact, CoolingStarted)
        piece.end_us = FOREVER if piece.running else max(each.at_us for each in piece.facts[-1:]) + reach_us
    return pieces


def _is_cut_off(piece: _Piece | None, pieces: Iterable[_Piece]) -> bool:
    """Whether it is sure that the cap was idle before the piece: it may run already when the first one begins."""
    before = () if piece is None else (each for each in pieces if each.first_us < piece.first_us)
    return any(_moves_coolant(fact) for each in before for fact in each.facts)


def _may_link(earlier: AnyFact, piece: _Piece | None, at_us: int) -> bool:
    """Whether `earlier`, the last fact before the window, may belong to the piece at its beginning."""
    first_us = at_us if piece is None else min(piece.first_us, at_us)
    return not isinstance(earlier, CoolingStopped) or first_us - earlier.at_us <= BEFORE_US


def _moves_coolant(fact: AnyFact) -> TypeGuard[CoolingStarted | CoolingStopped]:
    return isinstance(fact, CoolingStarted | CoolingStopped)


def _makes_segments(fact: AnyFact) -> bool:
    return on_a_cap(fact) or isinstance(fact, SessionOpened)


def _opening(fact: AnyFact, cache: _Cache) -> SessionOpened | None:
    """The SessionOpened fact of the session that a fact names by its token, if it names one."""
    if not isinstance(fact, SessionFact) or not fact.token:
        return None
    return next((each for each in cache.of(("token", fact.token)) if isinstance(each, SessionOpened)), None)


def last_anchor(key: Key, own: Iterable[AnyFact], now_us: int) -> Anchor:
    """The anchor of a session, or of a patient's last treatment before `now_us`; `own` are the facts of `key`."""
    begun = (anchor.at_us for anchor in every_anchor(key, own))
    return Anchor(key, max((at_us for at_us in begun if at_us <= now_us), default=now_us))


def every_anchor(key: Key, own: Iterable[AnyFact]) -> list[Anchor]:
    """The anchors of all of a patient's treatments; `own` are the facts of `key`."""
    history = PatientHistory(own)
    begun = [*history.served_us]
    begun += [moved_us(each, lambda name: history if name == key[1] else NO_HISTORY) for each in history.moves]
    return [Anchor(key, at_us) for at_us in begun]


def _at_us(fact: AnyFact) -> int:
    return fact.at_us
