"""Converts the tracker's and the ledger's types into the views of control answers."""

from collections.abc import Iterable, Mapping
from datetime import tzinfo

import msgspec
from msgspec import UNSET, UnsetType

from gateway.control.act_context import SessionSnapshot
from gateway.control.answers import (
    Answer,
    ChargeView,
    CorrectionView,
    FactFields,
    FeedView,
    IncrementChangeView,
    IncrementView,
    InfusionEndView,
    IntervalView,
    KeptView,
    NewChargeView,
    OutboxView,
    PatientView,
    PolicyView,
    PurgeAnswer,
    SecondView,
    SessionAnswer,
    SessionChangeView,
    SessionsAnswer,
    SessionView,
    StretchView,
    WhyView,
    WorkView,
)
from gateway.control.screen import ScreenAnswer
from gateway.control.visits import VisitsAnswer
from gateway.ledger.access import Looked
from gateway.ledger.batch import Identity
from gateway.ledger.deliveries import Deliveries, Proof
from gateway.messages.instants import rfc3339, rfc3339_or_none
from gateway.monitoring.feed import FeedRow
from gateway.recording.retention import Swept
from gateway.session.assessment import Phase
from gateway.session.charges import uncredited_charges
from gateway.session.facts import AnyFact, HoldLifted, WorkKind
from gateway.session.increments import Change, Op
from gateway.session.infusion import InfusionEnd
from gateway.session.keys import increment_key, session_of
from gateway.session.outcome import Outcome, SessionRecord
from gateway.session.policy import Policy
from gateway.session.review import ReviewContext
from gateway.session.spans import US_PER_S
from gateway.session.why import why
from gateway.session.why_text import sentences
from gateway.session.wording import ENGLISH, Wording
from gateway.session.worklist import WorkItem


def session_view(
    snapshot: SessionSnapshot,
    record: SessionRecord,
    charges: tuple[ChargeView, ...],
    patient: PatientView | UnsetType | None,
    *,
    detailed: bool,
) -> SessionView:
    """The session; its increments as published in `record`."""
    outcome, assessment = snapshot.outcome, snapshot.outcome.assessment
    facts = sorted(snapshot.session.facts, key=lambda fact: (fact.at_us, fact.known_at_us))
    return SessionView(
        token=record.token,
        unit=record.cap.device,
        cap=record.cap.channel,
        caps=tuple(cap.name for cap in snapshot.caps),
        bound=bool(snapshot.patient),
        state=record.state,
        finalised=record.published is not None and record.published.finalised,
        phase=assessment.phase,
        started_at=rfc3339(record.opened_us),
        stopped_at=rfc3339_or_none(assessment.stopped_us),
        net_s=assessment.net_us / US_PER_S,
        increments=_increments(record),
        held=outcome.held,
        awaiting_second=tuple(snapshot.awaiting_second),
        flags=assessment.flags,
        missing=outcome.missing,
        charges=charges,
        corrections=_corrections(outcome),
        infusion_end=_infusion_end(assessment.infusion_end) if detailed else UNSET,
        intervals=tuple(
            IntervalView(from_=rfc3339(each.start_us), to=rfc3339(each.end_us), cap=each.cap.name)
            for each in assessment.intervals
        )
        if detailed
        else UNSET,
        person=(outcome.person or None) if detailed else UNSET,
        seconds=second_views(snapshot.awaiting_second) if detailed else UNSET,
        facts=tuple(map(_fact_fields, facts)) if detailed else UNSET,
        patient=patient,
    )


def unknown_session_view(record: SessionRecord) -> SessionView:
    """A session that a defect keeps from being computed: what was published of it, shown as out of sight."""
    return SessionView(
        token=record.token,
        unit=record.cap.device,
        cap=record.cap.channel,
        caps=(record.cap.name,),
        bound=bool(record.patient),
        state=record.state,
        finalised=record.published is not None and record.published.finalised,
        phase=Phase.OFFLINE,
        started_at=rfc3339(record.opened_us),
        stopped_at=None,
        net_s=0.0,
        increments=_increments(record),
        held=(),
        flags=(),
        missing=(),
        charges=(),
        corrections=(),
    )


def charge_views(record: SessionRecord, proofs: Mapping[str, Proof]) -> tuple[ChargeView, ...]:
    """The charges published in `record`; `proofs` has each one's delivery, by its key."""
    return tuple(
        ChargeView(charge=each.key, quantity=each.quantity, delivery=proofs.get(each.key, Proof.UNPROVEN))
        for each in uncredited_charges(record.charged)
    )


def _increments(record: SessionRecord) -> tuple[IncrementView, ...]:
    return tuple(
        IncrementView(
            increment=increment_key(record.token, each.index, each.revision), attained_at=rfc3339(each.attained_at_us)
        )
        for each in record.emitted
        if not each.retracted
    )


def second_views(waiting: Mapping[str, HoldLifted]) -> tuple[SecondView, ...]:
    """Who lifted what waits for a second person, by the code of the hold."""
    return tuple(
        SecondView(hold=code, person=lift.person, at=rfc3339(lift.known_at_us)) for code, lift in waiting.items()
    )


