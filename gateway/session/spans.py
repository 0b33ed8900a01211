"""Spans of time and their arithmetic: half-open [start, end) in microseconds, sorted and apart from each other.

Every function takes one pass over sorted spans, so that thousands of interruptions cost thousands of steps.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Span = tuple[int, int]

FOREVER = 1 << 62  # the end of what has not ended
US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """All of the time that any of `spans` covers; spans that touch become one, empty ones vanish."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> tuple[Span, ...]:
    """The time in `spans` that no hole covers."""
    cut = union(holes)
    kept: list[Span] = []
    first = 0  # no hole before this one reaches the present span
    for start, end in union(spans):
        while first < len(cut) and cut[first][1] <= start:
            first += 1
        hole = first
        while hole < len(cut) and cut[hole][0] < end:
            kept.append((start, cut[hole][0]))
            start = cut[hole][1]
            hole += 1
        kept.append((start, end))
    return tuple((start, end) for start, end in kept if start < end)


def clip(spans: Iterable[Span], start_us: int, end_us: int) -> tuple[Span, ...]:
    """The time in `spans` from `start_us` to `end_us`."""
    return union((max(start, start_us), min(end, end_us)) for start, end in spans)


def intersect(spans: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The time that both cover."""
    whole = union(spans)
    return subtract(whole, subtract(whole, others))


def overlapping(spans: tuple[Span, ...], start_us: int, end_us: int) -> tuple[Span, ...]:
    """Those of the sorted `spans` that share time with the span from `start_us` to `end_us`, whole."""
    first = bisect_right(spans, start_us, key=_end_us)
    return spans[first : bisect_left(spans, end_us, lo=first, key=_start_us)]


def length(spans: Iterable[Span]) -> int:
    """How long `spans` are together, microseconds."""
    return sum(end - start for start, end in spans)


def _start_us(span: Span) -> int:
    return span[0]


def _end_us(span: Span) -> int:
    return span[1]
