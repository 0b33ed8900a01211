"""A session with all that a record can have to say: a pause, a loaner, a correction, a credit, hostile words."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

from drivers.reading import Evidence, Stamp
from gateway.ledger.bodies import Order
from gateway.ledger.entry import subject_of
from gateway.ledger.store import open_ledger
from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Receipt
from gateway.recording.receipts import Settled
from gateway.session.facts import (
    AgentClass,
    CapIdentified,
    CapRef,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopped,
    CorrectionDecided,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionStarted,
    NoteAdded,
    OrderChecked,
    PatientBound,
    PreparationCharted,
    SessionFinalized,
    ToleranceChecked,
    ToleranceFinding,
    UnitSwapped,
)
from tests.unit.gateway.ledger.ledger_story import (
    CAP_1,
    CAP_2,
    GATEWAY,
    MINUTE_US,
    T0_US,
    TOKENS,
    Story,
    at,
    bound,
    cooling,
)

TOKEN = TOKENS[0]
LOANER = CapRef("loan-01", 1)
VISIT, MRN, ACCOUNT = "VISIT-1001", "MRN-555001", "ACC-1"
WORDS = "fits well"
HOSTILE = "<script>alert('&amp;\"')</script>{{ 7 * 7 }}{% raw %}\x1b[31m\u202e\nnext"
CHARGE, CREDIT, ANEW = f"{TOKEN}00A", f"{TOKEN}A0A", f"{TOKEN}00B"
POLICY = """
name = "midpoint"
revision = "3"
effective = 2026-01-01
approved_by = "J. Ortiz, compliance"
first_threshold_s = 960
timezone = "America/New_York"
"""


async def record_session(story: Story, patient: str, words: str, engine: str) -> None:
    """Cooled from 1 to 150, infused to 30, disconnected 40 to 49:12, on a loaner from 70; the end is moved to 38."""

    def said(minute: float, known: float | None = None) -> dict[str, Any]:
        when = minute if known is None else known
        return {"at_us": at(minute), "known_at_us": at(when), "token": TOKEN, "person": words, "reason": words}

    def of_order(minute: float, known: float) -> dict[str, Any]:
        about = {
            "order": f"O-1 {words}",
            "patient": patient,
            "admin": AgentClass.CHEMO,
            "charted_us": at(known) - 7_000_000,
        }
        return {"at_us": at(minute), "known_at_us": at(known), "person": words, "reason": words, **about}

    await story.learn(0, bound(0, CAP_1, patient))
    cooled = CoolingStarted(at_us=at(1), known_at_us=at(1), cap=CAP_1, evidence=Evidence.FLOW, serial_number=words)
    await story.learn(1, cooled, observing=["cap-01"])
    await story.learn(2, InfusionStarted(**of_order(2, 2)))
    await story.learn(
        6,
        PreparationCharted(**said(1, 6)),
        ToleranceChecked(**said(5, 6), comfort=ToleranceFinding.OK, scalp=ToleranceFinding.CONCERN),
        CapIdentified(**said(6), cap_id=f"SC-M {words}", lot=words),
        NoteAdded(**said(6), text=words),
        OrderChecked(
            at_us=at(6),
            known_at_us=at(6),
            found=True,
            patient=patient,
            ordered_post_minutes=120.0,
            person=words,
            reason=words,
        ),
    )
    await story.observe(7, 30)
    await story.learn(31, InfusionEnded(**of_order(30, 31)))
    paused = CoolingPaused(at_us=at(40), known_at_us=at(40), cap=CAP_1, reason="disconnected")
    await story.observe(32, 39)
    await story.learn(40, paused, observing=["cap-01"])
    await story.learn(49.2, CoolingResumed(at_us=at(49.2), known_at_us=at(49.2), cap=CAP_1), observing=["cap-01"])
    await story.observe(50, 69)
    swap = UnitSwapped(
        at_us=at(70),
        known_at_us=at(70),
        unit="cap-01",
        loaner="loan-01",
        profile="julabo-cf",
        person=words,
        reason=words,
    )
    await story.learn(70, CoolingStopped(at_us=at(70), known_at_us=at(70), cap=CAP_1), swap, observing=["cap-01"])
    again = CoolingStarted(
        at_us=at(72), known_at_us=at(72), cap=LOANER, evidence=Evidence.PUMP_BIT, serial_number="L-7"
    )
    moved = PatientBound(at_us=at(72), known_at_us=at(72), cap=LOANER, patient=patient, evidence="person", person=words)
    await story.learn(72, moved, again, observing=["loan-01"])
    await story.observe(73, 149)
    stopped = CoolingStopped(at_us=at(150), known_at_us=at(150), cap=LOANER)
    await story.learn(150, stopped, observing=["loan-01"])
    await story.learn(152, SessionFinalized(**said(152), units=4))
    await story.answered(153, Settled(CHARGE, Receipt("m-1", CHARGE, "accepted", text=engine)))
    corrected = InfusionEndCorrected(**of_order(30, 160), version=2, new_end_us=at(38))
    await story.learn(160, corrected)
    await story.learn(170, CorrectionDecided(**said(170), charge=CHARGE, approved=True))
    await story.answered(171, Settled(CREDIT, Receipt("m-2", CREDIT, "rejected", "AR-7", engine)))
    await story.answered(172, ordered=[Order(CREDIT, words, words)])


def write_session(path: Path, words: str = WORDS, *, engine: str = WORDS, twice: bool = False) -> None:
    """The ledger of the session at `path`, closed; people, orders and reasons are called `words`.

    `engine` is what the interface engine says in its receipts; with `twice` the visit has another session later.
    """

    async def write() -> None:
        clock = itertools.count(T0_US - MINUTE_US)
        async with open_ledger(path, GATEWAY, lambda: Stamp(next(clock), 0)) as ledger:
            patient = subject_of(ledger.salt, VISIT)
            story = Story(ledger, path.parent, POLICY, {patient: Identity(patient, VISIT, MRN, ACCOUNT)})
            await record_session(story, patient, words, engine)
            if twice:
                await story.learn(3000, bound(3000, CAP_2, patient))
                await story.learn(3001, cooling(3001, CAP_2), observing=["cap-02"])

    asyncio.run(write())
