"""The current state of one order's administrations (bags, doses), each by its last chart entry. Pure.

Theory of operation. The facts of an order are replayed in the order of their charting: by the charting time that the
sender states, else by the receipt; the clinical instant plays no part. An administration is identified by its number,
and by its beginning as well where a sender uses one number for several. A start, an end or a withdrawal replaces what
was charted of the same administration before. An update whose beginning moved does so too if its number has only one
administration, and an end if only one of its number runs. Where several could be meant, a start or an end adds another
administration, and a withdrawal leaves the order in doubt, so that nothing counts.

An entry may also be a step of the chart ("stopped", "rate changed"), which concerns the whole order and no single bag;
it is kept, changed and withdrawn like an administration.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from gateway.session.facts import (
    FlushEnded,
    FlushStarted,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
)
from gateway.session.statements import InfusionFact, Statement, statement_of

_Key = tuple[str, int | None, bool]  # number, beginning, whether it is a step of the order

_BEGINNINGS = (InfusionStarted, FlushStarted)
_ENDS = (InfusionEnded, InfusionEndCorrected, FlushEnded)


class Administration(msgspec.Struct, frozen=True):
    """The current state of one administration, or of one step of the chart."""

    start_us: int | None  # None: only its end was charted
    runs_from_us: int | None  # its last restart, else its start
    ends: tuple[Statement, ...]  # since it last began to run, in the order of charting: the last is valid
    of_order: bool
    rejected: bool  # an end lies before the start

    @property
    def end(self) -> Statement | None:
        """The valid end; None if there is none, or none with a time of day."""
        return self.ends[-1] if self.ends and not self.ends[-1].no_time else None


class Chart(msgspec.Struct, frozen=True):
    """The current state of one order's administrations."""

    administrations: tuple[Administration, ...]
    in_doubt: bool  # one was withdrawn, and it is not known which


class _Entry:
    """One administration during the replay of the chart."""

    def __init__(self, charted_us: int) -> None:
        self.charted_us = charted_us  # by its first entry
        self.start_us: int | None = None
        self.restarts: list[int] = []
        self.ends: list[Statement] = []


def chart_of(facts: Sequence[InfusionFact], whole_voids: Iterable[InfusionEndVoided]) -> Chart:
    """The administrations of an order, from `facts` about them and the withdrawals of the whole order."""
    late = _received_by_version(facts)
    dated = [(_charted_us(fact, late), _rank(fact), fact) for fact in (*facts, *whole_voids)]
    replay = _Replay()
    for charted_us, _, fact in sorted(dated, key=lambda each: (*each[:2], _end_us(each[2]), each[2].at_us)):
        replay.apply(fact, charted_us)
    return replay.chart()


