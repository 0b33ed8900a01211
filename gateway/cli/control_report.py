"""Renders control answers as text."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from gateway.control.answers import (
    ActAnswer,
    ChargeView,
    CorrectionView,
    DoneAnswer,
    FeedAnswer,
    NewChargeView,
    RefusalAnswer,
    SessionAnswer,
    SessionChangeView,
    SessionsAnswer,
    SessionView,
    WhyAnswer,
    WorklistAnswer,
    WorkView,
)
from gateway.ledger.deliveries import Proof
from gateway.runtime.logs import escaped

ShownAnswer = SessionsAnswer | SessionAnswer | WorklistAnswer | WhyAnswer | FeedAnswer | DoneAnswer | ActAnswer


def answer_text(answer: ShownAnswer | RefusalAnswer) -> str:
    """The answer as lines of text, without control characters."""
    return "\n".join(map(escaped, _lines(answer)))


def _lines(answer: ShownAnswer | RefusalAnswer) -> Iterator[str]:
    match answer:
        case RefusalAnswer():
            yield f"refused: {answer.error}"
            yield f"accepted: {answer.accepted}"
        case DoneAnswer():
            yield answer.done
        case WorklistAnswer() | WhyAnswer() | FeedAnswer() | SessionsAnswer():
            yield from _listing(answer)
        case SessionAnswer():
            yield from _summary(answer.session)
            yield from _details(answer.session)
        case ActAnswer():
            yield f"recorded: {', '.join(answer.recorded)}"
            for changed in answer.changed:
                yield from _changes(changed)
            if not answer.changed:
                yield "counts and states stay as they are"
        case _:
            assert_never(answer)


def _listing(answer: WorklistAnswer | WhyAnswer | FeedAnswer | SessionsAnswer) -> Iterator[str]:
    match answer:
        case WorklistAnswer():
            yield from map(_work, answer.work)
            if not answer.work:
                yield "nothing to look at"
        case WhyAnswer():
            for why in answer.sessions:
                yield from (f"{why.token}  {why.state}", *(f"  {sentence}" for sentence in why.sentences))
        case FeedAnswer():
            yield from _feed(answer)
        case SessionsAnswer():
            for session in answer.sessions:
                yield from _summary(session)
            if not answer.sessions:
                yield "no session"


def _feed(answer: FeedAnswer) -> Iterator[str]:
    for row in answer.feed:
        result = f"{row.result} ({row.code})" if row.code else row.result
        late = f", {row.late_today} late" if row.late_today else ""
        yield f"{row.sender}  {row.type}  {result}: {row.today} today{late}, {row.since_start} since the start"
        yield f"  last {row.last_at} {row.last_id}".rstrip()
    yield f"the gateway started {answer.since}" if answer.feed else f"no message since the start, {answer.since}"


def _work(work: WorkView) -> str:
    about = [work.cap, work.order and f"order {work.order}", *work.sessions, work.message and f"by {work.message}"]
    return f"{work.item}  {work.since}  {work.what}: {', '.join(filter(None, about))}"


def _summary(session: SessionView) -> Iterator[str]:
    counted = _counted(len(session.increments), "increment")
    whose = session.patient.visit if session.patient else "bound" if session.bound else "nobody's"
    yield "  ".join((session.token, ", ".join(session.caps), session.phase, counted, whose, session.state))
    for name, codes in (("held", session.held), ("missing", session.missing), ("flags", session.flags)):
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


def _details(session: SessionView) -> Iterator[str]:
    patient, end = session.patient, session.infusion_end
    if patient:
        yield f"  patient: visit {patient.visit}, mrn {patient.mrn or '-'}, account {patient.account or '-'}"
    yield f"  cooling: {session.started_at} to {session.stopped_at or 'now'}"
    if end:
        yield f"  infusion end: {end.at}, order {end.order}, by {end.source}"
    yield f"  counted: {session.net_s / 60:.1f} min"
    for interval in session.intervals or ():
        yield f"    {interval.from_} to {interval.to} on {interval.cap}"
    for increment in session.increments:
        yield f"  {increment.increment} attained at {increment.attained_at}"
    if session.person:
        yield f"  finalised by {session.person}"
    for fact in session.facts or ():
        shown = ", ".join(
            f"{name} {value}"
            for name, value in fact.items()
            if name not in ("fact", "at", "at_us", "known_at_us", "policy") and not isinstance(value, dict)
        )
        yield f"  {fact['at']} {fact['fact']}" + (f": {shown}" if shown else "")


def _changes(changed: SessionChangeView) -> Iterator[str]:
    happened = ", ".join(changed.happened) or "no change but in its increments"
    yield f"{changed.session}: {happened}; phase {changed.phase}, {changed.state}"
    for change in changed.increments:
        instant = f"attained at {change.attained_at}" if change.attained_at else "taken back"
        yield f"  {change.op} {change.increment}, {instant}" + (f", before: {change.was}" if change.was else "")
    if changed.held:
        yield f"  held: {', '.join(changed.held)}"
    yield from map(_new_charge, changed.charges)
    yield from _corrections(changed.corrections)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
