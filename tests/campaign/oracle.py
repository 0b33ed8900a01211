"""How many units stand, counted anew from what the polls showed and the chart said. It shares nothing with the gateway.

The rules are those of the billing page: time counts after the last agent's end, net of pauses (P9, P10), as long as
cooling is continued (P11, P12; a move to another cap continues it, P23); a silence counts as far as the unit's own
counters prove it, and not at all if they show more lost than the tolerance (P15). Counters of another treatment prove
that the cap stopped and started again in the silence. What a fault of the gateway may have
taken is `slack_us`: the answer is then a range.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.campaign.plan import CapState, S, Stay
from tests.campaign.units import Sighting

GAP_US = 90 * S  # three polls
RESOLUTION_S = 2  # of a unit's counters, at both ends
DRIFT_PPM = 200  # of their clock


class Rules(NamedTuple):
    """The values of a policy that the count depends on."""

    first_s: int = 960
    increment_s: int = 1800
    tolerance_s: int = 600
    finalise_h: int = 72
    idle_s: int = 1800


class Span(NamedTuple):
    """Instants."""

    start_us: int
    end_us: int


class Piece(NamedTuple):
    """Cooling between two readings, without what was lost of it meanwhile; nobody knows when that was."""

    span: Span
    lost_us: int = 0


@dataclass(frozen=True)
class Cooling:
    """What is proven of a visit's cooling."""

    runs: tuple[tuple[Span, Stay], ...]  # with their pauses
    pieces: tuple[Piece, ...]

    @property
    def total_us(self) -> int:
        """All net cooling, with what a policy may leave out of it."""
        return sum(piece.span.end_us - piece.span.start_us for piece in self.pieces)

    def net(self, tolerance_us: int) -> list[Span]:
        """What counts where an interruption may last so long."""
        return [piece.span for piece in self.pieces if piece.lost_us <= tolerance_us]


class Units(NamedTuple):
    """How many units stand at least and at most, and the earliest and latest instants at which each is attained."""

    least: int
    most: int
    earliest_us: tuple[int, ...]
    latest_us: tuple[int, ...]


def cooling(stays: Sequence[tuple[Stay, Sequence[Sighting]]]) -> Cooling:
    """What the sightings of each stay prove."""
    runs: list[tuple[Span, Stay]] = []
    pieces: list[Piece] = []
    for stay, sightings in stays:
        seen = _confirmed([each for each in sightings if stay.from_us <= each.at_us <= stay.to_us])
        began_us: int | None = None
        last: Sighting | None = None
        for each in seen:
            if last is None or last.state is CapState.STOPPED:
                began_us = each.at_us if each.state is CapState.RUNNING else None
                if began_us is None:
                    continue  # a pause of a cap that does not cool is none
            elif each.state is CapState.STOPPED:
                if began_us is not None:
                    runs.append((Span(began_us, last.at_us), stay))
                began_us = None
            elif (again_us := _started_again_us(last, each)) is not None:
                if began_us is not None:
                    runs.append((Span(began_us, last.at_us), stay))
                began_us = again_us
            elif last.state is CapState.RUNNING and each.state is CapState.RUNNING:
                pieces += _between(last, each)
            last = each
        if began_us is not None and last is not None:
            runs.append((Span(began_us, last.at_us), stay))
    return Cooling(tuple(sorted(runs)), tuple(sorted(pieces)))


def _confirmed(seen: Sequence[Sighting]) -> list[Sighting]:
    """Without a change that one reading shows before a silence: it takes two equal ones (P31)."""
    return [
        each
        for before, each, after in zip([None, *seen], seen, [*seen[1:], None], strict=False)
        if before is None or after is None or before.state is each.state or after.at_us - each.at_us <= GAP_US
    ]


def _started_again_us(before: Sighting, after: Sighting) -> int | None:
    """When the treatment began that cools after a silence, if the cap was in another one before it."""
    silent = after.at_us - before.at_us > GAP_US
    if silent and after.state is CapState.RUNNING and after.treatment != before.treatment:
        return after.at_us - after.elapsed_s * S
    return None


def _between(before: Sighting, after: Sighting) -> Iterator[Piece]:
    """What counts of the time between two readings that show cooling; the loss is taken off its end."""
    passed_us = after.at_us - before.at_us
    if passed_us <= GAP_US:
        yield Piece(Span(before.at_us, after.at_us))
    elif before.treatment == after.treatment:
        lost_us = max(0, passed_us - (after.elapsed_s - before.elapsed_s) * S)
        if lost_us <= RESOLUTION_S * S + passed_us * DRIFT_PPM / 1e6:
            lost_us = 0
        if lost_us < passed_us:
            yield Piece(Span(before.at_us, after.at_us - lost_us), lost_us)


def units(cool: Cooling, end_us: int | None, rules: Rules, slack_us: int) -> Units:
    """The units of `cool` after the infusion's end; none while the end is unknown."""
    if end_us is None:
        return Units(0, 0, (), ())
    until_us = _continued_until(cool.runs, end_us, rules.tolerance_s * S)
    least: list[int] = []
    most: list[int] = []
    total_us = 0
    for span in cool.net(rules.tolerance_s * S):
        start_us, stop_us = max(span.start_us, end_us), min(span.end_us, until_us)
        if stop_us <= start_us:
            continue
        for found, lead_us in ((most, slack_us), (least, -slack_us)):
            while (need_us := _needed_us(len(found) + 1, rules) - lead_us - total_us) <= stop_us - start_us:
                found.append(start_us + max(0, need_us))
        total_us += stop_us - start_us
    return Units(len(least), len(most), tuple(most), tuple(least))


def _needed_us(number: int, rules: Rules) -> int:
    return (rules.first_s + (number - 1) * rules.increment_s) * S


def _continued_until(runs: Sequence[tuple[Span, Stay]], end_us: int, tolerance_us: int) -> int:
    """Until when cooling is continued from the infusion's end; 0 if it is not."""
    before = [index for index, (run, _) in enumerate(runs) if run.start_us < end_us]
    if not before:
        return 0
    last = before[-1]
    across = runs[last][0].end_us < end_us  # it stood still at the infusion's end
    if across and last + 1 == len(runs):
        return 0
    for (run, stay), (following, next_stay) in pairwise(runs[last:]):
        if following.start_us - run.end_us > tolerance_us and stay.place == next_stay.place:
            return 0 if across else run.end_us
        across = False
    return runs[-1][0].end_us
