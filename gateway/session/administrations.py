"""The administrations of one order, as they stand: each by what the chart said of it last. Pure.

Theory of operation. An administration is known by its number, and where a sender has one number for several of them,
by the instant at which it began as well. What is said of one is taken in the order in which it was charted, by the
chart's own clock where it tells, else as received; when it happened clinically orders nothing. A start, an end and a
withdrawal each take the place of what was charted of the same administration before; an update also does so where its
own beginning moved, if its number stands for one administration alone, and so does an end, if just one of its number
runs. One that could be meant for either of several
adds to them, and a withdrawal of that kind leaves the order in doubt, so that nothing counts.

An entry may also be a step of the chart ("stopped", "rate changed") that says of the order what happened then, and
nothing of one bag; it is kept, changed and withdrawn like an administration.
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
    """One administration or step as it stands."""

    start_us: int | None  # None: only its end was charted
    runs_from_us: int | None  # its last restart, else its start
    ends: tuple[Statement, ...]  # after it began to run last, as charted, the one that stands at the end
    of_order: bool
    rejected: bool  # an end lies before the start

    @property
    def end(self) -> Statement | None:
        """The end that stands, None if there is none or none with a time of day."""
        return self.ends[-1] if self.ends and not self.ends[-1].no_time else None


class Chart(msgspec.Struct, frozen=True):
    """What stands of one order's administrations."""

    standing: tuple[Administration, ...]
    in_doubt: bool  # something was withdrawn, and nobody can tell which of them


class _Entry:
    """One administration while the chart is read."""

    def __init__(self, charted_us: int) -> None:
        self.charted_us = charted_us  # first
        self.start_us: int | None = None
        self.restarts: list[int] = []
        self.ends: list[Statement] = []


def chart_of(facts: Sequence[InfusionFact], whole_voids: Iterable[InfusionEndVoided]) -> Chart:
    """What stands, from all that was said of administrations and the withdrawals of their order as a whole."""
    late = _received_by_version(facts)
    dated = [(_charted_us(fact, late), _rank(fact), fact) for fact in (*facts, *whole_voids)]
    reader = _Reader()
    for charted_us, _, fact in sorted(dated, key=lambda each: (*each[:2], _end_us(each[2]), each[2].at_us)):
        reader.take(fact, charted_us)
    return reader.chart()


class _Reader:
    """Takes statements in the order of their charting."""

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}
        self._doubtful: set[str] = set()  # numbers
        self._withdrawn: set[tuple[str, int | None]] = set()  # number and beginning

    def take(self, fact: InfusionFact, charted_us: int) -> None:
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
                said = statement_of(fact, charted_us)
                if said is not None:
                    entry = self._entry(fact, charted_us)
                    entry.ends.append(said)
                    if entry.charted_us == charted_us:
                        self._close_open_one(fact, charted_us)

    def _close_open_one(self, fact: InfusionFact, charted_us: int) -> None:
        """An end that comes with a beginning of its own is that of the one that ran, if its number had just one."""
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
        standing = [_standing(key, entry) for key, entry in self._entries.items()]
        return Chart(tuple(standing), bool(self._doubtful))


def _standing(key: _Key, entry: _Entry) -> Administration:
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
    """For versions whose charting nobody told: when they or a lower one were received last, so that versions rise."""
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
    """Which of two that were charted at one instant is taken last, and so stands."""
    if isinstance(fact, _BEGINNINGS):
        return 0
    if isinstance(fact, InfusionRestarted):
        return 2
    return 1 if isinstance(fact, _ENDS) else 3


def _end_us(fact: InfusionFact) -> int:
    return fact.new_end_us if isinstance(fact, InfusionEndCorrected) else fact.at_us
