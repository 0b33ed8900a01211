"""Turns a step's facts and outcomes into ledger entries and messages, in a transaction. It does no input or output.

A fact's entry holds the fact. An entry of something published holds what the tracker needs to rebuild its state, and
the message without the patient's identifiers; `gateway.ledger.bodies` defines the JSON.
"""

from collections.abc import Iterable

import msgspec

from drivers.reading import RunState
from gateway.ledger.access import Access, TookNote
from gateway.ledger.bodies import (
    AccessBody,
    ChargeBody,
    IncrementBody,
    SessionBody,
    StatusBody,
    TookBody,
    encode_body,
    said,
)
from gateway.ledger.entry import EntryKind, seal
from gateway.ledger.receipt_plan import NO_RECEIPTS, MessageKind, ReceiptPlan
from gateway.messages.cloudevents import Origin, Trace, encode_event, serial_id
from gateway.messages.details import NO_DETAILS, About, Details, Stated
from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Answer, InboundFormat
from gateway.messages.instants import rfc3339
from gateway.messages.notation import Mode, Notation
from gateway.messages.outbound.charge import ReleasedCharge, charge_messages
from gateway.messages.outbound.device import Aspect, CapEvent, cap_event
from gateway.messages.outbound.ehr import charge_event, inbound_result_event, increment_event, session_event
from gateway.messages.outbound.session import charge_data, increment_data, session_data
from gateway.messages.outbound.site import ChargeSite
from gateway.mqtt.topics import Topics
from gateway.mqtt.types import OutgoingMessage
from gateway.recording.receipts import Settled
from gateway.recording.transaction import Transaction
from gateway.session.charges import Charge
from gateway.session.facts import AnyFact, CapRef, SessionOpened, encode_fact
from gateway.session.outcome import Outcome, SessionChange


class RunStateChange(msgspec.Struct, frozen=True):
    """A confirmed change of a cap's run state, at `at_us`, UTC."""

    cap: CapRef
    before: RunState
    now: RunState
    at_us: int


