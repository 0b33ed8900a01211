"""Carries out the steps of the sessions' state: from facts to the next state, and to one transaction of the ledger.

Theory of operation. A step begins with a transaction of a unique instant. What the state lacks for the step's facts is
read back, the state is advanced by them, and what that changed is written together with the messages that it causes.
Steps go on from each other's states before they are committed; `state` is replaced once they are. A defect that one
session meets is left to people as a work item, and costs the others nothing.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from gateway.config.load import GatewayConfig
from gateway.ledger.access import Access
from gateway.ledger.checkpointer import Checkpointer
from gateway.ledger.errors import LedgerError
from gateway.ledger.keys import KEY_FILE, load_or_make_key
from gateway.ledger.read_back import Restart
from gateway.ledger.store import Ledger
from gateway.messages.cloudevents import Origin
from gateway.messages.details import Stated
from gateway.messages.identity import Identity, Merge
from gateway.messages.inbound.answers import Accepted, Answer, InboundFormat
from gateway.mqtt.topics import Topics
from gateway.recording.charge_details import details_of
from gateway.recording.observing import Observing
from gateway.recording.own_work import defect_work, hold
from gateway.recording.receipts import Settled
from gateway.recording.recorder import Recorder
from gateway.recording.session_heads import SessionHeads
from gateway.recording.transaction import Transaction
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.logs import stack_of
from gateway.session.facts import AnyFact
from gateway.session.flags import HeldReason
from gateway.session.keys import TOKEN_LENGTH, TOKEN_LETTERS
from gateway.session.outcome import Outcome
from gateway.session.related import Anchor
from gateway.session.state import Step, TrackerState, advance, begin, lacking, prune, with_read_back

_log = logging.getLogger("capgate.sessions")


class AnsweredMessage(msgspec.Struct, frozen=True):
    """The answer to a message, and the message's format. `taken` is its idempotency key if a repeat must be ignored."""

    answer: Answer
    format: InboundFormat
    taken: str = ""

    @property
    def merges(self) -> tuple[Merge, ...]:
        """The identifier changes that the message reports."""
        return self.answer.merges if isinstance(self.answer, Accepted) else ()

    @property
    def details(self) -> tuple[Stated, ...]:
        """What the message states for charges."""
        return self.answer.details if isinstance(self.answer, Accepted) else ()


