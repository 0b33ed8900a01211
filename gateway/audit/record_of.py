"""Makes the record of a session from its ledger."""

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from drivers.reading import Evidence
from gateway.audit.export import Bundle, gather
from gateway.audit.listing import placed_in, sessions_of_visit
from gateway.audit.reconcile import Placed
from gateway.audit.record import (
    Answered,
    CapUse,
    ChainPart,
    LoggedChange,
    NotedFact,
    OrderedAgain,
    Record,
    RecordedUnit,
    Sent,
    SentCharge,
)
from gateway.audit.sessions import RecordedSession
from gateway.ledger import policies, reads
from gateway.ledger.bodies import ReceiptBody, ResendBody, change_of, charge_of, delivery_of, event_of
from gateway.ledger.deliveries import SENT, events
from gateway.ledger.entry import EntryKind
from gateway.ledger.errors import LedgerDamaged, LedgerError, UnknownSession
from gateway.messages.notation import Mode
from gateway.session.assessment import review_of
from gateway.session.cooling import CapTime
from gateway.session.facts import (
    AnyFact,
    CoolingStarted,
    ObservedUntil,
    SessionOpened,
    UnitsObserved,
    UnitSwapped,
)
from gateway.session.increments import Emitted, Increment, after
from gateway.session.keys import increment_key
from gateway.session.why import why


class _Data(msgspec.Struct):
    mode: Mode


class _Event(msgspec.Struct):
    data: _Data


def session_named(connection: sqlite3.Connection, name: str) -> str:
    """The token of the session that `name` is the token or the visit of. Raises UnknownSession, LedgerDamaged."""
    if reads.session_due(connection, name) is not None:
        return name
    tokens = [recorded.token for recorded in sessions_of_visit(connection, name)]
    match tokens:
        case [token]:
            return token
        case []:
            raise UnknownSession(f"no session {name} in this ledger, and no session of such a visit")
        case _:
            raise UnknownSession(f"the visit has several sessions; accepted: one of {', '.join(tokens)}")


def record_of(connection: sqlite3.Connection, token: str, *, identify: bool) -> Record:
    """The session's record, with its patient's identifiers if asked to. Raises UnknownSession, LedgerDamaged."""
    try:
        return _record_of(connection, token, identify=identify)
    except LedgerError:
        raise
    except Exception as error:  # a damaged ledger may hold anything
        raise LedgerDamaged(f"session {token} cannot be followed ({error!r}); verify the ledger") from error


def _record_of(connection: sqlite3.Connection, token: str, *, identify: bool) -> Record:
    bundle = gather(connection, token, identify=identify)
    recorded = bundle.recorded
    counted, policy, published = recorded.counted, recorded.policy, recorded.published
    assessment, facts = counted.outcome.assessment, counted.session.facts
    review = review_of(facts, policy, counted.until_us, counted.observed)
    swaps = tuple(_swaps(connection, recorded))
    placed = placed_in(connection, recorded)
    units = tuple(_units(token, recorded.increments, assessment.increments))
    return Record(
        gateway=bundle.gateway,
        epoch=bundle.epoch,
        session=token,
        mode=_mode(bundle),
        identified=identify,
        patient=bundle.identity,
        bound=bool(counted.session.patient),
        until_us=counted.until_us,
        policy=policy,
        placed=placed,
        opened_us=counted.opened.at_us,
        opened_on=counted.opened.cap,
        started_us=assessment.started_us,
        stopped_us=assessment.stopped_us,
        service_date=assessment.service_date,
        chart_minutes=assessment.chart_minutes,
        why=why(review),
        held=counted.outcome.held if published is None else published.held,
        flags=assessment.flags,
        missing=counted.outcome.missing,
        units=units,
        left_over=after(assessment.intervals, units[-1].attained_us if units else 0),
        caps=tuple(_cap_use(cap, facts, swaps) for cap in review.cooling.caps),
        swaps=swaps,
        facts=tuple(_facts(connection, bundle)),
        log=tuple(
            LoggedChange(entry.seq, entry.recorded_us, change_of(entry.body))
            for entry in bundle.own
            if entry.kind == EntryKind.INCREMENT
        ),
        charges=tuple(_charges(connection, bundle, placed)),
        corrections=() if published is None else published.corrections,
        chain=ChainPart(
            first_seq=bundle.first_seq,
            last_seq=bundle.own[-1].seq,
            last_hash=bundle.own[-1].hash,
            signed_seq=reads.next_checkpoint_seq(connection, bundle.own[-1].seq),
        ),
    )


