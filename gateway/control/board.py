"""The board of the suite: one view a chair, made of its session and of what its unit last said. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from drivers.reading import FaultKind
from gateway.control.act_context import SessionSnapshot
from gateway.control.answers import Answer
from gateway.messages.instants import rfc3339, rfc3339_or_none
from gateway.session.assessment import Phase
from gateway.session.facts import CapRef
from gateway.session.outcome import Missing, SessionRecord, SessionState
from gateway.session.review import ReviewContext
from gateway.session.spans import US_PER_S
from gateway.session.timeline import Lane, Timeline, timeline
from gateway.session.why import why
from gateway.telemetry.latest import LastAnswer, TrendPoint


class ChairState(StrEnum):
    """What a chair's tile says first."""

    FREE = "free"
    PRE_COOLING = "pre-cooling"
    INFUSION = "infusion"
    COUNTING = "counting"
    PAUSED = "paused"
    OFFLINE = "offline"  # a session goes on and nothing is read
    ENDED = "ended"
    DUE = "due"  # cooling has ended, and something is lacking for the charge


class ChairSession(msgspec.Struct, frozen=True, kw_only=True):
    """The session at a chair, without what identifies the patient. Instants are RFC 3339 text in UTC."""

    token: str
    phase: Phase
    since_us: int | None  # when the phase began
    started_at: str
    infusion_end: str | None
    units: int
    next_at: str | None  # when the next unit is due if cooling goes on; set while time counts
    lacks_s: float | None  # counted time that the next unit lacks; set while an infusion's end is known
    pause_limit_s: float
    bound: bool
    due: tuple[Missing, ...]  # lacking for the charge
    missing: tuple[Missing, ...]  # all that an auditor would ask for


class ChairView(msgspec.Struct, frozen=True, kw_only=True):
    """A chair, its unit's last reading and its session."""

    chair: str  # its name; the cap's where it hangs at no chair
    unit: str
    cap: int
    state: ChairState
    fault: FaultKind | None  # why the last poll gave no reading
    alarms: tuple[str, ...]  # of the machine
    observed_at: str | None  # the last reading; None: there was none since the start
    stale_after_s: float
    cap_c: float | None
    coolant_c: float | None
    connected: bool | None
    session: ChairSession | None


class BoardAnswer(Answer, frozen=True, kw_only=True):
    """To `board`: every chair, by name. `trends` has each chair's temperatures of the last hour, if asked for."""

    gateway: str
    mode: str
    now: str
    speed: float  # seconds of the gateway's clock in a second
    time_zone: str
    todo: int  # what waits for a person
    chairs: tuple[ChairView, ...]
    trends: Mapping[str, tuple[TrendPoint, ...]] | None = None


_STATES = {
    Phase.WAITING: ChairState.FREE,
    Phase.PRE_COOLING: ChairState.PRE_COOLING,
    Phase.INFUSION: ChairState.INFUSION,
    Phase.POST_INFUSION: ChairState.COUNTING,
    Phase.PAUSED: ChairState.PAUSED,
    Phase.OFFLINE: ChairState.OFFLINE,
    Phase.ENDED: ChairState.ENDED,
    Phase.FINALIZED: ChairState.FREE,
}


def chair_session(snapshot: SessionSnapshot, review: ReviewContext) -> tuple[CapRef, ChairSession]:
    """The session as its chair shows it, and the cap that served it last."""
    record, assessment, missing = snapshot.outcome.record, snapshot.outcome.assessment, snapshot.outcome.missing
    found, line = why(review), timeline(review)
    owed = _owed(infusion_ended=found.infusion_end_us is not None, cooling_ended=assessment.phase is Phase.ENDED)
    return line.cap or record.cap, ChairSession(
        token=record.token,
        phase=assessment.phase,
        since_us=_since_us(assessment.phase, line, found.infusion_end_us, assessment.stopped_us),
        started_at=rfc3339(record.opened_us),
        infusion_end=rfc3339_or_none(found.infusion_end_us),
        units=len(found.attained_us),
        next_at=rfc3339_or_none(line.next_us) if assessment.phase is Phase.POST_INFUSION else None,
        lacks_s=None if found.infusion_end_us is None else (found.needed_us - found.counted_us) / US_PER_S,
        pause_limit_s=record.policy.pause_tolerance_s,
        bound=bool(snapshot.patient),
        due=() if record.state is SessionState.FINAL else tuple(each for each in missing if each in owed),
        missing=missing,
    )


def unknown_session(record: SessionRecord) -> ChairSession:
    """A session that a defect keeps from being computed: what was published of it, shown as out of sight."""
    return ChairSession(
        token=record.token,
        phase=Phase.OFFLINE,
        since_us=None,
        started_at=rfc3339(record.opened_us),
        infusion_end=None,
        units=sum(not each.retracted for each in record.emitted),
        next_at=None,
        lacks_s=None,
        pause_limit_s=record.policy.pause_tolerance_s,
        bound=bool(record.patient),
        due=(),
        missing=(),
    )


def chair_view(
    chair: str, cap: CapRef, session: ChairSession | None, last: LastAnswer, stale_after_s: float
) -> ChairView:
    """The chair that `cap` hangs at."""
    state = ChairState.FREE if session is None else _STATES[session.phase]
    if state is ChairState.ENDED and session is not None and session.due:
        state = ChairState.DUE
    now = last.caps.get(cap.channel)
    return ChairView(
        chair=chair,
        unit=cap.device,
        cap=cap.channel,
        state=state,
        fault=last.fault,
        alarms=last.alarms,
        observed_at=rfc3339_or_none(last.observed_us),
        stale_after_s=stale_after_s,
        cap_c=now and now.now.cap_c,
        coolant_c=now and now.now.coolant_c,
        connected=now and now.connected,
        session=session,
    )


def shown_caps(caps: Iterable[CapRef], chairs: Mapping[str, CapRef]) -> dict[str, CapRef]:
    """The caps on the board, by the names of their chairs; by their own where the site names no chair at all."""
    return dict(sorted(chairs.items())) or {cap.name: cap for cap in sorted(caps)}


def _owed(*, infusion_ended: bool, cooling_ended: bool) -> tuple[Missing, ...]:
    """Without what a session's units are not charged, as far as it is due by now."""
    if cooling_ended:
        return Missing.PATIENT, Missing.INFUSION_END, Missing.ORDER, Missing.PREPARATION
    return (Missing.PATIENT, Missing.ORDER, Missing.PREPARATION) if infusion_ended else (Missing.PATIENT,)


def _since_us(phase: Phase, line: Timeline, infusion_end_us: int | None, stopped_us: int | None) -> int | None:
    match phase:
        case Phase.PRE_COOLING | Phase.WAITING:
            return line.from_us
        case Phase.INFUSION:
            return min((each.start_us for each in line.stretches if each.lane is Lane.INFUSION), default=line.from_us)
        case Phase.POST_INFUSION:
            return infusion_end_us
        case Phase.PAUSED:
            return line.paused_us
        case Phase.OFFLINE:
            return max((each.start_us for each in line.stretches if each.lane is Lane.UNKNOWN), default=None)
        case Phase.ENDED | Phase.FINALIZED:
            return stopped_us
