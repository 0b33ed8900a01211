"""A ledger as a gateway leaves it: two sessions on two units, a correction, a signature, charges, all chained."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from drivers.reading import Evidence, Stamp
from gateway.ledger.batch import Batch
from gateway.ledger.bodies import Order
from gateway.ledger.checkpointer import Checkpointer
from gateway.ledger.entry import Head
from gateway.ledger.keys import KEY_FILE, load_or_make_key
from gateway.ledger.store import open_ledger
from gateway.messages.cloudevents import Origin
from gateway.messages.identity import Identity
from gateway.messages.notation import Mode
from gateway.mqtt.topics import Topics
from gateway.recording.receipts import Settled
from gateway.recording.recorder import Recorder
from gateway.recording.transaction import Transaction
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    CoolingStopped,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionStarted,
    NoteAdded,
    ObservedUntil,
    PatientBound,
    PreparationCharted,
    SessionFinalized,
)
from gateway.session.marks import combined
from gateway.session.policies import policies_of
from gateway.session.state import TrackerState, advance

GATEWAY, SITE = "gw-01", "ward-3"
MINUTE_US = 60_000_000
T0_US = 1_773_144_000_000_000  # 2026-03-10T12:00:00Z
POLICY = """
name = "midpoint"
revision = "3"
effective = 2026-01-01
approved_by = "J. Ortiz, compliance"
first_threshold_s = 960
"""
ORIGIN = Origin(SITE, GATEWAY)
TOPICS = Topics(SITE, GATEWAY, Mode.TEST)
TOKENS = ("AAAAAAAA1", "BBBBBBBB2", "CCCCCCCC3", "DDDDDDDD4")
P1, P2 = "subject-of-p1", "subject-of-p2"
IDENTITIES = {
    P1: Identity(P1, "VISIT-1001", "MRN-555001", "ACC-1"),
    P2: Identity(P2, "VISIT-1002", "MRN-555002", "ACC-2"),
}
CAP_1, CAP_2 = CapRef("cap-01", 1), CapRef("cap-02", 1)


def at(minute: float) -> int:
    """An instant of the story, UTC microseconds."""
    return T0_US + round(minute * MINUTE_US)


class Store(Protocol):
    """As much of a ledger as the story needs."""

    head: Head
    salt: bytes
    signed_seq: int
    policies: frozenset[str]

    async def commit(self, batch: Batch) -> None:
        """Commits all of the batch."""
        ...


class Story:
    """Drives a tracker as the pipeline does, and writes what it says."""

    def __init__(
        self,
        ledger: Store,
        directory: Path,
        policy: str = POLICY,
        identities: Mapping[str, Identity] = IDENTITIES,
    ) -> None:
        self._ledger = ledger
        self._recorder = Recorder(ORIGIN, TOPICS, Mode.TEST, ledger.salt)
        self._state = TrackerState(policies_of([policy]))
        self._identities = identities
        self._observed: dict[str, int] = {}
        self._tokens = iter(TOKENS)
        key = load_or_make_key(directory / KEY_FILE)
        self.checkpointer = Checkpointer(key, ORIGIN, TOPICS.checkpoint, ledger.signed_seq)

    async def learn(self, minute: float, *facts: AnyFact, observing: Sequence[str] = ()) -> None:
        """One transaction: facts learned at `minute`, every busy unit being observed up to it."""
        now_us = at(minute)
        self._observed.update(dict.fromkeys((*self._state.watched, *observing), now_us))
        transaction = Transaction(self._ledger.head, now_us, self._ledger.policies)
        self._state, step = advance(self._state, facts, self._observed, now_us, lambda: next(self._tokens))
        self._recorder.facts(transaction, step.facts)
        watched = {unit for outcome in step.outcomes for unit in outcome.record.watched} | set(observing)
        observed = [ObservedUntil(at_us=now_us, known_at_us=now_us, device=unit) for unit in sorted(watched)]
        self._recorder.facts(transaction, combined(observed))
        for outcome in step.outcomes:
            identity = self._identities.get(outcome.record.patient)
            self._recorder.outcome(transaction, outcome, identity, "")
            for charge in outcome.release.charges:
                self._recorder.charge(transaction, outcome, charge, self._identities[charge.line.patient], "")
        transaction.update_sessions(step.records)
        batch = transaction.batch(self._identities.values())
        await self._ledger.commit(self.checkpointer.with_checkpoint(batch, now_us))

    async def answered(self, minute: float, *settled: Settled, ordered: Sequence[Order] = ()) -> None:
        """One transaction: what the engine answered to charges, and which of them a person had sent again."""
        transaction = Transaction(self._ledger.head, at(minute), self._ledger.policies)
        self._recorder.settled(transaction, settled)
        for order in ordered:
            transaction.record_resend(order)
        await self._ledger.commit(transaction.batch())

    async def observe(self, first: int, last: int) -> None:
        """The ticks of the minutes from `first` to `last`."""
        for minute in range(first, last + 1):
            await self.learn(minute, observing=sorted(self._state.watched))


def cooling(minute: float, cap: CapRef) -> AnyFact:
    return CoolingStarted(
        at_us=at(minute), known_at_us=at(minute), cap=cap, evidence=Evidence.FLOW, serial_number=f"SN-{cap.device}"
    )


def stopped(minute: float, cap: CapRef) -> AnyFact:
    return CoolingStopped(at_us=at(minute), known_at_us=at(minute), cap=cap)


def bound(minute: float, cap: CapRef, patient: str) -> AnyFact:
    return PatientBound(at_us=at(minute), known_at_us=at(minute), cap=cap, patient=patient, evidence="scan")


def infusion(start: float, end: float, patient: str) -> tuple[AnyFact, AnyFact]:
    order = f"O-{patient}"
    return (
        InfusionStarted(at_us=at(start), known_at_us=at(start), order=order, patient=patient, admin=AgentClass.CHEMO),
        InfusionEnded(at_us=at(end), known_at_us=at(end), order=order, patient=patient, admin=AgentClass.CHEMO),
    )


async def record_story(story: Story) -> None:
    """P1: 3 units, moved by a correction, signed and charged. P2: 2 units, provisional."""
    await story.learn(0, bound(0, CAP_1, P1))
    await story.learn(1, cooling(1, CAP_1), observing=["cap-01"])
    first, second = infusion(2, 30, P1), infusion(5, 60, P2)
    await story.learn(2, first[0])
    await story.learn(4, bound(4, CAP_2, P2), cooling(4, CAP_2), observing=["cap-02"])
    await story.learn(5, second[0])
    prepared = PreparationCharted(at_us=at(1), known_at_us=at(6), token=TOKENS[0], person="rn-4471")
    await story.learn(6, prepared, NoteAdded(at_us=at(6), known_at_us=at(6), token=TOKENS[0], text="fits well"))
    await story.observe(20, 29)
    await story.learn(30.5, first[1])
    await story.observe(31, 59)
    await story.learn(60.2, second[1])
    await story.observe(61, 112)
    moved = InfusionEndCorrected(
        at_us=at(30), known_at_us=at(112.5), order=f"O-{P1}", patient=P1, version=2, new_end_us=at(33)
    )
    await story.learn(112.5, moved)
    await story.learn(113, stopped(113, CAP_1), observing=["cap-01"])
    await story.learn(114, stopped(114, CAP_2), observing=["cap-02"])
    await story.learn(118, SessionFinalized(at_us=at(118), known_at_us=at(118), token=TOKENS[0], person="rn-4471"))
    await story.learn(150)


def write_story(path: Path) -> None:
    """The ledger of the story at `path`, closed, its key beside it."""

    async def write() -> None:
        clock = itertools.count(T0_US - MINUTE_US)
        async with open_ledger(path, GATEWAY, lambda: Stamp(next(clock), 0)) as ledger:
            await record_story(Story(ledger, path.parent))

    asyncio.run(write())