class _Replay:
    """Applies facts one by one, in the order of their charting."""

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}
        self._doubtful: set[str] = set()  # administration numbers
        self._withdrawn: set[tuple[str, int | None]] = set()  # administration number and beginning

    def apply(self, fact: InfusionFact, charted_us: int) -> None:
        match fact:
            case InfusionEndVoided(administration=""):
                self._entries.clear()
                self._doubtful.clear()
            case InfusionEndVoided():
                self._withdraw(fact)
            case InfusionRestarted():
                self._entry(fact, charted_us).restarts.append(fact.at_us)
            case InfusionStarted() | FlushStarted():
                entry = self._entry(fact, charted_us)
                entry.start_us = fact.at_us
                if fact.replaces:
                    entry.ends.clear()
                    entry.restarts.clear()
            case InfusionEnded() | InfusionEndCorrected() | FlushEnded():
                statement = statement_of(fact, charted_us)
                if statement is not None:
                    entry = self._entry(fact, charted_us)
                    entry.ends.append(statement)
                    if entry.charted_us == charted_us:
                        self._replace_running(fact, charted_us)

    def _replace_running(self, fact: InfusionFact, charted_us: int) -> None:
        """Drop the running entry that an end with another beginning replaces: the only one of its number."""
        own = (fact.administration, fact.began_us, fact.of_order)
        running = [
            key
            for key, entry in self._entries.items()
            if (key[0], key[2]) == (own[0], own[2]) and not entry.ends and entry.charted_us < charted_us
        ]
        if len(running) == 1 and own not in running:
            del self._entries[running[0]]

    def _entry(self, fact: InfusionFact, charted_us: int) -> _Entry:
        key = (fact.administration, fact.began_us, fact.of_order)
        if key not in self._entries:
            others = [each for each in self._entries if (each[0], each[2]) == (key[0], key[2])]
            if fact.replaces and len(others) == 1:
                self._entries[key] = self._entries.pop(others[0])
                self._entries[key].start_us = None
            else:
                self._entries[key] = _Entry(charted_us)
        return self._entries[key]

    def _withdraw(self, void: InfusionEndVoided) -> None:
        own = [key for key in self._entries if key[0] == void.administration]
        if void.version is not None:
            for key in own:
                ends = self._entries[key].ends
                ends[:] = [each for each in ends if each.version > void.version]
            return
        meant = own if void.began_us is None else [key for key in own if key[1] == void.began_us]
        if not meant and void.replaces and own and (void.administration, void.began_us) not in self._withdrawn:
            if len(own) > 1:
                self._doubtful.add(void.administration)
                return
            meant = own
        for key in meant:
            self._withdrawn.add(key[:2])
            del self._entries[key]

    def chart(self) -> Chart:
        administrations = [_administration(key, entry) for key, entry in self._entries.items()]
        return Chart(tuple(administrations), bool(self._doubtful))


def _administration(key: _Key, entry: _Entry) -> Administration:
    begun = [*entry.restarts, *([] if entry.start_us is None else [entry.start_us])]
    runs_from_us = max(begun) if begun else None
    timed = [each for each in entry.ends if not each.no_time]
    # An end at the instant of a restart ends what ran before it; one at the start is a dose of one instant.
    first_us = runs_from_us if not entry.restarts or runs_from_us is None else runs_from_us + 1
    ends = [each for each in entry.ends if each.no_time or first_us is None or each.end_us >= first_us]
    return Administration(
        start_us=entry.start_us,
        runs_from_us=runs_from_us,
        ends=tuple(ends),
        of_order=key[2],
        rejected=entry.start_us is not None and any(each.end_us < entry.start_us for each in timed),
    )


def _received_by_version(facts: Iterable[InfusionFact]) -> dict[tuple[str, int], int]:
    """A charting time for versions without one: the last receipt of it or of a lower version, so that they ascend."""
    received = sorted(
        (fact.administration, fact.version, fact.known_at_us)
        for fact in facts
        if isinstance(fact, InfusionEndCorrected | InfusionEndVoided)
        and fact.charted_us is None
        and fact.version is not None
    )
    latest = accumulate(
        received, lambda before, own: (*own[:2], max(own[2], before[2]) if before[0] == own[0] else own[2])
    )
    return {(administration, version): known_us for administration, version, known_us in latest}


def _charted_us(fact: InfusionFact, late: dict[tuple[str, int], int]) -> int:
    if fact.charted_us is not None:
        return fact.charted_us
    if isinstance(fact, InfusionEndCorrected | InfusionEndVoided) and fact.version is not None:
        return late[fact.administration, fact.version]
    return fact.known_at_us


def _rank(fact: InfusionFact) -> int:
    """The order of facts charted at one instant; the higher rank is applied later, so it prevails."""
    if isinstance(fact, _BEGINNINGS):
        return 0
    if isinstance(fact, InfusionRestarted):
        return 2
    return 1 if isinstance(fact, _ENDS) else 3


def _end_us(fact: InfusionFact) -> int:
    return fact.new_end_us if isinstance(fact, InfusionEndCorrected) else fact.at_us
