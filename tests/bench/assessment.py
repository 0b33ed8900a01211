"""What an assessment costs on a unit that comes and goes: `python -m tests.bench.assessment`.

One treatment in which the unit went out of sight so many times and came back. Prints what was measured and asserts
nothing; that twice the facts cost about twice is held by a test.
"""

import sys
import time

from gateway.session.assessment import assess
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapRef,
    CoolingStarted,
    InfusionEnded,
    InfusionStarted,
    UnitOffline,
    UnitOnline,
)
from gateway.session.policy import Policy
from gateway.session.spans import US_PER_S

INTERRUPTIONS = (300, 1_000, 3_000)
REPEATS = 7
PERIOD_US = 10 * US_PER_S
CAP = CapRef("cap-01", 1)


def treatment(interruptions: int) -> list[AnyFact]:
    """The facts of a treatment whose unit is out of sight for a second of every ten."""
    facts: list[AnyFact] = [
        CoolingStarted(at_us=0, known_at_us=0, cap=CAP),
        InfusionStarted(at_us=1, known_at_us=1, order="o", patient="p", admin=AgentClass.CHEMO),
        InfusionEnded(at_us=2, known_at_us=2, order="o", patient="p"),
    ]
    for number in range(1, interruptions + 1):
        at_us = number * PERIOD_US
        facts.append(UnitOffline(at_us=at_us, known_at_us=at_us, device=CAP.device))
        facts.append(UnitOnline(at_us=at_us + US_PER_S, known_at_us=at_us + US_PER_S, device=CAP.device))
    return facts


def cost_ms(facts: list[AnyFact], until_us: int) -> float:
    """Processor time of an assessment, the least of several."""
    policy, costs_s = Policy(), list[float]()
    for _ in range(REPEATS):
        began_s = time.process_time()
        assess(facts, policy, until_us)
        costs_s.append(time.process_time() - began_s)
    return 1000 * min(costs_s)


def main() -> None:
    """Print a row for each size."""
    sys.stdout.write(f"{'interruptions':>13} {'CPU ms':>8}\n")
    for number in INTERRUPTIONS:
        sys.stdout.write(f"{number:13d} {cost_ms(treatment(number), (number + 1) * PERIOD_US):8.1f}\n")


if __name__ == "__main__":
    main()
