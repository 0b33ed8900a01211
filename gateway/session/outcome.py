"""The outcome of assessing one session: what changed since it was last published, with the evidence. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from drivers.reading import Evidence
from gateway.session.assessment import Assessment, Phase
from gateway.session.attribution import Session
from gateway.session.charges import Charge, uncredited_charges
from gateway.session.corrections import Account, CorrectionItem
from gateway.session.facts import (
    AnyFact,
    CapIdentified,
    CapRef,
    CoolingStarted,
    PreparationCharted,
    SessionFinalized,
    ToleranceChecked,
)
from gateway.session.flags import Flag, HeldReason
from gateway.session.increments import Change, Emitted, Op, fold, reconcile
from gateway.session.policy import Policy
from gateway.session.release import (
    Release,
    ReleaseState,
    explanation,
    gateway_holds,
    is_lost,
    lacks_end,
    may_count,
    release,
)
from gateway.session.review import order_found
from gateway.session.spans import FOREVER, US_PER_S


class SessionState(StrEnum):
    """The life cycle state of a session: exactly one of these, and no age changes it."""

    OPEN = "open"  # cooling goes on or may; or the session awaits a signature or the end of the policy's window
    INCOMPLETE = "incomplete"  # cooling is over and long enough to count; patient or infusion end are unknown
    HELD = "held"  # cooling is over, and a person or evidence is needed
    RELEASED = "released"  # charged, if any increment is attained
    EXPLAINED = "explained"  # a person stated why nothing is charged
    FINAL = "final"  # nothing can be charged: cooling was too short, or proved to be another patient's


class SessionChange(StrEnum):
    """What happened to a session."""

    OPENED = "opened"
    BOUND = "bound"
    FLAGGED = "flagged"
    PHASE = "phase"
    CLOSED = "closed"
    FINALISED = "finalised"
    RELEASE = "release"  # in another state, or held for other reasons
    CORRECTION = "correction"  # what was charged is in question, or was settled


class Missing(StrEnum):
    """Documentation that a session lacks: what an auditor would ask for."""

    PATIENT = "patient"
    INFUSION_END = "infusion-end"
    ORDER = "order"
    SERIAL_NUMBER = "serial-number"
    PREPARATION = "preparation"
    TOLERANCE_CHECK = "tolerance-check"
    CAP_IDENTIFIER = "cap-identifier"
    PREPARATION_REASSIGNED = "preparation-reassigned"  # charted for the patient before the session was reassigned


class Published(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a session as last published, besides its increments."""

    phase: Phase
    flags: tuple[Flag, ...] = ()
    patient: str = ""
    closed: bool = False
    finalised: bool = False
    release: ReleaseState = ReleaseState.PROVISIONAL
    held: tuple[HeldReason, ...] = ()
    corrections: tuple[CorrectionItem, ...] = ()
    recorded_state: SessionState | None = msgspec.field(name="state", default=None)  # None: by an earlier version

    @property
    def state(self) -> SessionState:
        """The session's state."""
        if self.recorded_state is not None:
            return self.recorded_state
        if self.finalised and self.release is ReleaseState.RELEASED:
            return SessionState.RELEASED
        if self.closed and self.phase is Phase.WAITING:
            return SessionState.FINAL
        held = self.release is ReleaseState.HELD and (self.closed or self.finalised)
        return SessionState.HELD if held else SessionState.OPEN

    @property
    def done(self) -> bool:
        """Whether nothing more happens to the session unless a new fact concerns it."""
        if any(not item.refused for item in self.corrections):
            return False
        match self.state:
            case SessionState.RELEASED | SessionState.EXPLAINED | SessionState.FINAL:
                return True
            case SessionState.HELD:
                return self.held == (HeldReason.DRY_RUN,)  # it would have been charged
            case SessionState.OPEN | SessionState.INCOMPLETE:
                return False


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One session in the tracker's state: what was published of it, and when it needs assessing again."""

    token: str
    cap: CapRef
    policy: Policy  # pinned when it was opened
    opened_us: int
    emitted: tuple[Emitted, ...] = ()
    charged: tuple[Charge, ...] = ()  # charges and credits, in order
    published: Published | None = None
    units: frozenset[str] = frozenset()  # the units that its caps belong to
    watched: frozenset[str] = frozenset()  # units whose readings can change it
    due_us: int = FOREVER  # it must be assessed again once a watched unit is observed until here
    wake_us: int = FOREVER  # it must be assessed again at this instant, whatever is observed

    @property
    def patient(self) -> str:
        """The session's patient; "" while unknown."""
        return "" if self.published is None else self.published.patient

    @property
    def state(self) -> SessionState:
        """The session's state as last published; OPEN before that."""
        return SessionState.OPEN if self.published is None else self.published.state

    @property
    def done(self) -> bool:
        """Whether nothing more happens to it unless a new fact concerns it; no age makes that so."""
        return self.published is not None and self.published.done

    @property
    def awake(self) -> bool:
        """Whether time or a reading can change it."""
        return bool(self.watched) or self.wake_us < FOREVER

    @property
    def open(self) -> bool:
        """Whether cooling may still go on."""
        return self.published is None or not (self.published.closed or self.published.finalised)


