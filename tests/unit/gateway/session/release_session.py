"""A session that is about to be released, for the tests of release and corrections."""

import msgspec

from gateway.session.charges import Charge
from gateway.session.facts import (
    AnyFact,
    CorrectionDecided,
    HoldLifted,
    OrderChecked,
    PreparationCharted,
    SessionFinalized,
)
from gateway.session.outcome import Outcome, SessionRecord
from gateway.session.policy import ChargeLines, Policy, ReleaseMode
from tests.unit.gateway.session.live_tracker import Live, Memory
from tests.unit.gateway.session.session_timelines import day, times

APPROVED = Policy(approved_by="J. Ortiz, compliance")
PER_INCREMENT = msgspec.structs.replace(APPROVED, charge_lines=ChargeLines.PER_INCREMENT, automatic_credit=True)
DRY_RUN = msgspec.structs.replace(APPROVED, release=ReleaseMode.DRY_RUN)
TOKEN = "T00000001"
WINDOW = "84:30"  # 72 hours after the stop at 12:30


def prepared(t: str) -> AnyFact:
    return PreparationCharted(**times(t, None), patient="P1", person="rn")


def signed(t: str) -> AnyFact:
    return SessionFinalized(**times(t, None), token=TOKEN, person="rn")


def lifted(t: str, *holds: str, units: int | None = None) -> AnyFact:
    return HoldLifted(**times(t, None), token=TOKEN, person="cm", holds=holds, units=units)


def decided(t: str, charge: str, *, approved: bool = True) -> AnyFact:
    return CorrectionDecided(**times(t, None), token=TOKEN, person="cm", charge=charge, approved=approved)


def order_check(t: str, *, found: bool) -> AnyFact:
    return OrderChecked(**times(t, None), patient="P1", found=found)


class ReleaseSession:
    """A session of three increments (11:16, 11:46, 12:16) and what is said of its release."""

    def __init__(self, policy: Policy = APPROVED, *more: AnyFact, stopped: str | None = "12:30") -> None:
        self.live = Live(policy, Memory.FORGETS)
        self.live.play(day(prepared("08:50"), *more, stopped=stopped))

    def learn(self, *facts: AnyFact) -> Outcome:
        """Facts of one instant, and what they changed."""
        (outcome,) = self.live.learn(facts, facts[0].known_at_us).outcomes
        return outcome

    @property
    def record(self) -> SessionRecord:
        return self.live.records[TOKEN]

    @property
    def charges(self) -> list[str]:
        """Every charge and credit as text: `00A x3`, `A0A x3 for 00A`."""
        return [text(charge) for _, charge in self.live.charges]

    @property
    def state(self) -> str:
        """`held: no_order`, and open corrections as `00A: 3 -> 2`."""
        now = self.record.published
        if now is None:
            raise AssertionError("nothing was published")
        reasons = f": {' '.join(now.held)}" if now.held else ""
        items = [f"{each.charge[9:]}: {each.charged} -> {each.counted}" for each in now.corrections if not each.refused]
        return "; ".join([now.release + reasons, *items])


def text(charge: Charge) -> str:
    reverses = f" for {charge.reverses[9:]}" if charge.reverses else ""
    return f"{charge.key[9:]} x{charge.quantity}{reverses}"
