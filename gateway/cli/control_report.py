"""Renders control answers as text."""

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo
from typing import assert_never
from zoneinfo import ZoneInfo

from gateway.cli.fact_fields import fact_fields
from gateway.control.answers import (
    ActAnswer,
    ChargeView,
    CorrectionView,
    DoneAnswer,
    FeedAnswer,
    LocalAnswer,
    NewChargeView,
    PolicyView,
    RefusalAnswer,
    SessionAnswer,
    SessionChangeView,
    SessionsAnswer,
    SessionView,
    StatusAnswer,
    WhyAnswer,
    WorklistAnswer,
    WorkView,
)
from gateway.ledger.deliveries import Proof
from gateway.runtime.logs import escaped
from gateway.session.local_time import localized

ShownAnswer = (
    StatusAnswer | SessionsAnswer | SessionAnswer | WorklistAnswer | WhyAnswer | FeedAnswer | DoneAnswer | ActAnswer
)

SECOND = "waits for a second person"


def answer_text(answer: ShownAnswer | RefusalAnswer) -> str:
    """The answer as lines of text, in local time, without control characters."""
    zone = ZoneInfo(answer.time_zone) if isinstance(answer, LocalAnswer) else UTC
    return "\n".join(map(escaped, _lines(answer, zone)))


def _lines(answer: ShownAnswer | RefusalAnswer, zone: tzinfo) -> Iterator[str]:
    match answer:
        case RefusalAnswer():
            yield f"refused: {answer.error}"
            yield f"accepted: {answer.accepted}"
        case DoneAnswer():
            yield answer.done
        case StatusAnswer():
            yield from _status(answer)
        case WorklistAnswer() | WhyAnswer() | FeedAnswer() | SessionsAnswer():
            yield from _listing(answer, zone)
        case SessionAnswer():
            yield from _summary(answer.session)
            yield from _details(answer.session, zone)
        case ActAnswer():
            yield f"recorded: {', '.join(answer.recorded)}"
            for changed in answer.changed:
                yield from _changes(changed, zone)
            if not answer.changed:
                yield "counts and states stay as they are"
            if answer.awaiting_second:
                yield f"{SECOND}: {', '.join(answer.awaiting_second)}"
        case _:
            assert_never(answer)


def _status(answer: StatusAnswer) -> Iterator[str]:
    at = localized(answer.now, ZoneInfo(answer.time_zone) if answer.time_zone else UTC)
    yield f"gateway {answer.gateway} of {answer.site}, {answer.mode}, version {answer.software}, {at}"
    yield f"units: {', '.join(answer.units) or 'none'}"
    yield f"{_counted(answer.open, 'session')} not done"
    yield f"in force: {_policy(answer.policy)}"
    for policy in answer.next_policies:
        yield f"from {policy.effective} on: {_policy(policy)}"
    out = answer.outbox
    yield f"delivery {out.delivery}: {out.rejected} rejected, {out.pending} pending, {out.unproven} unproven"


def _policy(policy: PolicyView) -> str:
    approved = f"approved by {policy.approved_by}" if policy.approved_by else "approved by NOBODY, increments are held"
    return f"policy {policy.name} revision {policy.revision}, {approved}"


def _listing(answer: WorklistAnswer | WhyAnswer | FeedAnswer | SessionsAnswer, zone: tzinfo) -> Iterator[str]:
    match answer:
        case WorklistAnswer():
            yield from (_work(work, zone) for work in answer.work)
            if not answer.work:
                yield "nothing to look at"
        case WhyAnswer():
            for why in answer.sessions:
                yield from (f"{why.token}  {why.state}", *(f"  {sentence}" for sentence in why.sentences))
        case FeedAnswer():
            yield from _feed(answer, zone)
        case SessionsAnswer():
            for session in answer.sessions:
                yield from _summary(session)
            if not answer.sessions:
                yield "no session"