class Outcome(msgspec.Struct, frozen=True):
    """What a step changed about one session, with the evidence."""

    record: SessionRecord
    assessment: Assessment
    changes: tuple[Change, ...]
    happened: tuple[SessionChange, ...]
    phase_before: Phase | None
    release: Release
    evidence: Evidence  # the weakest proof of circulation
    missing: tuple[Missing, ...]
    person: str  # who finalised it

    @property
    def held(self) -> tuple[HeldReason, ...]:
        """The reasons why its increments are not released."""
        return self.release.reasons

    @property
    def news(self) -> bool:
        """Whether there is anything to publish."""
        return bool(self.changes or self.happened or self.release.charges)

    @property
    def revises(self) -> bool:
        """Whether it retracts or amends an increment, or credits a charge, that was published."""
        moved = any(change.op is not Op.EMIT for change in self.changes)
        return moved or any(charge.reverses for charge in self.release.charges)


def outcome(
    session: Session, record: SessionRecord, assessment: Assessment, observed: Mapping[str, int], now_us: int
) -> Outcome:
    """The changes between `record` and `assessment` of `session` at `now_us`."""
    own_holds = gateway_holds(session.facts, record.policy, record.token)
    changes = (
        () if HeldReason.START_DISAGREES in own_holds else reconcile(record.emitted, assessment.increments, now_us)
    )
    emitted = fold(record.emitted, changes)
    idle_us = record.policy.session_idle_s * US_PER_S
    closes_us = FOREVER if assessment.stopped_us is None else assessment.stopped_us + idle_us
    finalises_us = FOREVER if assessment.finalised_us is None else assessment.finalised_us
    finalised = finalises_us <= now_us
    never_cooled = assessment.started_us is None  # its cooling turned out to be another patient's
    closed = closes_us <= now_us or finalised or never_cooled
    items = () if record.published is None else record.published.corrections
    account = Account(record.token, record.charged, items)
    released = release(assessment, session.facts, record.policy, session.patient, emitted, account, own_holds, now_us)
    over = (closed or is_lost(assessment, record.policy, now_us)) and not assessment.watched
    published = Published(
        assessment.phase,
        assessment.flags,
        session.patient,
        closed,
        finalised,
        released.state,
        released.reasons,
        released.items,
        _state(session, record, assessment, released, own_holds) if over else SessionState.OPEN,
    )
    happened = tuple(_happened(record, published, released))
    lost_us = FOREVER if assessment.lost_us is None else assessment.lost_us + idle_us
    wakes_us = () if published.done else (closes_us, lost_us, finalises_us)
    until_us = min((now_us, *(observed.get(unit, 0) for unit in assessment.watched)))
    coming = [assessment.next_attainment_us, assessment.infusion_end and assessment.infusion_end.at_us]
    after = msgspec.structs.replace(
        record,
        emitted=emitted,
        charged=(*record.charged, *released.charges),
        published=published if happened else record.published,
        units=frozenset(cap.device for cap in assessment.caps),
        watched=assessment.watched,
        due_us=min((at_us for at_us in coming if at_us is not None and at_us > until_us), default=FOREVER),
        wake_us=min((at_us for at_us in wakes_us if at_us > now_us), default=FOREVER),
    )
    return Outcome(
        record=after,
        assessment=assessment,
        changes=changes,
        happened=happened,
        phase_before=None if record.published is None else record.published.phase,
        release=released,
        evidence=_weakest(session.facts),
        missing=tuple(_missing(session, assessment)),
        person=next((fact.person for fact in session.facts if isinstance(fact, SessionFinalized)), ""),
    )


