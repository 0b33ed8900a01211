"""The arithmetic of spans, against sets of microseconds."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.session.spans import Span, clip, intersect, length, overlapping, subtract, union

INSTANTS = st.integers(0, 30)
ANY_SPANS = st.lists(st.tuples(INSTANTS, INSTANTS), max_size=8)
SPANS = ANY_SPANS.map(union)


def covered(spans: list[Span] | tuple[Span, ...]) -> set[int]:
    return {at_us for start, end in spans for at_us in range(start, end)}


def assert_sorted_and_apart(spans: tuple[Span, ...]) -> None:
    assert all(start < end for start, end in spans)
    assert all(left[1] < right[0] for left, right in pairwise(spans))


@given(ANY_SPANS)
def test_a_union_covers_what_any_span_covers(spans: list[Span]) -> None:
    found = union(spans)
    assert covered(found) == covered(spans)
    assert_sorted_and_apart(found)
    assert length(found) == len(covered(spans))


@given(SPANS, ANY_SPANS)
def test_what_a_hole_covers_is_taken_out(spans: tuple[Span, ...], holes: list[Span]) -> None:
    found = subtract(spans, holes)
    assert covered(found) == covered(spans) - covered(holes)
    assert_sorted_and_apart(found)


@given(SPANS, SPANS)
def test_an_intersection_is_what_both_cover(spans: tuple[Span, ...], others: tuple[Span, ...]) -> None:
    assert covered(intersect(spans, others)) == covered(spans) & covered(others)


@given(SPANS, INSTANTS, INSTANTS)
def test_a_clip_is_what_lies_within(spans: tuple[Span, ...], start_us: int, end_us: int) -> None:
    found = clip(spans, start_us, end_us)
    assert covered(found) == covered(spans) & covered([(start_us, end_us)])
    assert_sorted_and_apart(found)


@given(SPANS, INSTANTS, st.integers(1, 10))
def test_a_span_that_overlaps_is_found_whole(spans: tuple[Span, ...], start_us: int, length_us: int) -> None:
    window = covered([(start_us, start_us + length_us)])
    assert overlapping(spans, start_us, start_us + length_us) == tuple(s for s in spans if covered([s]) & window)