def session_change_view(outcome: Outcome) -> SessionChangeView:
    """What one outcome changed about a session."""
    token = outcome.record.token
    return SessionChangeView(
        session=token,
        happened=outcome.happened,
        state=outcome.record.state,
        phase=outcome.assessment.phase,
        increments=tuple(_increment_change(token, change) for change in outcome.changes),
        held=outcome.held,
        charges=tuple(
            NewChargeView(charge=each.key, quantity=each.quantity, reverses=each.reverses or None)
            for each in outcome.release.charges
        ),
        corrections=_corrections(outcome),
    )


def work_view(item: WorkItem, records: Iterable[SessionRecord]) -> WorkView:
    """A work item, with the tokens of those of `records` that it concerns; without patient identifiers."""
    raised = item.raised
    return WorkView(
        item=item.id,
        what=raised.what,
        since=rfc3339(raised.known_at_us),
        cap=raised.cap and raised.cap.name,
        order=raised.order or None,
        message=raised.msg,
        sessions=tuple(
            record.token
            for record in records
            if raised.cap == record.cap
            or (raised.what is WorkKind.UNIT_SHARED and raised.cap and raised.cap.device in record.units)
            or (raised.what is WorkKind.RECEIPTS_DISAGREE and record.token == session_of(raised.order))
            or (raised.patient and raised.patient == record.patient)
        ),
    )


def why_view(snapshot: SessionSnapshot, review: ReviewContext, zone: tzinfo, say: Wording = ENGLISH) -> WhyView:
    """Why the session has so many units, with times in `zone`."""
    record, held = snapshot.outcome.record, snapshot.outcome.held
    found = why(review)
    return WhyView(
        token=record.token,
        state=record.state,
        units=len(found.attained_us),
        counted_s=found.counted_us / US_PER_S,
        next_unit_s=found.needed_us / US_PER_S,
        obstacle=found.obstacle,
        infusion_end=rfc3339_or_none(found.infusion_end_us),
        ending=found.ending,
        ended_at=rfc3339_or_none(found.ended_us),
        stretches=tuple(
            StretchView(from_=rfc3339(each.start_us), to=rfc3339(each.end_us), cause=each.cause, reason=each.reason)
            for each in found.stretches
        ),
        held=held,
        sentences=tuple(sentences(found, held, record.policy, zone, say)),
    )


def feed_view(row: FeedRow) -> FeedView:
    """A row of the feed, with its instant as text."""
    return FeedView(
        sender=row.sender,
        type=row.type,
        result=row.result,
        code=row.code,
        today=row.today,
        late_today=row.late_today,
        since_start=row.since_start,
        last_id=row.last_id,
        last_at=rfc3339(row.last_us),
    )


def identified(answer: Answer) -> tuple[Looked, tuple[str, ...]]:
    """In what the answer shows identifiers of patients, and in which sessions; of a list none: it shows none."""
    match answer:
        case SessionAnswer() | ScreenAnswer():
            looked, sessions = Looked.SESSION, (answer.session,)
        case SessionsAnswer():
            looked, sessions = Looked.LIST, answer.sessions
        case VisitsAnswer() if answer.visits:
            looked, sessions = Looked.VISITS, ()
        case _:
            looked, sessions = Looked.LIST, ()
    return looked, tuple(each.token for each in sessions if isinstance(each.patient, PatientView))


def patient_view(identity: Identity) -> PatientView:
    """A patient's identifiers, for requests with `identify`."""
    return PatientView(visit=identity.visit, mrn=identity.mrn or None, account=identity.account or None)


def policy_view(policy: Policy) -> PolicyView:
    """A policy by what identifies it."""
    return PolicyView(
        name=policy.name,
        revision=policy.revision,
        effective=policy.effective.isoformat(),
        approved_by=policy.approved_by,
    )


def outbox_view(deliveries: Deliveries, *, receipts_expected: bool) -> OutboxView:
    """The counts of messages that the engine has not acknowledged."""
    return OutboxView(
        delivery="by receipt" if receipts_expected else "unproven",
        pending=deliveries.pending + deliveries.stored,
        unproven=deliveries.unproven,
        rejected=deliveries.rejected,
    )


def purge_answer(swept: Swept, *, dry_run: bool) -> PurgeAnswer:
    """What a sweep purged, or would."""
    return PurgeAnswer(
        dry_run=dry_run,
        identifiers=swept.identifiers,
        messages=swept.messages,
        texts=swept.texts,
        copies=swept.copies,
        kept=tuple(KeptView(session=each.session, why=each.why) for each in swept.kept),
        complete=swept.complete,
    )


def fact_kind(fact: AnyFact) -> str:
    """The fact's tag in JSON, as in `infusion_ended`."""
    return str(fact.__struct_config__.tag)


def _fact_fields(fact: AnyFact) -> FactFields:
    return {**msgspec.to_builtins(fact), "at": rfc3339(fact.at_us)}


def _infusion_end(end: InfusionEnd | None) -> InfusionEndView | None:
    return end and InfusionEndView(at=rfc3339(end.at_us), order=end.order, source=end.source)


def _corrections(outcome: Outcome) -> tuple[CorrectionView, ...]:
    return tuple(
        CorrectionView(
            charge=item.charge,
            charged=item.charged,
            counted=item.counted,
            reason=item.reason,
            refused=item.refused,
        )
        for item in outcome.release.items
    )


def _increment_change(token: str, change: Change) -> IncrementChangeView:
    return IncrementChangeView(
        op=change.op,
        increment=increment_key(token, change.index, change.revision),
        attained_at=None if change.op is Op.RETRACT else rfc3339(change.attained_at_us),
        was=rfc3339_or_none(change.was_us),
    )
