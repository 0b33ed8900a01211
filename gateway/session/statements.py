"""Statements of an order's end, as single facts make them. Pure."""

import msgspec

from gateway.session.facts import (
    EndSource,
    FlushEnded,
    FlushStarted,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
)

InfusionFact = (
    InfusionStarted
    | InfusionEnded
    | InfusionRestarted
    | InfusionEndCorrected
    | InfusionEndVoided
    | FlushStarted
    | FlushEnded
)


class Statement(msgspec.Struct, frozen=True):
    """An order's end as one fact states it."""

    end_us: int
    version: int  # 1: as first charted
    correction: bool
    charted_us: int  # when it was charted, by the sender's clock
    known_at_us: int
    source: EndSource
    skew_s: float
    no_time: bool
    remaining: int | None
    dated: bool = False  # the sender stated `charted_us`

    @property
    def stated_us(self) -> int:
        """The instant to which `remaining` refers: the end's own, or, if it has none, that of the receipt."""
        return self.known_at_us if self.no_time else self.end_us


def statement_of(fact: InfusionFact, charted_us: int | None = None) -> Statement | None:
    """The end that `fact` states; None if it states none, or if it is a pump's (a hint, P19).

    The charting time is `charted_us`; if that is None, the fact's `charted_us`, else the fact's own instant.
    """
    match fact:
        case InfusionEnded() if fact.source is not EndSource.PUMP:
            end_us, version, correction, source = fact.at_us, 1, False, fact.source
            no_time, remaining = fact.no_time, fact.remaining_chemo_orders
        case InfusionEndCorrected() if fact.source is not EndSource.PUMP:
            end_us, version, correction, source = fact.new_end_us, fact.version, True, fact.source
            no_time, remaining = False, None
        case FlushEnded():
            end_us, version, correction, source = fact.at_us, 1, False, EndSource.MAR
            no_time, remaining = False, None
        case _:
            return None
    if charted_us is None:
        charted_us = fact.at_us if fact.charted_us is None else fact.charted_us
    return Statement(
        end_us,
        version,
        correction,
        charted_us,
        fact.known_at_us,
        source,
        fact.skew_s,
        no_time,
        remaining,
        dated=fact.charted_us is not None,
    )
