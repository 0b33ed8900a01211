"""Increments: the instants at which counted cooling reaches its thresholds, and the log of published changes. Pure.

The list of increments is computed anew with every new fact. `reconcile` gives the log entries that bring a reader's
list up to date: retract from the highest number down, amend what moved, emit what is new (P18).
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import accumulate

import msgspec

from gateway.session.counting import Interval
from gateway.session.policy import Policy
from gateway.session.spans import FOREVER, US_PER_MINUTE, US_PER_S

MAX_INDEX = 99  # an increment's key has two digits
LAST_REVISION = "Z"


class Increment(msgspec.Struct, frozen=True):
    """One attained unit: its number from 1, the instant, and the cooling that attained it."""

    index: int
    attained_at_us: int
    intervals: tuple[Interval, ...]


def attained(intervals: Sequence[Interval], policy: Policy, until_us: int) -> tuple[tuple[Increment, ...], int | None]:
    """The increments attained by `until_us`, and the instant of the next one if cooling goes on, else None.

    Unit n is attained when net cooling reaches the first threshold plus n - 1 increments, the instant included (P1).
    """
    reached_us = list(accumulate(each.end_us - each.start_us for each in intervals))  # by the end of each interval
    found: list[Increment] = []
    for index in range(1, MAX_INDEX + 1):
        needed_us = (policy.first_threshold_s + (index - 1) * policy.increment_s) * US_PER_S
        within = bisect_left(reached_us, needed_us)
        if within == len(intervals):
            break
        last = intervals[within]
        at_us = last.end_us - (reached_us[within] - needed_us)
        if at_us > until_us:
            return tuple(found), at_us
        found.append(Increment(index, at_us, (*intervals[:within], Interval(last.start_us, at_us, last.cap))))
    return tuple(found), None


def up_to(intervals: Iterable[Interval], until_us: int) -> tuple[Interval, ...]:
    """The intervals, clipped at `until_us`."""
    return tuple(
        Interval(each.start_us, min(each.end_us, until_us), each.cap) for each in intervals if each.start_us < until_us
    )


def after(intervals: Iterable[Interval], since_us: int) -> tuple[Interval, ...]:
    """The part of `intervals` after `since_us`."""
    return tuple(
        Interval(max(each.start_us, since_us), each.end_us, each.cap) for each in intervals if each.end_us > since_us
    )


def net_us(intervals: Iterable[Interval]) -> int:
    """The total length of the intervals, microseconds."""
    return sum(each.end_us - each.start_us for each in intervals)


def chart_minutes(intervals: Iterable[Interval]) -> int:
    """The intervals' total by subtraction of HH:MM, in minutes, as an auditor recomputes it (P2)."""
    return sum(each.end_us // US_PER_MINUTE - each.start_us // US_PER_MINUTE for each in intervals)


class Emitted(msgspec.Struct, frozen=True):
    """The state of one increment number in the log: its last revision and whether it is retracted."""

    index: int
    revision: str
    attained_at_us: int
    retracted: bool = False


class Op(StrEnum):
    """The operation of a log entry on the reader's list of increments."""

    EMIT = "emit"
    AMEND = "amend"
    RETRACT = "retract"


class Change(msgspec.Struct, frozen=True):
    """One entry of the log. `was_us` is the instant published before, None for an emission."""

    op: Op
    index: int
    revision: str
    attained_at_us: int  # of a retraction: the instant that is retracted
    known_at_us: int
    was_us: int | None = None


def reconcile(emitted: Sequence[Emitted], increments: Sequence[Increment], known_at_us: int) -> tuple[Change, ...]:
    """The changes after which the log equals `increments`. A number at revision Z is not changed, but held."""
    logged = {each.index: each for each in emitted}
    present = {each.index: each for each in increments}
    retractions: list[Change] = []
    for index in sorted(logged, reverse=True):
        before = logged[index]
        if not before.retracted and index not in present:
            at_us = before.attained_at_us
            retractions.append(Change(Op.RETRACT, index, before.revision, at_us, known_at_us, at_us))
    amendments: list[Change] = []
    emissions: list[Change] = []
    for index, increment in sorted(present.items()):
        before = logged.get(index)
        at_us = increment.attained_at_us
        if before is None:
            emissions.append(Change(Op.EMIT, index, "A", at_us, known_at_us))
        elif before.revision == LAST_REVISION:
            continue
        elif before.retracted:
            emissions.append(Change(Op.EMIT, index, next_revision(before.revision), at_us, known_at_us))
        elif before.attained_at_us != at_us:
            revision = next_revision(before.revision)
            amendments.append(Change(Op.AMEND, index, revision, at_us, known_at_us, before.attained_at_us))
    return (*retractions, *amendments, *emissions)


def next_revision(revision: str) -> str:
    """The letter after `revision`."""
    return chr(ord(revision) + 1)


def fold(emitted: Sequence[Emitted], changes: Iterable[Change]) -> tuple[Emitted, ...]:
    """The log's state after `changes`, by number."""
    logged = {each.index: each for each in emitted}
    for change in changes:
        retracted = change.op is Op.RETRACT
        logged[change.index] = Emitted(change.index, change.revision, change.attained_at_us, retracted)
    return tuple(logged[index] for index in sorted(logged))


def ceil_to_minute(at_us: int) -> int:
    """The next full minute, or `at_us` if it is one."""
    return -(-at_us // US_PER_MINUTE) * US_PER_MINUTE if at_us < FOREVER else at_us
