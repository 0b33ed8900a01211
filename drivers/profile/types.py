"""What a kind of unit is, inside the program: frozen, checked, compiled into a decoder by `drivers.decode.decoder`."""

from fractions import Fraction

import msgspec

from drivers.dialects.base import ModbusQuery, NumberQuery, Query, TextQuery
from drivers.dialects.registry import DialectName
from drivers.profile.alarm_codes import Severity, UnitAlarmCode
from drivers.profile.shape import (
    Kind,
    ReadsEffect,
    Scope,
    Trust,
    UnitName,
    WordOrder,
)
from drivers.reading import Evidence, RunState
from drivers.transport.base import SerialSettings


class KindIdentity(msgspec.Struct, frozen=True):
    """Which kind of unit, and on whose word."""

    id: str
    vendor: str
    model: str
    source: str  # document and revision
    trust: Trust
    revision: int


class Address(msgspec.Struct, frozen=True):
    """Unit ids that the kind may have on a shared line."""

    min: int
    max: int
    default: int | None  # None: it is asked without an address unless the site gives one


class Timing(msgspec.Struct, frozen=True):
    """Seconds. `drain_s` is the longest reply time; `fastest_poll_s` is the shortest period a site may choose."""

    gap_s: float
    timeout_s: float
    drain_s: float
    settle_after_open_s: float
    fastest_poll_s: float


class Registers(msgspec.Struct, frozen=True):
    """A span of Modbus registers, base 0."""

    function: int  # 3 or 4
    address: int
    count: int


class Block(msgspec.Struct, frozen=True):
    """What one exchange reads: registers, the reply to a command, or to a numbered one (NC, Huber PB)."""

    name: str
    source: Registers | str | int

    def query(self, unit_id: int | None) -> Query:
        """The request to the unit at `unit_id` (for registers, 0 where there is none)."""
        match self.source:
            case Registers(function, address, count):
                return ModbusQuery(unit_id or 0, function, address, count)
            case int(number):
                return NumberQuery(number, unit_id)
            case command:
                return TextQuery(command, unit_id)


class PointCondition(msgspec.Struct, frozen=True):
    """A bit that is set, or a number within bounds; or, negated, not."""

    point: str
    negated: bool
    bit: int | None  # None: `low` and `high` count
    low: int = 0
    high: int = 0


class UnitByBit(msgspec.Struct, frozen=True):
    """The unit itself says what it measures in."""

    point: str
    bit: int
    zero: UnitName
    one: UnitName
    one_scale: Fraction


class UnitByValue(msgspec.Struct, frozen=True):
    """Another point says by its value what this one measures in; a value that is not listed leaves no measurement."""

    point: str
    units: tuple[tuple[int | str, UnitName], ...]


class OrderByValue(msgspec.Struct, frozen=True):
    """Another point says by its value in which order the bytes come; one that is not listed leaves no value."""

    point: str
    orders: tuple[tuple[int | str, WordOrder], ...]


class Point(msgspec.Struct, frozen=True):
    """One thing that a unit says. It is a measurement where it has a unit."""

    name: str
    scope: Scope
    block: str
    at: int  # register or byte within the block; 0 for texts
    type: Kind
    order: WordOrder | OrderByValue | None
    length: int  # registers or bytes
    sentinels: frozenset[int | str]  # as on the wire, unsigned
    scale: Fraction
    unit: UnitName | UnitByBit | UnitByValue | None
    range: tuple[float, float] | None  # canonical unit
    invalid_if: tuple[PointCondition, ...]
    stuck_after_s: int | None
    max_k_per_min: float | None  # a faster change is none of what is measured


class RunStateRule(msgspec.Struct, frozen=True):
    """All of `when` make `state`."""

    when: tuple[PointCondition, ...]
    state: RunState


class Flow(msgspec.Struct, frozen=True):
    """A measured flow that circulation must show."""

    point: str
    at_least: float  # canonical unit


class Circulating(msgspec.Struct, frozen=True):
    """What proves that coolant circulates, and how well."""

    strength: Evidence
    when: tuple[PointCondition, ...]
    flow: Flow | None


class AlarmRule(msgspec.Struct, frozen=True):
    """All of `when` raise `code`."""

    code: UnitAlarmCode
    severity: Severity
    when: tuple[PointCondition, ...]


class Verify(msgspec.Struct, frozen=True):
    """What shows that the unit is of this kind: a constant, or a plausible range in the canonical unit."""

    point: str
    equals: int | None
    within: tuple[float, float] | None


class Integrity(msgspec.Struct, frozen=True):
    """Two words of which each is the other's bitwise inverse in every good answer."""

    point: str
    inverse_of: str


class ContinuityPoints(msgspec.Struct, frozen=True):
    """The points that are a cap's treatment number and its circulating seconds."""

    treatment: str
    elapsed: str


class Heartbeat(msgspec.Struct, frozen=True):
    """A counter whose standing still means a hung controller."""

    point: str
    still_s: int


class DeviceProfile(msgspec.Struct, frozen=True):
    """One kind of unit."""

    identity: KindIdentity
    dialect: DialectName
    serial: SerialSettings
    address: Address | None  # None: alone on its line
    timing: Timing
    reads_effect: ReadsEffect
    watchdog: Block | None  # a number other than 0: the unit acts by itself when nobody polls it any more
    blocks: tuple[Block, ...]
    after_miss: Block | None  # read first after a miss: no late reply can pass for its answer
    points: tuple[Point, ...]
    cap_offsets: tuple[int, ...]  # registers that each cap's points lie further on; one a cap
    caps_counted_by: str | None  # the point that says how many caps this very unit has
    run_states: tuple[RunStateRule, ...]  # first match wins
    circulating: Circulating
    connected: tuple[PointCondition, ...]  # empty: the unit cannot tell
    alarms: tuple[AlarmRule, ...]
    verify: tuple[Verify, ...]
    integrity: tuple[Integrity, ...]
    continuity: ContinuityPoints | None
    heartbeat: Heartbeat | None
    serial_number: str | None

    @property
    def id(self) -> str:
        """The stable name of the kind."""
        return self.identity.id

    @property
    def caps(self) -> int:
        """How many caps such a unit has at most."""
        return len(self.cap_offsets)

    @property
    def evidence(self) -> Evidence:
        """How well such a unit proves circulation."""
        return self.circulating.strength