def _feed(answer: FeedAnswer, zone: tzinfo) -> Iterator[str]:
    for row in answer.feed:
        result = f"{row.result} ({row.code})" if row.code else row.result
        late = f", {row.late_today} late" if row.late_today else ""
        yield f"{row.sender}  {row.type}  {result}: {row.today} today{late}, {row.since_start} since the start"
        yield f"  last {localized(row.last_at, zone)} {row.last_id}".rstrip()
    since = localized(answer.since, zone)
    yield f"the gateway started {since}" if answer.feed else f"no message since the start, {since}"


def _work(work: WorkView, zone: tzinfo) -> str:
    about = [work.cap, work.order and f"order {work.order}", *work.sessions, work.message and f"by {work.message}"]
    return f"{work.item}  {localized(work.since, zone)}  {work.what}: {', '.join(filter(None, about))}"


def _summary(session: SessionView) -> Iterator[str]:
    counted = _counted(len(session.increments), "increment")
    whose = session.patient.visit if session.patient else "bound" if session.bound else "nobody's"
    yield "  ".join((session.token, ", ".join(session.caps), session.phase, counted, whose, session.state))
    named = (
        ("held", session.held),
        (SECOND, session.awaiting_second),
        ("missing", session.missing),
        ("flags", session.flags),
    )
    for name, codes in named:
        if codes:
            yield f"  {name}: {', '.join(codes)}"
    yield from map(_charge, session.charges)
    yield from _corrections(session.corrections)


def _charge(charge: ChargeView) -> str:
    unproven = charge.delivery is Proof.UNPROVEN
    delivery = "delivery unproven" if unproven else charge.delivery
    return f"  charge {charge.charge}, {_counted(charge.quantity, 'unit')}, {delivery}"


def _new_charge(charge: NewChargeView) -> str:
    units = _counted(charge.quantity, "unit")
    if charge.reverses:
        return f"  credit {charge.charge} of {charge.reverses}, {units}"
    return f"  charge {charge.charge}, {units}"


def _corrections(corrections: Iterable[CorrectionView]) -> Iterator[str]:
    for item in corrections:
        verdict = "refused" if item.refused else "to be decided"
        yield f"  in question: {item.charge}, {item.charged} charged, {item.counted} counted ({item.reason}), {verdict}"


def _details(session: SessionView, zone: tzinfo) -> Iterator[str]:
    patient, end = session.patient, session.infusion_end
    if patient:
        yield f"  patient: visit {patient.visit}, mrn {patient.mrn or '-'}, account {patient.account or '-'}"
    stopped = "now" if session.stopped_at is None else localized(session.stopped_at, zone)
    yield f"  cooling: {localized(session.started_at, zone)} to {stopped}"
    if end:
        yield f"  infusion end: {localized(end.at, zone)}, order {end.order}, by {end.source}"
    yield f"  counted: {session.net_s / 60:.1f} min"
    for interval in session.intervals or ():
        yield f"    {localized(interval.from_, zone)} to {localized(interval.to, zone)} on {interval.cap}"
    for increment in session.increments:
        yield f"  {increment.increment} attained at {localized(increment.attained_at, zone)}"
    if session.person:
        yield f"  finalised by {session.person}"
    for fact in session.facts or ():
        shown = ", ".join(f"{name} {value}" for name, value in fact_fields(fact, zone) if not isinstance(value, dict))
        yield f"  {localized(str(fact['at']), zone)} {fact['fact']}" + (f": {shown}" if shown else "")


def _changes(changed: SessionChangeView, zone: tzinfo) -> Iterator[str]:
    happened = ", ".join(changed.happened) or "no change but in its increments"
    yield f"{changed.session}: {happened}; phase {changed.phase}, {changed.state}"
    for change in changed.increments:
        instant = f"attained at {localized(change.attained_at, zone)}" if change.attained_at else "taken back"
        before = f", before: {localized(change.was, zone)}" if change.was else ""
        yield f"  {change.op} {change.increment}, {instant}{before}"
    if changed.held:
        yield f"  held: {', '.join(changed.held)}"
    yield from map(_new_charge, changed.charges)
    yield from _corrections(changed.corrections)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