class Steps:
    """The sessions' state around an open ledger, advanced one step at a time."""

    def __init__(self, config: GatewayConfig, clock: Clock, ledger: Ledger, restart: Restart) -> None:
        origin, topics = Origin(config.site, config.id), Topics(config.site, config.id, config.mode)
        found = restart.read_back
        self.increments: Counter[str] = Counter()  # by operation, since the start
        self.charges: Counter[str] = Counter()  # charges and credits, likewise
        self.observing = Observing(config, found.facts, restart.observed, clock.now())
        self.recorder = Recorder(origin, topics, config.mode, ledger.salt, config.receipts, config.outbound.site)
        self.state = begin(config.policies, found.facts, found.records, restart.whole_from_us)  # the committed one
        self.next = self.state  # after the steps that are not committed yet
        self.busy = self.state.watched  # units that have a cap in a session
        self.unrecorded: set[str] = set()  # sessions whose changes met a defect
        self._clock = clock
        self._ledger = ledger
        self._site = config.outbound.site
        self._heads = SessionHeads(origin, topics, ledger, config.receipts)
        key = load_or_make_key(config.state_dir / KEY_FILE)
        self._checkpointer = Checkpointer(key, origin, topics.checkpoint, ledger.signed_seq)
        self._uncommitted: list[Step] = []
        self._recorded_us = 0  # the instant of the last transaction, UTC

    @property
    def observed(self) -> Mapping[str, int]:
        """By unit, the instant until which it is observed by good readings, UTC."""
        return self.observing.until_us

    def begin(self) -> Transaction:
        """A transaction with a unique instant."""
        now_us = self._clock.now().utc_us
        # Several steps may fall into one microsecond. A clock that was set back by more is followed.
        not_later = 0 <= self._recorded_us - now_us < US_PER_S
        self._recorded_us = self._recorded_us + 1 if not_later else now_us
        return Transaction(self._ledger.head, self._recorded_us, self._ledger.policies)

    async def read_back(self, missing: Sequence[Anchor], facts: Sequence[AnyFact] = ()) -> None:
        """Read `missing`, and what the assessment of `facts` needs, from the ledger into the state."""
        if missing:
            idle_us = self.next.policies.longest_idle_us
            self.next = with_read_back(self.next, await self._ledger.read_back(missing, facts, idle_us))

    async def advance(
        self, transaction: Transaction, facts: Sequence[AnyFact], identities: Sequence[Identity] = ()
    ) -> tuple[TrackerState, Step]:
        """Advance the state by `facts` and record the step's facts in the transaction.

        A session that would charge a patient whose identifiers are neither stated nor kept is held instead.
        """
        now_us = transaction.recorded_us
        await self.read_back(lacking(self.next, facts, self.observed, now_us), facts)
        drawn: list[str] = []

        def draw() -> str:
            drawn.append(_draw_token())
            return drawn[-1]

        state, step = advance(self.next, facts, self.observed, now_us, draw)
        held = [each.record.token for each in step.outcomes if await self._charges_nobody(each, identities)]
        if held:
            _log.error("a charge without a patient's identifiers is held", extra={"sessions": held})
        for each in step.defects:
            self._defect("a session could not be assessed", each.token, each.error)
        own = (
            *(hold(token, HeldReason.IDENTITY_PURGED, now_us) for token in held),
            *defect_work(state, {each.token for each in step.defects}, now_us),
        )
        if own:  # they name sessions that may open in this very step: it opens them under the same tokens
            again = iter(drawn)
            state, step = advance(self.next, (*facts, *own), self.observed, now_us, lambda: next(again))
        self.recorder.facts(transaction, step.facts)
        return state, step

    async def finish(
        self,
        transaction: Transaction,
        advanced: tuple[TrackerState, Step],
        *,
        answered: AnsweredMessage | None = None,
        identities: Sequence[Identity] = (),
        settled: Sequence[Settled] = (),
        access: Access | None = None,
        also_observed: frozenset[str] = frozenset(),
    ) -> None:
        """Record all that the step changed; further steps begin from the state after it."""
        state, step = advanced
        moved = {unit for outcome in step.outcomes for unit in outcome.record.watched}
        self.recorder.facts(transaction, self.observing.facts(moved | also_observed, transaction.recorded_us))
        cause = answered.answer.message_id if answered is not None else ""
        stated = answered.details if answered is not None else ()
        transaction.keep(*stated)
        broken = [
            outcome.record.token
            for outcome in step.outcomes
            if not await self._recorded(transaction, outcome, identities, cause, stated)
        ]
        if broken:
            self.unrecorded.update(broken)
            state = state.with_deferred(broken, self.next.records, transaction.recorded_us)
            step = step.without(broken)
        transaction.update_sessions(step.records)
        if settled:
            self.recorder.settled(transaction, settled)
            await self._heads.clear_delivered(transaction, settled, self.next.records)
        if answered is not None:
            self.recorder.answer(transaction, answered.answer, answered.format, answered.taken)
        if access is not None:
            self.recorder.access(transaction, access)
        merges = answered.merges if answered is not None else ()
        written = transaction.batch(identities, merges)
        batch = self._checkpointer.with_checkpoint(written, transaction.recorded_us)
        if not batch.empty:
            await self._ledger.append(batch)
        self.next = state
        self._uncommitted.append(step)

    async def _recorded(
        self,
        transaction: Transaction,
        outcome: Outcome,
        identities: Sequence[Identity],
        cause: str,
        stated: Sequence[Stated],
    ) -> bool:
        """Record what changed about one session; whether no defect kept it from that."""
        mark = transaction.mark()
        try:
            identity = await self.identity(outcome.record.patient, identities)
            self.recorder.outcome(transaction, outcome, identity, cause)
            for charge in outcome.release.charges:
                charged = await self.identity(charge.line.patient, identities)
                details = await details_of(self._ledger, self._site, outcome, charge, stated)
                self.recorder.charge(transaction, outcome, charge, charged, cause, details)
            await self._heads.update(transaction, outcome)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other sessions are recorded
            self._defect("a session could not be recorded", outcome.record.token, error)
            transaction.rewind(mark)
            return False
        return True

    def committed(self) -> None:
        """Replace the state with the next one, all of which is committed."""
        self.state = self.next
        self.busy = self.state.watched
        for step in self._uncommitted:
            self._report(step)
        self._uncommitted.clear()

    def _report(self, step: Step) -> None:
        """Count and log what was published."""
        for outcome in step.outcomes:
            for what in outcome.happened:
                _log.info("session", extra={"what": what, "session": outcome.record.token})
            for change in outcome.changes:
                self.increments[change.op] += 1
                _log.info("increment", extra={"op": change.op, "session": outcome.record.token, "index": change.index})
            for charge in outcome.release.charges:
                self.charges["credit" if charge.reverses else "charge"] += 1
                extra = {"key": charge.key, "quantity": charge.quantity, "reverses": charge.reverses or None}
                _log.info("charge", extra=extra)

    async def _charges_nobody(self, outcome: Outcome, identities: Sequence[Identity]) -> bool:
        """Whether the outcome has a charge or credit for a patient without identifiers."""
        patients = {charge.line.patient for charge in outcome.release.charges}
        return any([await self.identity(patient, identities) is None for patient in patients])

    async def identity(self, subject: str, stated: Sequence[Identity] = ()) -> Identity | None:
        """The identifiers of `subject` that the site shows, from `stated` or the ledger; None: unknown or purged."""
        if not subject:
            return None
        now = next((identity for identity in stated if identity.subject == subject), None)
        kept = await self._ledger.identity(subject)
        known = kept if now is None else now.completed(kept)
        return None if known is None else self._site.shown(known)

    def _defect(self, text: str, token: str, error: Exception) -> None:
        """Log a defect of one session."""
        _log.error(text, extra={"session": token, "at": stack_of(error)})

    async def forget(self, transaction: Transaction) -> None:
        """Drop from memory what is done; a defect leaves it there, and costs no session its minute."""
        mark = transaction.mark()
        try:
            pruned = prune(self.next, transaction.recorded_us)
            if pruned is not self.next:
                await self._heads.clear_final(transaction, self.next.records.keys() - pruned.records.keys())
            self.next = pruned
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, what is due is processed
            transaction.rewind(mark)
            _log.error("memory keeps what is done", extra={"at": stack_of(error)})

    async def sign(self) -> None:
        """Append a checkpoint, the signed head of the chain, as the last entry."""
        transaction = self.begin()
        batch = self._checkpointer.with_checkpoint(transaction.batch(), transaction.recorded_us, closing=True)
        if not batch.empty:
            await self._ledger.append(batch)


def _draw_token() -> str:
    return "".join(secrets.choice(TOKEN_LETTERS) for _ in range(TOKEN_LENGTH))
