"""What goes wrong on a day, drawn for each kind by itself, so that leaving a kind out changes nothing of the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.campaign.clinic_time import EPOCH_US
from tests.campaign.plan import DAY, HOUR, MINUTE, S


class Kind(StrEnum):
    """A kind of fault."""

    RESTART = "restart"  # in order
    KILL = "kill"  # at an instant
    COMMIT = "commit"  # killed right after one of the ledger's jobs, before anybody knows its outcome
    DOWNTIME = "downtime"  # the box is off for minutes or hours
    LONG = "long"  # and for days or weeks
    SLOW = "slow"  # each job of the disk takes long
    FULL = "full"  # the disk is full
    BROKER = "broker"  # no broker
    SESSION = "session"  # the broker loses its session and what it kept
    PUBACK = "puback"  # the broker takes messages, and its answers are lost
    UNIT = "unit"  # a unit does not answer
    DEAD = "dead"  # for days
    LINE = "line"  # none does
    POWER = "power"  # none does, and meanwhile the box begins anew
    CLOCK = "clock"  # the wall clock is stepped, and later put right
    POLICY = "policy"  # another policy, taken up by a restart
    CONFIG = "config"  # another configuration, taken up by a restart
    UPGRADE = "upgrade"  # another version of the gateway, taken up by a restart
    DAMAGE = "damage"  # a page of the ledger's file has gone bad over a restart


@dataclass(frozen=True)
class Fault:
    """One fault: when it begins, and how long it lasts. `choice` in 0..1 decides what else there is to decide."""

    at_us: int
    kind: Kind
    length_us: int
    choice: float


_CHANCES: dict[Kind, tuple[float, int, int]] = {  # a day's chance, and how long at least and at most
    Kind.RESTART: (0.15, 2 * S, 60 * S),
    Kind.KILL: (0.15, 5 * S, 90 * S),
    Kind.COMMIT: (0.12, 5 * S, 60 * S),
    Kind.DOWNTIME: (0.08, 5 * MINUTE, 10 * HOUR),
    Kind.LONG: (0.012, DAY, 21 * DAY),
    Kind.SLOW: (0.12, 5 * MINUTE, 2 * HOUR),
    Kind.FULL: (0.03, 5 * MINUTE, HOUR),
    Kind.BROKER: (0.08, MINUTE, 20 * HOUR),
    Kind.SESSION: (0.05, S, S),
    Kind.PUBACK: (0.05, MINUTE, 20 * MINUTE),
    Kind.UNIT: (0.3, 2 * MINUTE, 3 * HOUR),
    Kind.DEAD: (0.06, 3 * DAY, 9 * DAY),
    Kind.LINE: (0.06, 2 * MINUTE, 40 * MINUTE),
    Kind.POWER: (0.06, 6 * MINUTE, 2 * HOUR),
    Kind.CLOCK: (0.04, HOUR, 12 * HOUR),
    Kind.POLICY: (0.05, 2 * S, 20 * S),
    Kind.CONFIG: (0.03, 2 * S, 20 * S),
    Kind.UPGRADE: (0.02, 2 * S, 60 * S),
    Kind.DAMAGE: (0.025, 5 * S, 60 * S),
}


def faults(seed: int, day: int, kinds: Iterable[Kind]) -> Iterator[Fault]:
    """The faults that begin on a day."""
    for kind in kinds:
        random = Random(f"fault {kind} {seed} {day}")
        chance, least_us, most_us = _CHANCES[kind]
        if random.random() < chance:
            at_us = EPOCH_US + day * DAY + random.randrange(7 * HOUR, 19 * HOUR)
            # Short ones are as likely as long ones.
            length_us = round(least_us * (most_us / least_us) ** random.random())
            yield Fault(at_us, kind, length_us, random.random())