class Recorder:
    """Writes one gateway's entries and messages into transactions."""

    def __init__(
        self,
        origin: Origin,
        topics: Topics,
        mode: Mode,
        salt: bytes,
        receipts: ReceiptPlan = NO_RECEIPTS,
        site: ChargeSite | None = None,
    ) -> None:
        self._origin = origin
        self._topics = topics
        self._mode = mode
        self._salt = salt
        self._plan = receipts
        self._site = site or ChargeSite(mode=mode)

    def facts(self, transaction: Transaction, facts: Iterable[AnyFact]) -> None:
        """Record facts. Only SessionOpened's entry names a session, since attribution of the others may change."""
        for fact in facts:
            if isinstance(fact, SessionOpened):
                transaction.open_session(fact)
            else:
                transaction.record(EntryKind.FACT, "", encode_fact(fact))

    def run_states(self, transaction: Transaction, changes: Iterable[RunStateChange]) -> None:
        """Publish changes of run state, caused by the facts recorded last."""
        for change in changes:
            event = CapEvent(
                unit=change.cap.device,
                cap=change.cap.channel,
                aspect=Aspect.RUN_STATE,
                from_=change.before,
                to=change.now,
                at=rfc3339(change.at_us),
                cause="link" if RunState.UNKNOWN in (change.before, change.now) else "reading",
            )
            self._cap_event(transaction, transaction.last_seq, event)

    def outcome(self, transaction: Transaction, outcome: Outcome, identity: Identity | None, cause: str) -> None:
        """Record and publish what changed about one session; `cause` is the id of the message that caused it, or ""."""
        token = outcome.record.token
        for what in outcome.happened:
            event = session_event(
                self._origin,
                session_data(outcome, what, identity, self._mode),
                event_id=serial_id(self._origin, transaction.epoch, transaction.next_seq),
                at_us=transaction.recorded_us,
                trace=self._trace(transaction, cause),
            )
            published = outcome.record.published
            if published is not None:
                message = encode_event(event)
                body = SessionBody(published, said(message), {event.id: self._seal(message)})
                transaction.record(EntryKind.SESSION, token, encode_body(body))
                transaction.publish_raw(self._topics.session_event, event.id, message)
            if what is SessionChange.PHASE:
                self._phase(transaction, outcome, cause)
        for change in outcome.changes:
            event = increment_event(
                self._origin,
                increment_data(outcome, change, identity, self._mode),
                self._trace(transaction, cause),
            )
            message = encode_event(event)
            body = IncrementBody(change, said(message), {event.id: self._seal(message)})
            transaction.record(EntryKind.INCREMENT, token, encode_body(body))
            followed = self._plan.follows(MessageKind.INCREMENT, Notation.JSON)
            key = event.id if followed else ""
            transaction.publish_raw(self._topics.increment, event.id, message, key=key, awaited=followed)

    def charge(
        self,
        transaction: Transaction,
        outcome: Outcome,
        charge: Charge,
        identity: Identity | None,
        cause: str,
        details: Details = NO_DETAILS,
    ) -> None:
        """Record and send a charge or credit. Raises LookupError if the patient's identifiers are not known."""
        if identity is None:
            raise LookupError(f"no identifiers are kept for whom {charge.key} charges")
        data = charge_data(outcome, charge, identity, self._site, details)
        trace = self._trace(transaction, cause)
        event = charge_event(self._origin, data, at_us=transaction.recorded_us, trace=trace)
        released = ReleasedCharge(event, data, identity, transaction.recorded_us, details)
        messages = list(charge_messages(self._site, released))
        sent = {message.id: self._seal(message.payload) for message in messages}
        body = ChargeBody(charge, said(encode_event(event)), sent)
        transaction.record(EntryKind.CHARGE, outcome.record.token, encode_body(body))
        if not charge.reverses:  # its credit is to say the same
            transaction.keep(Stated(charge.line.patient, About.CHARGE, charge.key, details))
        for message in messages:
            followed = self._plan.follows(MessageKind.CHARGE, message.form)
            transaction.publish_raw(
                self._topics.charge(message.form),
                message.id,
                message.payload,
                key=charge.key if followed else "",
                awaited=followed and self._plan.awaits(MessageKind.CHARGE),
            )

    def access(self, transaction: Transaction, access: Access) -> None:
        """Record that somebody read identifiers of patients."""
        transaction.record(EntryKind.STATUS, "", encode_body(AccessBody(access)))

    def took(self, transaction: Transaction, note: TookNote) -> None:
        """Record that somebody took something."""
        transaction.record(EntryKind.STATUS, "", encode_body(TookBody(note)))

    def settled(self, transaction: Transaction, settled: Iterable[Settled]) -> None:
        """Record receipts."""
        for each in settled:
            transaction.record_receipt(each)

    def answer(
        self, transaction: Transaction, answered: Answer, message_format: InboundFormat, taken: str = ""
    ) -> None:
        """Record and send the answer to an inbound message; `taken` is its idempotency key, or "" if it may repeat."""
        event = inbound_result_event(
            self._origin,
            answered,
            message_format,
            event_id=serial_id(self._origin, transaction.epoch, transaction.next_seq),
            at_us=transaction.recorded_us,
        )
        transaction.record(EntryKind.STATUS, "", encode_body(StatusBody(event, taken)))
        transaction.publish(self._topics.result, event)

    def unrecorded(self, transaction: Transaction, answered: Answer, message_format: InboundFormat) -> OutgoingMessage:
        """The answer to a message that is not recorded; it may be lost, and the message be delivered again."""
        serial = serial_id(self._origin, transaction.epoch, transaction.last_seq)
        event = inbound_result_event(
            self._origin,
            answered,
            message_format,
            event_id=f"{serial}.result.{transaction.recorded_us}",
            at_us=transaction.recorded_us,
        )
        return OutgoingMessage.to(self._topics.result, encode_event(event))

    def _seal(self, message: bytes) -> str:
        return seal(self._salt, message)

    def _phase(self, transaction: Transaction, outcome: Outcome, cause: str) -> None:
        """Publish the new phase on every cap of the session."""
        for cap in outcome.assessment.caps:
            event = CapEvent(
                unit=cap.device,
                cap=cap.channel,
                aspect=Aspect.PHASE,
                from_=outcome.phase_before or outcome.assessment.phase,
                to=outcome.assessment.phase,
                at=rfc3339(transaction.recorded_us),
                cause="message" if cause else "reading",
                session=outcome.record.token,
            )
            self._cap_event(transaction, transaction.last_seq, event)

    def _cap_event(self, transaction: Transaction, seq: int, change: CapEvent) -> None:
        serial = serial_id(self._origin, transaction.epoch, seq)
        event = cap_event(
            self._origin,
            change,
            event_id=f"{serial}.{change.unit}.{change.cap}",
            trace=Trace(sequence=seq, session=change.session),
        )
        transaction.publish(self._topics.cap_event(change.unit, change.cap), event)

    def _trace(self, transaction: Transaction, cause: str) -> Trace:
        return Trace(sequence=transaction.next_seq, cause=cause or None, recorded_at=rfc3339(transaction.recorded_us))
