"""What a clinic means to do: its visits, what its machines do, what the EHR says and when, and how its people behave.

Frozen values alone. Instants are true UTC microseconds.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.messages.notation import Notation

S = 1_000_000
MINUTE = 60 * S
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Place(NamedTuple):
    """A cap of a unit."""

    unit: str
    cap: int


class Rule(StrEnum):
    """What must hold."""

    BYTES = "bytes"  # a repeated message is byte-equal
    LOG = "log"  # increments and charges follow one another as their keys say
    COUNT = "count"  # as many units stand as the oracle counts
    INSTANT = "instant"  # where it counts them
    UNASKED = "unasked"  # increments change only when something was said, seen or due
    SHOWN = "shown"  # what is not settled is listed, with what it waits for
    CHARGED = "charged"  # what is due is charged, or waits for somebody
    SAME = "same"  # a restart changes nothing
    LIST = "list"  # the list can be had
    TAKEN = "taken"  # what the EHR says of a visit is taken
    ACT = "act"  # so is what a person does about a session that is listed
    RECEIPTS = "receipts"  # what the engine has of the charges is what the gateway says of it
    ALIVE = "alive"  # the gateway does not end by itself
    AUDIT = "audit"  # verify finds nothing
    POLICY = "policy"  # a session keeps its policy
    MEMORY = "memory"  # memory is bounded by what is open


class Violation(NamedTuple):
    """A rule that was broken, on which day, and how."""

    day: int
    rule: Rule
    text: str


class CapState(StrEnum):
    """What a cap truly does."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


class Move(NamedTuple):
    """A cap changes its state."""

    at_us: int
    place: Place
    state: CapState


class Stay(NamedTuple):
    """A patient on a cap, from before its start to after its stop."""

    place: Place
    from_us: int
    to_us: int


class Meaning(StrEnum):
    """What a statement says, as far as counting needs it."""

    BOUND = "bound"
    STARTED = "started"
    ENDED = "ended"
    ENDED_MORE = "ended-more"  # and more chemotherapy is ordered
    CORRECTED = "corrected"
    VOIDED = "voided"
    OTHER = "other"


@dataclass(frozen=True)
class Statement:
    """Something that the EHR says at `say_us` about `at_us`; `visit` is whom it names."""

    id: str
    thing: str  # the ending of the event's type, without its version
    meaning: Meaning
    at_us: int
    say_us: int
    visit: str
    order: str = ""
    place: Place | None = None
    version: int | None = None
    recorded_us: int | None = None
    extra: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Manners:
    """How people deal with a visit's session; hours, None for never."""

    sign_h: float | None = None  # after the stop
    bind_h: float | None = None  # after the stop, what is nobody's
    reassign_h: float | None = None  # after the stop, a cap bound to another visit
    lift_h: float | None = 24.0  # after the session was first seen to be held
    decide_h: float | None = 24.0  # after a charge was first seen to be in question
    approve: bool = True
    end_h: float | None = None  # after the stop, an infusion end that no message said


@dataclass(frozen=True)
class Visit:
    """One treatment of one patient."""

    key: str
    visit: str
    moves: tuple[Move, ...]
    stays: tuple[Stay, ...]
    statements: tuple[Statement, ...]
    manners: Manners
    ends: tuple[tuple[str, int], ...]  # order, its true end
    stop_us: int
    feed: Notation  # in what the chart tells of infusions

    @property
    def start_us(self) -> int:
        """The first start of cooling."""
        return self.moves[0].at_us
