"""Processes every input that can change sessions, one at a time: input, facts, next state, one ledger transaction.

Theory of operation. This is event sourcing. Readings, messages, control acts and a tick each minute come in here. Each
becomes facts; one input at a time, the state is advanced by them, and the changes are written together with the
messages that they cause (the transactional outbox). Inputs that queued during a commit share the next one
(`group_commit`), each with an instant of its own, by which the audit tells the steps apart. The new state replaces the
old one, and callers go on, only after the commit. A reading that shows nothing new and reaches no instant at which a
session is due costs two comparisons. What a reading shows and its consequences are one step: no other input comes
between them.

Everything that the state is made from is in the ledger: facts, what was published of increments and sessions, and, each
minute and with every step that publishes, how far each unit is observed. `recovered` rebuilds the state from it, and
before each step what the state lacks is read back. A message that was processed before is recognised by its id and
content together (the idempotency key) and changes nothing; a message with the same id and other content is another one.

A start assesses the sessions that became due meanwhile. Time alone never retracts, amends or credits: if that step
would, the rebuilt state differs from the one before the stop. That is a defect: it is not published, and left to a
person as a work item and an alarm.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from drivers.reading import ReadFault, Reading, Stamp
from gateway.config.load import GatewayConfig
from gateway.ledger.access import Access, Actor, Looked, TookNote, left_in
from gateway.ledger.bodies import Order, PurgeNote
from gateway.ledger.deliveries import RejectedRow
from gateway.ledger.entry import subject_of
from gateway.ledger.errors import LedgerError
from gateway.ledger.read_back import Restart
from gateway.ledger.retention import Cursor, Cutoffs, Due, Purge
from gateway.ledger.staging import Staged
from gateway.ledger.store import Ledger
from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import (
    Accepted,
    Answer,
    Ignored,
    InboundFormat,
    Receipt,
    Rejected,
)
from gateway.messages.inbound.parts import messages_in
from gateway.monitoring.feed import Feed, FeedResult, feed_message
from gateway.mqtt.types import OutgoingMessage
from gateway.recording.accesses import Accesses
from gateway.recording.clock_trust import Wall, resumed
from gateway.recording.clock_watch import ClockWatch, Waited
from gateway.recording.group_commit import GroupCommit
from gateway.recording.message_reader import MessageReader, patients_of
from gateway.recording.observing import Observed
from gateway.recording.own_work import defect_work, receipts_disagree, startup_work
from gateway.recording.receipts import Judged, Settled, check_order, judge
from gateway.recording.steps import AnsweredMessage, Steps
from gateway.recording.transaction import Transaction
from gateway.runtime.clock import US_PER_S, Clock
from gateway.runtime.logs import stack_of
from gateway.session import rules
from gateway.session.attribution import Session
from gateway.session.fact_types import CapRef, WorkKind
from gateway.session.facts import AnyFact, RulesChanged, WorkRaised
from gateway.session.outcome import Outcome
from gateway.session.state import (
    MEMORY_US,
    Step,
    TrackerState,
    inspect,
    lacking_session,
)

_log = logging.getLogger("capgate.sessions")

TICK_S = 60.0  # how often a unit's observation is recorded
REPEATED_US = 7 * 86_400 * US_PER_S  # how long a repeat is recognised by its id alone, as earlier versions recorded it
STAGED_NOTE = "no cap here served this visit so far: the message waits until one does"
ORDERS_AT_ONCE = 100  # in one step, so that readings are taken in between


class Pipeline:
    """The gateway's sessions around an open ledger."""

    def __init__(
        self, config: GatewayConfig, clock: Clock, ledger: Ledger, restart: Restart, watch: ClockWatch
    ) -> None:
        self.clock_watch = watch
        self.feed = Feed(config.people_zone, clock.now().utc_us)
        self._clock = clock
        self._ledger = ledger
        self._staging = config.staging
        self._state_dir = config.state_dir
        self._accesses = Accesses()
        self._steps = Steps(config, clock, ledger, restart)
        self._group = GroupCommit(ledger, self._steps.committed)
        self._reader = MessageReader(config, ledger, lambda: self._steps.next, self._steps.read_back)
        self._rules = restart.rules  # the revision of the counting rules up to this start

    @classmethod
    async def recovered(
        cls, config: GatewayConfig, clock: Clock, ledger: Ledger, waited: Waited | None = None
    ) -> "Pipeline":
        """The pipeline with its state rebuilt from the ledger, after a step for what became due since then.

        `waited`: the start waited for a clock to believe.
        """
        known = await ledger.clock_known()
        if waited is None and (stamp := resumed(Wall.of(clock), known, config.time_service)) is not None:
            clock.resume(stamp)
        restart = await ledger.restart(clock.now().utc_us - MEMORY_US, config.policies.longest_idle_us)
        _resume_clock(clock, restart)
        pipeline = cls(config, clock, ledger, restart, ClockWatch(clock, known, waited))
        await pipeline._group.run(pipeline._resume)
        return pipeline

    @property
    def state(self) -> TrackerState:
        """The committed tracker state: a cache of the ledger with every session that is not done."""
        return self._steps.state

    @property
    def busy(self) -> frozenset[str]:
        """The units that have a cap in a session."""
        return self._steps.busy

    @property
    def increments(self) -> Counter[str]:
        """How many were published since the start, by operation."""
        return self._steps.increments

    @property
    def charges(self) -> Counter[str]:
        """How many charges and credits were, likewise."""
        return self._steps.charges

    @property
    def observed(self) -> Mapping[str, int]:
        """By unit, the instant until which it is observed by good readings, UTC."""
        return self._steps.observed

    async def identity(self, subject: str) -> Identity | None:
        """The identifiers of `subject` that the site shows; None: unknown or purged."""
        return await self._steps.identity(subject)

    async def answer(self, answer: Reading | ReadFault) -> None:
        """Process a poll's result; returns when all that follows from it is committed."""
        if self._group.idle and not self._changes(observed := self._steps.observing.observe(answer)):
            self._steps.observing.take(observed)
        else:
            await self._group.run(partial(self._take_answer, answer))

    async def message(self, topic: str, payload: bytes) -> tuple[OutgoingMessage, ...]:
        """Process a payload of the interface engine; returns when its changes and answers are committed.

        A payload may have several messages, each with its answer. One that concerns no patient here, or is a repeat, is
        only counted, not recorded; the answers to these are returned, to be sent without the ledger.
        """
        answers: list[OutgoingMessage] = []
        for each in messages_in(payload):
            settled, answer = await self._group.run(partial(self._take_message_guarded, each))
            for receipt in settled:
                level = logging.ERROR if receipt.receipt.result == "rejected" else logging.INFO
                _log.log(level, "receipt", extra={"key": receipt.key, "result": receipt.receipt.result})
            answers += () if answer is None else (answer,)
        return tuple(answers)

    async def cooled_unknown(self, caps: Iterable[CapRef], before: Stamp) -> None:
        """Leave to people that these caps cooled at a time before the boot of `before`, which nobody knows."""
        at_us = before.utc_us - before.boot_us
        items = [
            WorkRaised(at_us=at_us, known_at_us=before.utc_us, what=WorkKind.TIME_UNKNOWN, cap=cap)
            for cap in sorted(caps)
        ]
        if items:
            await self.record(items)

    async def send_again(self, order: Order) -> None:
        """Record a person's order to send a message again. Raises OrderRefused."""
        await self._group.run(partial(self._take_order, order))

    async def send_rejected_again(self, code: str | None, order: Order) -> int:
        """Record `order` for each rejected message, of one code or any; the number of them."""
        last, ordered = 0, 0
        while page := await self._group.run(partial(self._order_rejected, last, code, order)):
            last, ordered = page[-1].outbox_id, ordered + len(page)
        return ordered

    async def record(self, facts: Sequence[AnyFact], identities: Sequence[Identity] = ()) -> tuple[Outcome, ...]:
        """Process facts that a person states; the outcomes, once they are committed."""
        return await self._group.run(partial(self._take_facts, facts, identities))

    async def looked(self, by: Actor, looked: Looked, sessions: Collection[str]) -> None:
        """Record that somebody is about to read identifiers of the patients of these sessions."""
        await self._looked(Access(self._clock.now().utc_us, by.login, by.role, looked, tuple(sessions)))

    async def take_up_traces(self) -> None:
        """Record what commands left beside the ledger: who read identifiers, who changed an account."""
        try:
            for path, trace in await asyncio.to_thread(lambda: list(left_in(self._state_dir))):
                match trace:
                    case Access():
                        await self._looked(trace)
                    case TookNote():
                        await self.took(trace)
                    case None:
                        pass
                await asyncio.to_thread(path.unlink, missing_ok=True)
        except OSError as error:
            _log.error("traces that commands left cannot be recorded", extra={"reason": str(error)})

    async def purge_due(self, cutoffs: Cutoffs, after: Cursor, note: PurgeNote) -> Due:
        """Purge the next page of what is due, and return it; no other step comes between the look and the deed."""
        return await self._group.run(partial(self._take_due, cutoffs, after, note))

    async def took(self, note: TookNote) -> None:
        """Record that somebody took something."""
        await self._group.run(partial(self._take_took, note))

    async def purge(self, what: Purge, note: PurgeNote) -> None:
        """Delete what lies beside the chain of `what` is settled, and record that."""
        await self._group.run(partial(self._take_purge, what, note))

    async def session(self, token: str) -> tuple[Session, Outcome] | None:
        """One session's current facts and outcome, however old; None if the ledger has no such token."""
        return await self._group.run(partial(self._inspect, token))

    async def tokens_of_visit(self, visit: str) -> list[str]:
        """The tokens of all sessions of a visit, however old, the earliest first."""
        return await self._group.run(partial(self._tokens_of_visit, visit))

    async def run(self) -> None:
        """Call `tick` each minute until cancelled."""
        while True:  # ends with the task
            await asyncio.sleep(TICK_S / self._clock.speed)
            await self.tick()
            await self.take_up_traces()

    async def tick(self) -> None:
        """Record how far busy units are observed, check the clock, process what is due by time alone."""
        await self._group.run(self._tick)

    async def close(self) -> None:
        """Append a checkpoint, the signed head of the chain, as the last entry."""
        await self._group.run(self._steps.sign)

    # --- the steps, of which one is under way at a time

    async def _take_answer(self, answer: Reading | ReadFault) -> None:
        observed = self._steps.observing.observe(answer)
        changes = self._changes(observed)
        self._steps.observing.take(observed)
        if changes:
            transaction = self._steps.begin()
            step = await self._steps.advance(transaction, observed.facts)
            self._steps.recorder.run_states(transaction, observed.run_states)
            # How far the unit is observed is recorded with the facts: the counters then may prove the next silence,
            # also one that begins here.
            concerned = any(answer.unit in state.watched for state in (self._steps.next, step[0]))
            await self._steps.finish(transaction, step, also_observed=frozenset([answer.unit] if concerned else []))

    def _changes(self, observed: Observed) -> bool:
        """Whether the poll changes anything: it gives facts, or a session becomes due."""
        if observed.facts:
            return True
        return observed.until_us is not None and observed.until_us >= self._steps.next.sessions.due_us(observed.unit)

    async def _take_message_guarded(self, payload: bytes) -> tuple[Sequence[Settled], OutgoingMessage | None]:
        """As `_take_message`; a message that meets a defect is rejected, or the broker would deliver it for ever."""
        try:
            return await self._take_message(payload)
        except LedgerError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the next message is taken
            _log.error("a message met a defect", extra={"at": stack_of(error)})
            read = Rejected("", "internal-error", "a defect of the gateway; its log says where")
            await self._record(self._steps.begin(), AnsweredMessage(read, InboundFormat.JSON), Judged(read))
            return (), None

    async def _take_message(self, payload: bytes) -> tuple[Sequence[Settled], OutgoingMessage | None]:
        transaction = self._steps.begin()
        read, message_format = await self._reader.read(payload, transaction.recorded_us)
        if isinstance(read, Accepted):
            if subject := self._reader.waiting_for(read):
                return (), await self._stage(subject, transaction, read, message_format, payload)
            if await self._take_up(self._reader.names(read)):
                transaction = self._steps.begin()
                read, message_format = await self._reader.read(payload, transaction.recorded_us)
        is_receipt = isinstance(read, Receipt)
        judged = await judge(self._ledger.outbox, read) if isinstance(read, Receipt) else Judged(read)
        read = judged.answer
        if isinstance(read, Accepted) and read.merges:
            read = await self._reader.with_known_merges(read)
        taken = self._reader.seal(read, payload) if isinstance(read, Accepted) and not is_receipt else ""
        since_us = transaction.recorded_us - REPEATED_US
        repeated = bool(taken) and await self._ledger.knows_message(taken, read.message_id, since_us)
        if repeated:
            read = _repeated(read)
        foreign = (
            isinstance(read, Rejected)
            and not is_receipt
            and not self._reader.serves(read.subject, transaction.recorded_us)
        )
        if repeated or foreign or isinstance(read, Ignored):
            became = FeedResult.REPEATED if repeated else None
            self.feed.count(feed_message(payload, read, transaction.recorded_us, became))
            return (), self._steps.recorder.unrecorded(transaction, read, message_format)
        read, settled = await self._record(transaction, AnsweredMessage(read, message_format, taken), judged)
        self.feed.count(feed_message(payload, read, transaction.recorded_us))
        return settled, None

    async def _stage(
        self, subject: str, transaction: Transaction, read: Accepted, message_format: InboundFormat, payload: bytes
    ) -> OutgoingMessage:
        """Let a message wait with its visit's identifiers, by which changes of numbers find it; its answer."""
        now_us, taken = transaction.recorded_us, self._reader.seal(read, payload)
        transaction.stage(Staged(subject, now_us, taken, payload))
        batch = transaction.batch(read.identities)
        if await self._ledger.commit_new(batch, taken, read.message_id, now_us - REPEATED_US):
            answer = msgspec.structs.replace(read, note="; ".join(filter(None, (STAGED_NOTE, read.note))))
            result = FeedResult.STAGED
        else:
            answer, result = _repeated(read), FeedResult.REPEATED
        self.feed.count(feed_message(payload, answer, now_us, result))
        return self._steps.recorder.unrecorded(transaction, answer, message_format)

    async def _take_up(self, subjects: Iterable[str]) -> bool:
        """Take the messages about these subjects that waited, each in a step of its own; whether there were any."""
        staged = await self._ledger.staged(subjects)
        for each in staged:
            transaction = self._steps.begin()
            read, message_format = await self._reader.read_staged(each, transaction.recorded_us)
            if isinstance(read, Accepted | Rejected):
                await self._record(transaction, AnsweredMessage(read, message_format, each.seal), Judged(read), each)
            else:
                transaction.take_up(each)
                await self._ledger.append(transaction.batch())
        return bool(staged)

    async def _record(
        self, transaction: Transaction, answered: AnsweredMessage, judged: Judged, staged: Staged | None = None
    ) -> tuple[Answer, Sequence[Settled]]:
        """Record a message's facts, receipts and answer; the answer and the receipts. `staged`: it has waited."""
        read = answered.answer
        facts, identities = (read.facts, read.identities) if isinstance(read, Accepted) else ((), ())
        facts = (*facts, *receipts_disagree(self._steps.next, judged.disputed, transaction.recorded_us))
        settled = judged.settled
        try:
            step = await self._steps.advance(transaction, facts, identities)
        except Exception as error:  # noqa: BLE001 - without an answer the broker would deliver the message for ever
            _log.error("a message met a defect", extra={"at": stack_of(error)})
            transaction, step, identities, settled = self._steps.begin(), (self._steps.next, Step()), (), ()
            read = Rejected(read.message_id, "internal-error", "a defect of the gateway; its log says where")
        if staged is not None:
            transaction.take_up(staged)
        answered = AnsweredMessage(read, answered.format, answered.taken if isinstance(read, Accepted) else "")
        await self._steps.finish(transaction, step, answered=answered, identities=identities, settled=settled)
        return read, settled

    async def _take_order(self, order: Order) -> None:
        await check_order(self._ledger.outbox, order)
        transaction = self._steps.begin()
        transaction.record_resend(order)
        await self._steps.finish(transaction, (self._steps.next, Step()))

    async def _order_rejected(self, after: int, code: str | None, order: Order) -> Sequence[RejectedRow]:
        page = await self._ledger.outbox.rejected(after, code, ORDERS_AT_ONCE)
        if page:
            transaction = self._steps.begin()
            for each in page:
                transaction.record_resend(msgspec.structs.replace(order, key=each.key))
            await self._steps.finish(transaction, (self._steps.next, Step()))
        return page

    async def _looked(self, access: Access) -> None:
        if (new := self._accesses.new(access)) is not None:
            await self._group.run(partial(self._take_access, new))

    async def _take_access(self, access: Access) -> None:
        transaction = self._steps.begin()
        await self._steps.finish(transaction, await self._steps.advance(transaction, ()), access=access)

    async def _take_due(self, cutoffs: Cutoffs, after: Cursor, note: PurgeNote) -> Due:
        due = await self._ledger.due(cutoffs, after)
        if not due.purge.empty:
            await self._take_purge(due.purge, note)
        return due

    async def _take_took(self, note: TookNote) -> None:
        transaction = self._steps.begin()
        advanced = await self._steps.advance(transaction, ())
        self._steps.recorder.took(transaction, note)
        await self._steps.finish(transaction, advanced)

    async def _take_purge(self, what: Purge, note: PurgeNote) -> None:
        transaction = self._steps.begin()
        advanced = await self._steps.advance(transaction, ())
        transaction.record_purge(
            msgspec.structs.replace(
                note,
                identifiers=what.subjects,
                numbers=await self._ledger.seals_of_changes(what.changes),
                messages=len(what.messages),
                entries=what.entries,
                texts=len(what.texts),
            ),
            what,
        )
        await self._steps.finish(transaction, advanced)

    async def _take_facts(self, facts: Sequence[AnyFact], identities: Sequence[Identity]) -> tuple[Outcome, ...]:
        await self._take_up(patients_of(facts))
        transaction = self._steps.begin()
        state, step = await self._steps.advance(transaction, facts, identities)
        await self._steps.finish(transaction, (state, step), identities=identities)
        return step.outcomes

    async def _inspect(self, token: str) -> tuple[Session, Outcome] | None:
        await self._steps.read_back(lacking_session(self._steps.next, token))
        return inspect(self._steps.next, token, self.observed, self._clock.now().utc_us)

    async def _tokens_of_visit(self, visit: str) -> list[str]:
        renumbered = await self._ledger.subjects([visit])
        subjects = {subject_of(self._ledger.salt, visit), *renumbered.values()}
        await self._steps.read_back(await self._ledger.treatments(subjects))
        records = [record for subject in subjects for record in self._steps.next.sessions.of_patient(subject)]
        return [record.token for record in sorted(records, key=lambda record: (record.opened_us, record.token))]

    async def _tick(self) -> None:
        transaction = self._steps.begin()
        await self._steps.forget(transaction)
        work = tuple(defect_work(self._steps.next, self._steps.unrecorded, transaction.recorded_us))
        self._steps.unrecorded.clear()
        transaction.bound_staging(self._staging.bounds(transaction.recorded_us))
        step = await self._steps.advance(
            transaction, (*work, *self.clock_watch.facts(self._steps.next, transaction.recorded_us))
        )
        await self._steps.finish(transaction, step, also_observed=step[0].watched)

    async def _resume(self) -> None:
        """Process what became due while the gateway did not run, as the first step after a start."""
        transaction = self._steps.begin()
        gone = self._steps.observing.gone(self._steps.next.watched, transaction.recorded_us)
        for fact in gone:
            _log.error("a unit in a session is no longer configured", extra={"unit": fact.device})
        clock = self.clock_watch.facts(self._steps.next, transaction.recorded_us)
        facts = (*self._rules_facts(transaction.recorded_us), *clock, *gone)
        state, step = await self._steps.advance(transaction, facts)
        wrong = {each.record.token for each in step.outcomes if each.revises}
        for token in sorted(wrong):
            _log.error("a start would take back what was published", extra={"session": token})
        await self._steps.finish(transaction, (state.with_asleep(wrong, self._steps.next.records), step.without(wrong)))
        if facts := tuple(startup_work(self._steps.next, wrong, self._ledger, self._clock.now().utc_us)):
            await self._take_facts(facts, ())  # in the same group, so the same commit

    def _rules_facts(self, now_us: int) -> tuple[AnyFact, ...]:
        """The first fact of a start with other counting rules than the ones before it."""
        if self._rules == rules.REVISION:
            return ()
        return (RulesChanged(at_us=now_us, known_at_us=now_us, revision=rules.REVISION),)


def _resume_clock(clock: Clock, restart: Restart) -> None:
    """P25: within one boot, continue the stamps of the open sessions, whatever happened to the wall clock since."""
    busy = {unit for record in restart.read_back.records if record.open for unit in record.units}
    known = [fact for fact in restart.observed if fact.device in busy and fact.boot]
    if known:
        last = max(known, key=lambda fact: fact.known_at_us)
        clock.resume(Stamp(last.at_us, last.boot_us, last.boot))


def _repeated(read: Answer) -> Accepted:
    return Accepted(read.message_id, (), note="this message was taken before")
