"""One order of an infusion: when it began to run, whether it has ended, and by whose report. Pure.

Theory of operation. The starts and restarts of the order as a whole cut time into segments. A fact that states an end
is a statement: a plain end is version 1, a correction has its own version. Voids withdraw statements; each one left
belongs to the segment into which its instant falls, and in the last segment the highest version is valid. Facts about
single administrations are assessed apart (administrations.py). The order has ended when all of it has, at the latest
end: an administration ends by its own end, or by one stated of the order after it began; a start of the order as a
whole by any end after it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from gateway.session.administrations import Administration, chart_of
from gateway.session.facts import (
    AnyFact,
    EndSource,
    FlushStarted,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
)
from gateway.session.statements import InfusionFact, Statement, statement_of


class Order(msgspec.Struct, frozen=True):
    """What is known of one order."""

    name: str
    starts: tuple[int, ...]
    end: Statement | None  # the valid end; None while any part of it runs
    last: tuple[Statement, ...]  # all ends stated of the part that ended last
    interrupted: bool  # a part of it began after an end
    rejected: bool  # an end lies before the start
    no_time: bool
    remaining: tuple[Statement, ...]


def facts_by_order(facts: Iterable[AnyFact]) -> dict[str, list[InfusionFact]]:
    """The infusion facts among `facts`, by order."""
    by_order: dict[str, list[InfusionFact]] = {}
    for fact in facts:
        if isinstance(fact, InfusionFact):
            by_order.setdefault(fact.order, []).append(fact)
    return by_order


def order_of(name: str, facts: Sequence[InfusionFact]) -> Order:
    """The order called `name`, from all facts about it."""
    named = [fact for fact in facts if fact.administration]
    if not named:
        return _whole(name, facts)
    plain = [fact for fact in facts if not fact.administration]
    voids = [fact for fact in plain if isinstance(fact, InfusionEndVoided) and fact.version is None]
    chart = chart_of(named, voids)
    return _joined(_whole(name, plain), chart.administrations, in_doubt=chart.in_doubt)


def only_withdrawn(facts: Iterable[InfusionFact]) -> bool:
    """Whether all facts are withdrawals of single administrations, so that nothing was given."""
    return all(isinstance(fact, InfusionEndVoided) and fact.administration for fact in facts)


def _whole(name: str, facts: Sequence[InfusionFact]) -> Order:
    """The order by the facts about it as a whole, without those about single administrations."""
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
        # An end belongs to the segment into which it falls; at the instant of a restart, to the one before it.
        segments[max(bisect_left(starts, each.end_us) - 1, 0)].append(each)
    last = tuple(segments[-1])
    return Order(
        name=name,
        starts=tuple(starts),
        end=_valid_end(last),
        last=last,
        interrupted=any(segments[:-1]),
        rejected=rejected,
        no_time=any(each.no_time for each in valid),
        remaining=tuple(each for each in valid if each.remaining is not None),
    )


def _valid_end(stated: Sequence[Statement]) -> Statement | None:
    """P18: the highest version; of equal ones the latest, for fewer units; or a later end charted after it."""
    best = max(stated, key=lambda each: (each.version, each.correction, each.end_us, -each.known_at_us), default=None)
    if best is None or not (best.correction and best.dated):
        return best
    later = [each for each in stated if not each.correction and each.dated and each.charted_us > best.charted_us]
    return max((best, *later), key=lambda each: each.end_us)


def _joined(whole: Order, administrations: Sequence[Administration], *, in_doubt: bool) -> Order:
    """`whole`, the order by the facts about it as a whole, joined with its administrations and steps."""
    began = [each.start_us for each in administrations if each.start_us is not None]
    starts = tuple(sorted({*whole.starts, *began}))
    steps, own = _split(administrations)
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
    last = [each.ends for each in administrations if end is not None and end in each.ends]
    before = [each for each in administrations if each.end is not None and starts and each.end.end_us <= starts[-1]]
    return Order(
        name=whole.name,
        starts=starts,
        end=end,
        last=last[0] if last else whole.last,
        interrupted=whole.interrupted or any(each.start_us != starts[-1] for each in before),
        rejected=whole.rejected
        or any(each.rejected for each in administrations)
        or len(stated) < sum(each.end is not None for each in steps),
        no_time=whole.no_time or any(last.no_time for each in administrations for last in each.ends[-1:]),
        remaining=(
            *whole.remaining,
            *(stated for each in administrations for stated in each.ends if stated.remaining is not None),
        ),
    )


def _split(entries: Sequence[Administration]) -> tuple[list[Administration], list[Administration]]:
    """Steps of the order, and administrations."""
    return [each for each in entries if each.of_order], [each for each in entries if not each.of_order]


def _before(start_us: int, end_us: int | None) -> bool:
    return end_us is not None and start_us < end_us


def _overruled_us(end: Statement | None) -> int:
    """Ends received up to this instant are overruled by a person's correction of the whole order; -1: none is."""
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
        # For each version the latest void of it and of all versions above it.
        self._last_us = list(accumulate((at_us for _, at_us in reversed(versions)), max))[::-1]

    def withdraw(self, statement: Statement) -> bool:
        """Whether any of them withdraws the statement."""
        if statement.dated and self._charted_us is not None and statement.charted_us <= self._charted_us:
            return True
        # Unless both state when they were charted, a void without a version withdraws what was received before it.
        whole = self._undated if statement.dated else self._whole
        if whole is not None and (statement.known_at_us, statement.charted_us) < whole:
            return True
        # P18: the highest version wins. An end stated after the void is another end.
        first = bisect_left(self._versions, statement.version)
        if first == len(self._versions):
            return False
        stated_us = statement.charted_us if statement.dated else statement.end_us
        return statement.correction or stated_us <= self._last_us[first]


def _last_received(voids: Iterable[InfusionEndVoided]) -> tuple[int, int] | None:
    return max(((void.known_at_us, void.at_us) for void in voids), default=None)