def _happened(record: SessionRecord, now: Published, released: Release) -> Iterator[SessionChange]:
    before = record.published
    if before is None:
        yield SessionChange.OPENED
        before = Published(now.phase)
    if now.patient != before.patient:
        yield SessionChange.BOUND
    if now.flags != before.flags:
        yield SessionChange.FLAGGED
    if now.phase is not before.phase:
        yield SessionChange.PHASE
    if now.closed and not before.closed:
        yield SessionChange.CLOSED
    if now.finalised and not before.finalised:
        yield SessionChange.FINALISED
    elif _state_changed(before, now):
        yield SessionChange.RELEASE
    if now.corrections != before.corrections or (record.charged and released.charges):
        yield SessionChange.CORRECTION


def _state_changed(before: Published, now: Published) -> bool:
    """Whether state or holds changed, apart from what the closing of an open session changes."""
    if before.finalised or before.state is not SessionState.OPEN:
        return (now.state, now.release, now.held) != (before.state, before.release, before.held)
    return now.state is not before.state and now.closed == before.closed


def _state(
    session: Session,
    record: SessionRecord,
    assessment: Assessment,
    released: Release,
    own_holds: Collection[HeldReason],
) -> SessionState:
    """The state of a session whose cooling is over."""
    if any(hold is not HeldReason.CLOCK_WRONG for hold in own_holds):  # that one waits for an explanation alone
        return SessionState.HELD
    said = explanation(session.facts)
    if said is not None and HeldReason.EXPLAINED in released.reasons and len(assessment.increments) <= said.units:
        return SessionState.EXPLAINED
    log = (*record.charged, *released.charges)
    if not may_count(assessment, record.policy):
        if not log:
            return SessionState.FINAL
    elif not uncredited_charges(log) and (not session.patient or lacks_end(assessment, record.policy)):
        return SessionState.INCOMPLETE
    match released.state:
        case ReleaseState.HELD:
            return SessionState.HELD
        case ReleaseState.RELEASED:
            return SessionState.RELEASED
        case ReleaseState.PROVISIONAL:
            return SessionState.OPEN


def _weakest(facts: Iterable[AnyFact]) -> Evidence:
    proofs = [Evidence(fact.evidence) for fact in facts if isinstance(fact, CoolingStarted) and fact.evidence]
    return min(proofs, key=lambda evidence: evidence.strength, default=Evidence.NONE)


_CHARTED = {
    PreparationCharted: Missing.PREPARATION,
    ToleranceChecked: Missing.TOLERANCE_CHECK,
    CapIdentified: Missing.CAP_IDENTIFIER,
}


def _missing(session: Session, assessment: Assessment) -> Iterator[Missing]:
    if not session.patient:
        yield Missing.PATIENT
    if assessment.infusion_end is None:
        yield Missing.INFUSION_END
    if not order_found(session.facts):
        yield Missing.ORDER
    if {cap.device for cap in assessment.caps} - set(assessment.serial_numbers):
        yield Missing.SERIAL_NUMBER
    for kind, missing in _CHARTED.items():
        if not any(isinstance(fact, kind) for fact in session.facts):
            yield missing
            if missing is Missing.PREPARATION and session.prepared_before:
                yield Missing.PREPARATION_REASSIGNED
