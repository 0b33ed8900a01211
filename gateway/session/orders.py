"""One order of an infusion: when it began to run, whether it has ended, and who says so. Pure.

Theory of operation. What is said of the order as a whole is cut into segments by its starts and restarts. What states
an end is a statement: a plain end is version 1, a correction has its own version. Voids withdraw statements; what
remains goes to the segment into which its instant falls, and in the last segment the highest version stands. What is
said of single administrations stands beside it (administrations.py). The order has ended when all of it has, at the
latest end: an administration by its own end, or by one that was stated of the order after it began; what runs of the
order as a whole by any end after it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from gateway.session.administrations import Administration, chart_of
from gateway.session.facts import EndSource, FlushStarted, InfusionEndVoided, InfusionRestarted, InfusionStarted
from gateway.session.statements import InfusionFact, Statement, statement_of


class Order(msgspec.Struct, frozen=True):
    """What is known of one order."""

    name: str
    starts: tuple[int, ...]
    end: Statement | None  # the end that stands; None while anything of it runs
    last: tuple[Statement, ...]  # every end stated of what ended last
    interrupted: bool  # something of it began after an end
    rejected: bool  # an end lies before the start
    no_time: bool
    remaining: tuple[Statement, ...]


def order_of(name: str, facts: Sequence[InfusionFact]) -> Order:
    """The order of that name, from all facts about it."""
    named = [fact for fact in facts if fact.administration]
    if not named:
        return _whole(name, facts)
    plain = [fact for fact in facts if not fact.administration]
    voids = [fact for fact in plain if isinstance(fact, InfusionEndVoided) and fact.version is None]
    chart = chart_of(named, voids)
    return _joined(_whole(name, plain), chart.standing, in_doubt=chart.in_doubt)


def says_nothing(facts: Iterable[InfusionFact]) -> bool:
    """Whether only withdrawals were charted, each of one administration: nothing was ever given."""
    return all(isinstance(fact, InfusionEndVoided) and fact.administration for fact in facts)


def _whole(name: str, facts: Sequence[InfusionFact]) -> Order:
    """The order as what is said of it as a whole has it."""
    starts = sorted({f.at_us for f in facts if isinstance(f, InfusionStarted | InfusionRestarted | FlushStarted)})
    voids = _Voids([fact for fact in facts if isinstance(fact, InfusionEndVoided)])
    valid = [each for fact in facts if (each := statement_of(fact)) is not None and not voids.withdraw(each)]
    segments: list[list[Statement]] = [[] for _ in starts or (0,)]
    rejected = False
    for each in valid:
        if each.no_time:
            continue
        if starts and each.end_us < starts[0]:
            rejected = True
            continue
        # Reading 13. An end at the instant of a restart ends what ran before it.
        segments[max(bisect_left(starts, each.end_us) - 1, 0)].append(each)
    last = tuple(segments[-1])
    return Order(
        name=name,
        starts=tuple(starts),
        end=_standing(last),
        last=last,
        interrupted=any(segments[:-1]),
        rejected=rejected,
        no_time=any(each.no_time for each in valid),
        remaining=tuple(each for each in valid if each.remaining is not None),
    )


def _standing(stated: Sequence[Statement]) -> Statement | None:
    """P18: the highest version; among equals the later instant, so fewer units. An end charted after it counts too."""
    best = max(stated, key=lambda each: (each.version, each.correction, each.end_us, -each.known_at_us), default=None)
    if best is None or not (best.correction and best.dated):
        return best
    later = [each for each in stated if not each.correction and each.dated and each.charted_us > best.charted_us]
    return max((best, *later), key=lambda each: each.end_us)


def _joined(whole: Order, standing: Sequence[Administration], *, in_doubt: bool) -> Order:
    """The order as a whole, and what stands of its administrations."""
    began = [each.start_us for each in standing if each.start_us is not None]
    starts = tuple(sorted({*whole.starts, *began}))
    steps, own = _split(standing)
    stated = [end for each in steps if (end := each.end) is not None and not (starts and end.end_us < starts[0])]
    of_order = [*stated, *([] if whole.end is None else [whole.end])]
    overruled_us = _overruled_us(whole.end)
    ends = [end for each in own if (end := each.end) is not None and end.known_at_us > overruled_us]
    order_end_us = max((each.end_us for each in of_order), default=None)
    last_us = max((each.end_us for each in (*of_order, *ends)), default=None)
    runs = any(
        each.end is None and each.runs_from_us is not None and not _before(each.runs_from_us, order_end_us)
        for each in own
    )
    steps_us = [each.runs_from_us for each in steps if each.end is None and each.runs_from_us is not None]
    waits = [*steps_us, *(whole.starts[-1:] if whole.end is None else ())]
    runs = runs or in_doubt or any(not _before(at_us, last_us) for at_us in waits)
    end = None if runs else max((*of_order, *ends), key=lambda each: (each.end_us, -each.known_at_us), default=None)
    last = [each.ends for each in standing if end is not None and end in each.ends]
    before = [each for each in standing if each.end is not None and starts and each.end.end_us <= starts[-1]]
    return Order(
        name=whole.name,
        starts=starts,
        end=end,
        last=last[0] if last else whole.last,
        interrupted=whole.interrupted or any(each.start_us != starts[-1] for each in before),
        rejected=whole.rejected
        or any(each.rejected for each in standing)
        or len(stated) < sum(each.end is not None for each in steps),
        no_time=whole.no_time or any(said.no_time for each in standing for said in each.ends[-1:]),
        remaining=(*whole.remaining, *(said for each in standing for said in each.ends if said.remaining is not None)),
    )


def _split(standing: Sequence[Administration]) -> tuple[list[Administration], list[Administration]]:
    """Steps of the order, and administrations."""
    return [each for each in standing if each.of_order], [each for each in standing if not each.of_order]


def _before(start_us: int, end_us: int | None) -> bool:
    return end_us is not None and start_us < end_us


def _overruled_us(end: Statement | None) -> int:
    """Up to when what the chart says yields to a person's correction of the whole order."""
    return end.known_at_us if end is not None and end.correction and end.source is EndSource.PERSON else -1


class _Voids:
    """The voids of one order as a whole."""

    def __init__(self, voids: Sequence[InfusionEndVoided]) -> None:
        whole = [void for void in voids if void.version is None]
        versions = sorted((void.version, void.at_us) for void in voids if void.version is not None)
        self._whole = _last_received(whole)
        self._undated = _last_received(void for void in whole if void.charted_us is None)
        self._charted_us = max((void.charted_us for void in whole if void.charted_us is not None), default=None)
        self._versions = [version for version, _ in versions]
        # For each version the latest void of it and of all above it.
        self._last_us = list(accumulate((at_us for _, at_us in reversed(versions)), max))[::-1]

    def withdraw(self, statement: Statement) -> bool:
        """Whether any of them withdraws the statement."""
        if statement.dated and self._charted_us is not None and statement.charted_us <= self._charted_us:
            return True
        # Reading 4: where not both tell when they were charted, what was received before, whatever its instant.
        whole = self._undated if statement.dated else self._whole
        if whole is not None and (statement.known_at_us, statement.charted_us) < whole:
            return True
        # P18: the highest version wins. An end that came about after the void is another end.
        first = bisect_left(self._versions, statement.version)
        if first == len(self._versions):
            return False
        stated_us = statement.charted_us if statement.dated else statement.end_us
        return statement.correction or stated_us <= self._last_us[first]


def _last_received(voids: Iterable[InfusionEndVoided]) -> tuple[int, int] | None:
    return max(((void.known_at_us, void.at_us) for void in voids), default=None)