def _mode(bundle: Bundle) -> Mode | None:
    """As the session's messages state it; None if a damaged ledger lost all of them."""
    for entry in bundle.own:
        if entry.kind == EntryKind.SESSION and (event := event_of(entry.body)) is not None:
            return msgspec.json.decode(event, type=_Event).data.mode
    return None


def _units(token: str, standing: Sequence[Emitted], counted: Sequence[Increment]) -> Iterator[RecordedUnit]:
    """The units that stand, each with its own part of the cooling."""
    by_index = {each.index: each for each in counted}
    before_us = 0
    for each in standing:
        increment = by_index.get(each.index)
        intervals = () if increment is None else after(increment.intervals, before_us)
        key = increment_key(token, each.index, each.revision)
        yield RecordedUnit(key, each.index, each.attained_at_us, intervals)
        before_us = each.attained_at_us


def _cap_use(cap: CapTime, facts: Sequence[AnyFact], swaps: Sequence[UnitSwapped]) -> CapUse:
    starts = [fact for fact in facts if isinstance(fact, CoolingStarted) and fact.cap == cap.cap]
    profiles = [swap.profile for swap in swaps if swap.loaner == cap.cap.device and swap.profile is not None]
    return CapUse(
        cap=cap.cap,
        serial_number=next((fact.serial_number for fact in reversed(starts) if fact.serial_number), ""),
        profile=profiles[-1] if profiles else "",
        proof=next((Evidence(fact.evidence) for fact in starts if fact.evidence), None),
        runs=tuple((run.start_us, run.end_us) for run in cap.runs),
    )


def _swaps(connection: sqlite3.Connection, recorded: RecordedSession) -> Iterator[UnitSwapped]:
    """The swaps of the session's units while it went on, and those that had made one of them a loaner before."""
    assessment, opened_us = recorded.counted.outcome.assessment, recorded.counted.opened.at_us
    ended_us = recorded.counted.until_us if assessment.stopped_us is None else assessment.stopped_us
    units = {cap.device for cap in assessment.caps}
    of_units = [each for each in reads.swaps(connection) if units & {each.unit, each.loaner} and each.at_us <= ended_us]
    before = {each.unit: each for each in of_units if each.at_us < opened_us}
    yield from (each for each in before.values() if each.loaner != each.unit and each.loaner in units)
    yield from (each for each in of_units if each.at_us >= opened_us)


def _facts(connection: sqlite3.Connection, bundle: Bundle) -> Iterator[NotedFact]:
    for entry in bundle.own:
        if entry.kind == EntryKind.FACT:
            fact = policies.read_fact(connection, entry.body)
            if not isinstance(fact, ObservedUntil | UnitsObserved | SessionOpened):
                yield NotedFact(entry.seq, fact)


def _charges(connection: sqlite3.Connection, bundle: Bundle, placed: Placed) -> Iterator[SentCharge]:
    for entry in bundle.own:
        if entry.kind == EntryKind.CHARGE:
            charge = charge_of(entry.body)
            told = sorted((*_sent(connection, charge.key), *_answers(bundle, charge.key)), key=lambda each: each.at_us)
            yield SentCharge(entry.seq, entry.recorded_us, charge, placed.proofs[charge.key], tuple(told))


def _sent(connection: sqlite3.Connection, key: str) -> Iterator[Sent]:
    """When the message was sent, the last time of several."""
    sent = [each.at_us for each in events(connection, key) if each.what == SENT]
    if sent:
        yield Sent(max(sent), len(sent))


def _answers(bundle: Bundle, key: str) -> Iterator[Answered | OrderedAgain]:
    """What the chain has of the engine's answers and of orders to send again: no words that may name a patient."""
    for entry in bundle.own:
        match delivery_of(entry.body) if entry.kind == EntryKind.DELIVERY else None:
            case ReceiptBody(receipt) if receipt.key == key:
                yield Answered(entry.recorded_us, receipt.result, receipt.code)
            case ResendBody(order) if order.key == key:
                yield OrderedAgain(entry.recorded_us, order.person, order.reason)
            case _:
                pass
