"""Follows the machine's clock while sessions are counted, and records what is to be believed of it.

Theory of operation. The stamps go on by the boot clock from a start on. A step of the wall clock that is measured
between them (P25) is recorded while a session goes on, which keeps the old time, and is followed otherwise. What such
a step says of the stamps before it depends on whether they were proven: as the clock was kept by a time service once
since they were taken from it. If they were not, they were wrong by the step, and every session on them is held: its
cooling and what the EHR charts of it were told by two clocks.
"""

import logging
from collections.abc import Iterator

import msgspec

from gateway.ledger.read_back import ClockKnown
from gateway.recording.clock_trust import (
    STEP_TOLERANCE_US,
    Wall,
    is_implausible,
    says_more,
    state_of,
    was_proven,
)
from gateway.recording.own_work import hold
from gateway.runtime.clock import US_PER_S, Clock
from gateway.session.charges import uncredited_charges
from gateway.session.fact_types import ClockDoubt, ClockState, WorkKind
from gateway.session.facts import AnyFact, ClockJudged, ClockStepped, GatewayHold, HoldLifted, WorkRaised
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionRecord
from gateway.session.related import CLOCK
from gateway.session.state import TrackerState
from gateway.session.worklist import WORK, open_work

_log = logging.getLogger("capgate.sessions")

WRONG_US = 60 * US_PER_S  # charts are kept in whole minutes


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """A time at the beginning of a start in which nothing was recorded, for want of a clock to believe."""

    doubt: ClockDoubt
    waited_us: int
    corrected_us: int = 0  # what the stamps of that time lacked
    person: str = ""  # who said that the clock is right
    reason: str = ""
    login: str = ""


class ClockWatch:
    """The clock of a running gateway. `state` says how far its stamps are to be believed."""

    def __init__(self, clock: Clock, known: ClockKnown, waited: Waited | None = None) -> None:
        self._clock = clock
        self._last = known.judged
        self._waited = None if waited is not None and _is_recorded(waited, known) else waited
        now = clock.now()
        self._proven = was_proven(known, now.boot)
        same_boot = self._last is not None and self._last.boot == now.boot != ""
        self._since_us = self._last.at_us if self._last is not None and same_boot else now.utc_us
        self.state = ClockState.UNSYNCHRONISED
        self.implausible_us: int | None = None  # what a wall clock shows that is not followed, UTC

    def facts(self, state: TrackerState, now_us: int) -> tuple[AnyFact, ...]:
        """What is to be recorded now of the clock: each minute, and as the first thing of a start."""
        wall, step_us = Wall.of(self._clock), self._clock.step_us()
        found: list[AnyFact] = []
        self.implausible_us = wall.at.utc_us if is_implausible(wall, step_us) else None
        self._proven |= wall.kept.synchronised and abs(step_us) <= STEP_TOLERANCE_US
        if abs(step_us) > STEP_TOLERANCE_US:
            plausible = self.implausible_us is None
            if plausible and abs(step_us) > WRONG_US and not self._proven:
                found += self._wrong(state, now_us)
            if state.sessions.going_on:
                found += _stepped(state, step_us, now_us)
            elif plausible:
                self._follow(step_us, proven=wall.kept.synchronised)
        found += _timeless(state, now_us)
        return (*found, *self._judged(now_us))

    def _follow(self, step_us: int, *, proven: bool) -> None:
        self._clock.align()
        self._proven, self._since_us = proven, self._clock.now().utc_us
        _log.warning("wall clock was stepped", extra={"step_s": step_us / US_PER_S})

    def _judged(self, now_us: int) -> Iterator[ClockJudged]:
        kept, now = self._clock.kept(), self._clock.now()
        step_us = 0 if self.implausible_us is not None else self._clock.step_us()
        self.state = state_of(kept, step_us, proven=self._proven)
        judged = ClockJudged(
            at_us=now.utc_us,
            known_at_us=now_us,
            state=self.state,
            boot=now.boot,
            boot_us=now.boot_us,
            max_error_us=kept.max_error_us,
        )
        if self._waited is not None:
            judged = msgspec.structs.replace(judged, **msgspec.structs.asdict(self._waited))
            self._waited = None
        if says_more(judged, self._last):
            if self._last is None or self._last.state is not self.state:
                _log.info("clock", extra={"state": self.state})
            self._last = judged
            yield judged

    def _wrong(self, state: TrackerState, now_us: int) -> Iterator[AnyFact]:
        """Holds of the sessions on stamps that were wrong, and items about those of them that are charged."""
        for record in state.records.values():
            if record.opened_us < self._since_us and record.token not in state.sessions.going_on:
                continue
            if not record.done:
                yield from _held(state, record, HeldReason.CLOCK_WRONG, now_us)
            elif uncredited_charges(record.charged):
                raised = WorkRaised(
                    at_us=record.opened_us,
                    known_at_us=now_us,
                    what=WorkKind.CLOCK_WRONG,
                    cap=record.cap,
                    patient=record.patient,
                    order=record.token,
                )
                yield raised


def _is_recorded(waited: Waited, known: ClockKnown) -> bool:
    """Whether an attempt before this one, which the disk ended, recorded it."""
    last = known.judged
    return last is not None and last.doubt is not None and last.waited_us == waited.waited_us


def _stepped(state: TrackerState, step_us: int, now_us: int) -> Iterator[ClockStepped]:
    """P25: a step of the wall clock, unless it is known."""
    known = state.facts.of(CLOCK)
    if not any(isinstance(fact, ClockStepped) and abs(fact.step_s * US_PER_S - step_us) < US_PER_S for fact in known):
        _log.warning("wall clock was stepped, sessions keep the old time", extra={"step_s": step_us / US_PER_S})
        yield ClockStepped(at_us=now_us, known_at_us=now_us, source="gateway", step_s=step_us / US_PER_S)


def _timeless(state: TrackerState, now_us: int) -> Iterator[AnyFact]:
    """Holds of the sessions on caps that cooled before at a time that nobody knows, as long as the item is open."""
    for item in open_work(state.facts.of(WORK), WorkKind.TIME_UNKNOWN):
        for record in state.records.values():
            is_later = record.opened_us >= item.raised.at_us or record.token in state.sessions.going_on
            if record.cap == item.raised.cap and is_later and not record.done:
                yield from _held(state, record, HeldReason.TIME_UNKNOWN, now_us)


def _held(state: TrackerState, record: SessionRecord, reason: HeldReason, now_us: int) -> Iterator[AnyFact]:
    """A hold, unless it is in force or was lifted; of a session that waits only its lifts are sure to be in memory."""
    own = state.facts.of(("token", record.token))
    held = any(isinstance(fact, GatewayHold) and fact.hold is reason for fact in own)
    lifted = any(isinstance(fact, HoldLifted) and reason in fact.holds for fact in own)
    published = record.published is not None and reason in record.published.held
    if not (held or lifted or published):
        yield hold(record.token, reason, now_us)
