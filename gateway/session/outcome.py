"""One session looked at: what changed since it was last told of, and the evidence for it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from drivers.reading import Evidence
from gateway.session.binding import Session
from gateway.session.facts import AnyFact, CapRef, CoolingStarted, SessionFinalized
from gateway.session.flags import Flag, HeldReason
from gateway.session.increments import LAST_REVISION, Change, Emitted, fold, reconcile
from gateway.session.policy import Policy
from gateway.session.review import order_found
from gateway.session.spans import FOREVER, US_PER_S
from gateway.session.tracker import Assessment, Phase


class SessionChange(StrEnum):
    """What happened to a session."""

    OPENED = "opened"
    BOUND = "bound"
    FLAGGED = "flagged"
    PHASE = "phase"
    CLOSED = "closed"
    FINALISED = "finalised"


class Missing(StrEnum):
    """Documentation that a session lacks."""

    PATIENT = "patient"
    INFUSION_END = "infusion-end"
    ORDER = "order"
    SERIAL_NUMBER = "serial-number"


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was last told of a session, besides its increments."""

    phase: Phase
    flags: tuple[Flag, ...] = ()
    patient: str = ""
    closed: bool = False
    finalised: bool = False


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One session in the ward: what was told of it, and when it needs to be looked at again."""

    token: str
    cap: CapRef
    policy: Policy  # pinned when it was opened
    opened_us: int
    emitted: tuple[Emitted, ...] = ()
    told: Told | None = None
    watched: frozenset[str] = frozenset()  # units whose readings move it on
    due_us: int = FOREVER  # the reading that passes this instant changes something
    wake_us: int = FOREVER  # so does this instant itself

    @property
    def patient(self) -> str:
        """Whose session it is; "" while nobody knows."""
        return "" if self.told is None else self.told.patient

    @property
    def open(self) -> bool:
        """Whether cooling may still go on."""
        return self.told is None or not (self.told.closed or self.told.finalised)


class Outcome(msgspec.Struct, frozen=True):
    """What a step changed about one session, with the evidence."""

    record: Record
    assessment: Assessment
    changes: tuple[Change, ...]
    happened: tuple[SessionChange, ...]
    phase_before: Phase | None
    held: tuple[HeldReason, ...]
    evidence: Evidence  # the weakest proof of circulation
    missing: tuple[Missing, ...]
    person: str  # who finalised it


def outcome(
    session: Session, record: Record, assessment: Assessment, observed: Mapping[str, int], now_us: int
) -> Outcome:
    """What `assessment` of `session` at `now_us` changes about `record`."""
    changes = reconcile(record.emitted, assessment.increments, now_us)
    emitted = fold(record.emitted, changes)
    idle_us = record.policy.session_idle_s * US_PER_S
    closes_us = FOREVER if assessment.stopped_us is None else assessment.stopped_us + idle_us
    finalises_us = FOREVER if assessment.finalised_us is None else assessment.finalised_us
    finalised = finalises_us <= now_us
    never_cooled = assessment.started_us is None  # its cooling turned out to be another's
    closed = closes_us <= now_us or finalised or never_cooled
    told = Told(assessment.phase, assessment.flags, session.patient, closed, finalised)
    until_us = min((now_us, *(observed.get(unit, 0) for unit in assessment.watched)))
    coming = [assessment.next_attainment_us, assessment.infusion_end and assessment.infusion_end.at_us]
    after = msgspec.structs.replace(
        record,
        emitted=emitted,
        told=told,
        watched=assessment.watched,
        due_us=min((at_us for at_us in coming if at_us is not None and at_us > until_us), default=FOREVER),
        wake_us=min((at_us for at_us in (closes_us, finalises_us) if at_us > now_us), default=FOREVER),
    )
    return Outcome(
        record=after,
        assessment=assessment,
        changes=changes,
        happened=tuple(_happened(record.told, told)),
        phase_before=None if record.told is None else record.told.phase,
        held=tuple(_held(session, assessment, emitted)),
        evidence=_weakest(session.facts),
        missing=tuple(_missing(session, assessment)),
        person=next((fact.person for fact in session.facts if isinstance(fact, SessionFinalized)), ""),
    )


def _happened(before: Told | None, now: Told) -> Iterator[SessionChange]:
    if before is None:
        yield SessionChange.OPENED
        before = Told(now.phase)
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


def _held(session: Session, assessment: Assessment, emitted: Iterable[Emitted]) -> Iterator[HeldReason]:
    if not session.patient:
        yield HeldReason.UNBOUND
    yield from assessment.held
    if any(each.revision == LAST_REVISION for each in emitted):
        yield HeldReason.REVISIONS_EXHAUSTED


def _weakest(facts: Iterable[AnyFact]) -> Evidence:
    proofs = [Evidence(fact.evidence) for fact in facts if isinstance(fact, CoolingStarted) and fact.evidence]
    return min(proofs, key=lambda evidence: evidence.strength, default=Evidence.NONE)


def _missing(session: Session, assessment: Assessment) -> Iterator[Missing]:
    if not session.patient:
        yield Missing.PATIENT
    if assessment.infusion_end is None:
        yield Missing.INFUSION_END
    if not order_found(session.facts):
        yield Missing.ORDER
    if {cap.device for cap in assessment.caps} - set(assessment.serial_numbers):
        yield Missing.SERIAL_NUMBER
