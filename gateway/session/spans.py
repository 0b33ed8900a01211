"""Spans of time and their arithmetic: half-open [start, end) in microseconds, sorted and apart from each other.

`union` makes such spans of any, in one pass over them sorted; the others take spans that are so already. Thousands of
interruptions cost thousands of steps, and to clip costs no more than what is kept.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Span = tuple[int, int]

FOREVER = 1 << 62  # the end of what has not ended
_NO_MORE = (1 << 63, 1 << 63)  # a sentinel after all spans
US_PER_S = 1_000_000
US_PER_MINUTE = 60 * US_PER_S


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """All of the time that any of `spans` covers; spans that touch become one, empty ones vanish."""
    merged: list[Span] = []
    open_us = until_us = -FOREVER
    for start, end in sorted(spans):
        if start > until_us:
            if open_us < until_us:
                merged.append((open_us, until_us))
            open_us, until_us = start, end
        elif end > until_us:
            until_us = end
    if open_us < until_us:
        merged.append((open_us, until_us))
    return tuple(merged)


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> tuple[Span, ...]:
    """The time in `spans` that none of `holes`, in any order, covers."""
    cut = iter(union(holes))
    kept: list[Span] = []
    opens, closes = next(cut, _NO_MORE)
    for start, end in spans:
        while closes <= start:
            opens, closes = next(cut, _NO_MORE)
        while opens < end:
            if start < opens:
                kept.append((start, opens))
            start = closes
            if closes >= end:  # it may overlap the next span too
                break
            opens, closes = next(cut, _NO_MORE)
        if start < end:
            kept.append((start, end))
    return tuple(kept)


def clip(spans: tuple[Span, ...], start_us: int, end_us: int) -> tuple[Span, ...]:
    """The time in `spans` from `start_us` to `end_us`."""
    kept = list(overlapping(spans, start_us, end_us)) if start_us < end_us else []
    if kept:
        kept[0] = (max(kept[0][0], start_us), kept[0][1])
        kept[-1] = (kept[-1][0], min(kept[-1][1], end_us))
    return tuple(kept)


def intersect(spans: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    """The time that both `spans` and `others` cover."""
    rest = iter(others)
    common: list[Span] = []
    opens, closes = next(rest, _NO_MORE)
    for start, end in spans:
        while opens < end:
            if start < closes:
                common.append((max(start, opens), min(end, closes)))
            if closes >= end:  # it may overlap the next span too
                break
            opens, closes = next(rest, _NO_MORE)
    return tuple(common)


def overlapping(spans: tuple[Span, ...], start_us: int, end_us: int) -> tuple[Span, ...]:
    """Those of the sorted `spans` that share time with the span from `start_us` to `end_us`, whole."""
    first = bisect_right(spans, start_us, key=_end_us)
    return spans[first : bisect_left(spans, end_us, lo=first, key=_start_us)]


def length(spans: Iterable[Span]) -> int:
    """The total length of `spans`, microseconds."""
    return sum(end - start for start, end in spans)


def _start_us(span: Span) -> int:
    return span[0]


def _end_us(span: Span) -> int:
    return span[1]
