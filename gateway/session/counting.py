"""Which cooling counts: net of interruptions, after the infusion's end, as long as cooling is continued. Pure.

Theory of operation. Net cooling is the union over all caps (P23). The policy may fill a gap in it (P9 gross, P31), but
never offline time. Then continuity is judged on the runs, pauses included: a run must be on at the infusion's end, or
be interrupted there by no more than the tolerance; from there on cooling is continued until a stop that no start
follows within the tolerance (P11, P12). A move to another cap continues the session however long it takes (P23).
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from gateway.session.cooling import Cooling, Run
from gateway.session.facts import CapRef
from gateway.session.policy import PauseCounting, Policy
from gateway.session.spans import FOREVER, US_PER_S, Span, clip, intersect, overlapping, subtract, union


class Interval(msgspec.Struct, frozen=True):
    """Counted cooling on one cap."""

    start_us: int
    end_us: int
    cap: CapRef


class ContinuedCooling(msgspec.Struct, frozen=True):
    """Whether cooling was continued after the infusion's end, until when, and whether it restarted after that."""

    continued: bool  # P11
    closed_us: int  # P12: cooling after this is not continued; FOREVER while it may go on
    restarted: bool  # a start came more than the tolerance after a stop; it does not count


class Counted(msgspec.Struct, frozen=True):
    """The cooling that counts, by cap and in order; what is under way ends at FOREVER."""

    intervals: tuple[Interval, ...]
    window: Span  # post-infusion cooling, interruptions included; empty if there is none
    continuity: ContinuedCooling


NOTHING = Counted((), (0, 0), ContinuedCooling(False, 0, False))


def count(cooling: Cooling, net: tuple[Span, ...], infusion_end_us: int, policy: Policy) -> Counted:
    """The part of `cooling` that counts after the infusion's end; a run that has not ended is taken to go on for ever.

    `net` are its `net_spans`.
    """
    continuity = continued([run for run in cooling.runs if run.seen], infusion_end_us, policy)
    if not policy.continuity_required:
        window = (infusion_end_us, FOREVER)
    elif continuity.continued:
        window = (infusion_end_us, continuity.closed_us)
    else:
        window = (0, 0)
    return Counted(_by_cap(clip(net, *window), cooling), window, continuity)


def net_spans(cooling: Cooling, policy: Policy) -> tuple[Span, ...]:
    """Net cooling of all caps, and the gaps that the policy counts."""
    net = union(span for cap in cooling.caps for span in cap.net_spans)
    unknown = union(span for cap in cooling.caps for span in intersect(cap.unknown, cap.running_spans))
    filled: list[Span] = []
    for (_, stop_us), (start_us, _) in pairwise(net):
        gap_us = start_us - stop_us
        chatter = gap_us < policy.min_pause_s * US_PER_S  # P31
        short = gap_us <= policy.pause_tolerance_s * US_PER_S
        counts = chatter or (short and policy.pause_counting is PauseCounting.GROSS_WITHIN_TOLERANCE)  # P9
        if counts and not overlapping(unknown, stop_us, start_us):
            filled.append((stop_us, start_us))
    return union([*net, *filled])


def continued(runs: Sequence[Run], infusion_end_us: int, policy: Policy) -> ContinuedCooling:
    """How far cooling is continued from the infusion's end on (P11, P12)."""
    blocks = _blocks(runs)
    tolerance_us = policy.pause_tolerance_s * US_PER_S
    # A run that starts exactly at the infusion's end is not continued cooling. One that stops there was still on.
    before = [index for index, block in enumerate(blocks) if block.start_us < infusion_end_us]
    if not before:
        return ContinuedCooling(False, 0, False)
    restarted = False
    last = before[-1]
    across = blocks[last].end_us < infusion_end_us
    if across and last + 1 == len(blocks):
        return ContinuedCooling(False, 0, False)
    while last + 1 < len(blocks):
        stopped, started = blocks[last], blocks[last + 1]
        late = started.start_us - stopped.end_us > tolerance_us
        restarted |= late
        # A stop within the tolerance across the infusion's end is a pause, and so is a swap, however long it takes.
        if late and started.first_cap == stopped.last_cap:
            return ContinuedCooling(not across, stopped.end_us, True)
        across = False
        last += 1
    return ContinuedCooling(True, blocks[last].end_us, restarted)


class _Block(msgspec.Struct, frozen=True):
    """Runs that overlap or touch."""

    start_us: int
    end_us: int
    first_cap: CapRef
    last_cap: CapRef  # the cap that ended it


def _blocks(runs: Sequence[Run]) -> list[_Block]:
    blocks: list[_Block] = []
    for run in runs:
        if blocks and run.start_us <= blocks[-1].end_us:
            before = blocks[-1]
            last_cap = run.cap if run.end_us >= before.end_us else before.last_cap
            blocks[-1] = _Block(before.start_us, max(before.end_us, run.end_us), before.first_cap, last_cap)
        else:
            blocks.append(_Block(run.start_us, run.end_us, run.cap, run.cap))
    return blocks


def _by_cap(spans: tuple[Span, ...], cooling: Cooling) -> tuple[Interval, ...]:
    """Each moment of `spans` once, with the cap that proves it; a filled gap goes to the cap that resumed."""
    proofs = sorted((start, end, cap.cap) for cap in cooling.caps for start, end in intersect(cap.net_spans, spans))
    intervals: list[Interval] = []
    following = 0
    for done_us, span_end_us in spans:
        while following < len(proofs) and proofs[following][0] < span_end_us:
            _, end_us, cap = proofs[following]
            following += 1
            if end_us <= done_us:
                continue
            if intervals and intervals[-1].cap == cap and intervals[-1].end_us == done_us:
                intervals[-1] = Interval(intervals[-1].start_us, end_us, cap)
            else:
                intervals.append(Interval(done_us, end_us, cap))
            done_us = end_us
    return tuple(intervals)


def interruptions(cooling: Cooling, counted: Counted, until_us: int) -> tuple[Span, ...]:
    """The gaps inside runs in which no cap cooled: each that ends after the infusion's end, at its full length."""
    start_us, end_us = counted.window
    running = union(span for cap in cooling.caps for span in cap.running_spans)
    net = union(span for cap in cooling.caps for span in cap.net_spans)
    gaps = clip(subtract(running, net), 0, min(end_us, until_us))
    return tuple(gap for gap in gaps if gap[1] > start_us)
