"""Session heads: a retained message for each session, until the interface engine has all of its messages.

A head has the number of the session's events, the first and the last sequence number and the chain's hash, so that a
reader can check that no event is missing. It is cleared once the session can change no more and every message that
awaits a receipt has one.
"""

from collections.abc import Collection, Mapping, Sequence

from gateway.ledger.receipt_plan import ReceiptPlan
from gateway.ledger.store import Ledger
from gateway.messages.cloudevents import Origin
from gateway.messages.instants import rfc3339
from gateway.messages.outbound.device import SessionHead, session_head_event
from gateway.mqtt.topics import Topics
from gateway.recording.receipts import Settled, is_delivered
from gateway.recording.transaction import Transaction
from gateway.session.assessment import Phase
from gateway.session.charges import charged_units
from gateway.session.keys import session_of
from gateway.session.outcome import Outcome, SessionRecord


class SessionHeads:
    """Publishes and clears the heads of one gateway's sessions."""

    def __init__(self, origin: Origin, topics: Topics, ledger: Ledger, plan: ReceiptPlan) -> None:
        self._origin = origin
        self._topics = topics
        self._ledger = ledger
        self._plan = plan

    async def update(self, transaction: Transaction, outcome: Outcome) -> None:
        """Publish the session's head, or clear it if all is delivered; to be called after its entries are recorded."""
        record = outcome.record
        if not outcome.release.charges and await self._delivered(record.token, record):
            self._clear(transaction, record.token)
        else:
            await self._publish(transaction, outcome)

    async def clear_delivered(
        self, transaction: Transaction, settled: Sequence[Settled], records: Mapping[str, SessionRecord]
    ) -> None:
        """Clear the heads of the sessions whose last missing receipts these are."""
        accepted = frozenset(each.key for each in settled if each.accepted)
        for token in sorted({session_of(key) for key in accepted}):
            if await self._delivered(token, records.get(token), accepted):
                self._clear(transaction, token)

    async def clear_final(self, transaction: Transaction, tokens: Collection[str]) -> None:
        """Clear the heads of sessions that can change no more, except those with a missing receipt."""
        for token in sorted(tokens):
            if self._plan.expected is None or await self._delivered(token, None):
                self._clear(transaction, token)

    async def _delivered(
        self, token: str, record: SessionRecord | None, accepted: frozenset[str] = frozenset()
    ) -> bool:
        return await is_delivered(self._ledger.outbox, self._plan, token, record, accepted)

    async def _publish(self, transaction: Transaction, outcome: Outcome) -> None:
        record, assessment = outcome.record, outcome.assessment
        entries = transaction.entries_of(record.token)
        if not entries:
            return
        next_us = assessment.next_attainment_us
        before = await self._ledger.tally(record.token)
        head = SessionHead(
            session=record.token,
            unit=record.cap.device,
            cap=record.cap.channel,
            attained=sum(not each.retracted for each in record.emitted),
            charged=charged_units(record.charged),
            events=before.count + len(entries),
            first_sequence=before.first_seq or entries[0].seq,
            last_sequence=entries[-1].seq,
            head_hash=entries[-1].hash,
            phase=assessment.phase,
            started_at=rfc3339(record.opened_us),
            next_at=rfc3339(next_us) if next_us is not None and assessment.phase is Phase.POST_INFUSION else None,
        )
        event = session_head_event(self._origin, head, transaction.recorded_us)
        transaction.publish(self._topics.session(record.token), event)

    def _clear(self, transaction: Transaction, token: str) -> None:
        # The instant makes the id unique: after a restart the same head may be cleared again without a new entry.
        event_id = f"{token}.head.cleared.{transaction.last_seq}.{transaction.recorded_us}"
        transaction.clear(self._topics.session(token), event_id)
