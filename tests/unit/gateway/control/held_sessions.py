"""A session that is held for each reason, and the acts of a person on it."""

import msgspec
import pytest

from drivers.reading import Evidence
from gateway.control.act_context import ActContext, SessionSnapshot
from gateway.control.acts import facts_of
from gateway.control.requests import Explain, Finalise, LiftHold, RequestRefused
from gateway.ledger.access import Actor
from gateway.session.charges import charged_units
from gateway.session.facts import (
    AnyFact,
    CoolingStarted,
    EvidenceLost,
    InfusionEnded,
    OrderChecked,
    SharedBy,
    UnitShared,
)
from gateway.session.flags import HeldReason
from gateway.session.policy import Policy
from gateway.session.state import inspect
from tests.unit.gateway.session.live_tracker import Live, Memory, Watched
from tests.unit.gateway.session.release_session import APPROVED, TOKEN, order_check, prepared
from tests.unit.gateway.session.session_timelines import (
    A1,
    at,
    corrected,
    day,
    ended,
    start,
    stop,
    times,
)


class Site:
    """A session, and the acts of a person on it."""

    def __init__(self, policy: Policy, *facts: AnyFact) -> None:
        self.live = Live(policy, Memory.FORGETS)
        self.live.play(facts)
        self.now_us = max(at("13:30"), *(fact.known_at_us for fact in facts))
        self.live.observe_until(self.now_us)
        self.by, self.person = Actor("host:cm:1001"), "cm"

    @property
    def snapshot(self) -> SessionSnapshot:
        found = inspect(self.live.whole_state(), TOKEN, Watched(self.now_us), self.now_us)
        assert found is not None
        return SessionSnapshot(*found)

    @property
    def charged(self) -> int:
        return charged_units(self.live.records[TOKEN].charged)

    @property
    def held(self) -> tuple[HeldReason, ...]:
        return self.snapshot.outcome.held

    def act(self, act: LiftHold | Finalise | Explain) -> AnyFact:
        """The fact of an act, a minute after the previous one. Raises RequestRefused."""
        self.now_us += 60_000_000
        observed = Watched(self.now_us)
        context = ActContext(self.by, self.now_us, 0, None, {}, frozenset({A1}), {}, observed, lambda visit: visit)
        (fact,), _ = facts_of(act, self.snapshot, context)
        self.live.learn([fact], self.now_us)
        return fact

    def finalise(self) -> AnyFact:
        return self.act(Finalise(request="tell", act="finalise", token=TOKEN, person="rn", reason="complete"))

    def explain(self) -> AnyFact:
        return self.act(Explain(request="tell", act="explain", token=TOKEN, person="rn", reason="a study"))

    def lift(self, *holds: str) -> AnyFact:
        return self.act(
            LiftHold(request="tell", act="lift-hold", token=TOKEN, person=self.person, reason="seen", holds=holds)
        )

    def refused(self, act: str, *args: str) -> str:
        with pytest.raises(RequestRefused) as refusal:
            getattr(self, act)(*args)
        return f"{refusal.value.error} | {refusal.value.accepted}"


def weak(t: str) -> AnyFact:
    return CoolingStarted(**times(t, None), cap=A1, patient="P1", evidence=Evidence.REPORTED)


def policy(**changed: object) -> Policy:
    return msgspec.structs.replace(APPROVED, **changed)


READY = (prepared("08:50"),)
# By reason: the policy, the day, and how many units stand without the cause of the hold.
LIFTED: dict[HeldReason, tuple[Policy, list[AnyFact], int]] = {
    HeldReason.WEAK_EVIDENCE: (policy(min_evidence=Evidence.FLOW), [*READY, weak("09:00"), *day()[1:]], 3),
    HeldReason.AGENT_CLASS_UNKNOWN: (
        APPROVED,
        day(*READY, InfusionEnded(**times("11:10", None), order="X", patient="P1")),
        3,
    ),
    HeldReason.CHEMO_ORDERS_REMAIN: (APPROVED, day(*READY, ended("A", "11:00", remaining=1), infusion_end=None), 3),
    HeldReason.BEYOND_AUTO_RELEASE_LIMIT: (policy(auto_release_limit_units=2), day(*READY), 3),
    HeldReason.BEYOND_ORDERED_DURATION: (
        APPROVED,
        day(*READY, OrderChecked(**times("08:40", None), patient="P1", found=True, ordered_post_minutes=60)),
        3,
    ),
    HeldReason.NO_ORDER: (APPROVED, day(*READY, order_check("08:40", found=False)), 3),
    HeldReason.PREPARATION_MISSING: (APPROVED, day(), 3),
    HeldReason.EVIDENCE_LOST: (APPROVED, day(*READY, EvidenceLost(**times("12:20", None), token=TOKEN)), 3),
    HeldReason.UNIT_SHARED: (
        APPROVED,
        day(*READY, UnitShared(**times("12:20", None), device=A1.device, gateway="gw-02", unit="x", by=SharedBy.LINE)),
        3,
    ),
    HeldReason.ADMINISTRATION_MISSING: (
        APPROVED,
        [*READY, start("09:00"), ended("A", "11:00", presumed=True), stop("12:30")],
        3,
    ),
    HeldReason.REVISIONS_EXHAUSTED: (
        APPROVED,
        day(*READY, *(corrected("A", f"12:{number:02d}", "11:00:30", number) for number in range(31, 58, 2)))
        + [corrected("A", f"12:{number:02d}", "11:00", number) for number in range(32, 59, 2)],
        3,
    ),
}
