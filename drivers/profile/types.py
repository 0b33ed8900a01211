"""DeviceProfile and its parts: frozen, checked, and compiled into a decoder by `drivers.decode.decoder`."""

from fractions import Fraction

import msgspec

from drivers.dialects.base import ModbusQuery, NumberQuery, Query, TextQuery
from drivers.dialects.registry import DialectName
from drivers.profile.alarm_codes import Severity, UnitAlarmCode
from drivers.profile.enums import Kind, ReadsEffect, Scope, Trust, UnitName, WordOrder
from drivers.reading import Evidence, RunState
from drivers.transport.base import SerialSettings


class KindIdentity(msgspec.Struct, frozen=True):
    """The kind of unit, with the source and the trust of the profile."""

    id: str
    vendor: str
    model: str
    source: str  # document and revision
    trust: Trust
    revision: int


class Address(msgspec.Struct, frozen=True):
    """The range of unit ids."""

    min: int
    max: int
    default: int | None  # None: polled without an address unless the site gives one


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
    """What one exchange reads: registers, the reply to a text command, or to a numbered command or variable."""

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
    """A condition on a point: a bit is set, or a number is within bounds; or the negation."""

    point: str
    negated: bool
    bit: int | None  # None: the condition is `low` <= value <= `high`
    low: int = 0
    high: int = 0


class UnitByBit(msgspec.Struct, frozen=True):
    """The unit of measurement is chosen by a bit of another point."""

    point: str
    bit: int
    zero: UnitName
    one: UnitName
    one_scale: Fraction


class UnitByValue(msgspec.Struct, frozen=True):
    """The unit of measurement is chosen by another point's value; with an unlisted value there is no measurement."""

    point: str
    units: tuple[tuple[int | str, UnitName], ...]


class OrderByValue(msgspec.Struct, frozen=True):
    """The byte order is chosen by another point's value; with an unlisted value there is no value."""

    point: str
    orders: tuple[tuple[int | str, WordOrder], ...]


class Point(msgspec.Struct, frozen=True):
    """One value that a unit reports; a measurement if it has a unit of measurement."""

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
    max_k_per_min: float | None  # a faster change is implausible


class RunStateRule(msgspec.Struct, frozen=True):
    """The run state is `state` if all of `when` hold."""

    when: tuple[PointCondition, ...]
    state: RunState


class Flow(msgspec.Struct, frozen=True):
    """The minimum measured flow that counts as circulation."""

    point: str
    at_least: float  # canonical unit


class Circulating(msgspec.Struct, frozen=True):
    """The evidence for circulation, and its strength."""

    strength: Evidence
    when: tuple[PointCondition, ...]
    flow: Flow | None


class AlarmRule(msgspec.Struct, frozen=True):
    """The alarm `code` is raised if all of `when` hold."""

    code: UnitAlarmCode
    severity: Severity
    when: tuple[PointCondition, ...]


class Verify(msgspec.Struct, frozen=True):
    """An identity check of the kind of unit: a constant, or a plausible range in the canonical unit."""

    point: str
    equals: int | None
    within: tuple[float, float] | None


class Integrity(msgspec.Struct, frozen=True):
    """Two words that are each other's bitwise inverse in every intact answer."""

    point: str
    inverse_of: str


class ContinuityPoints(msgspec.Struct, frozen=True):
    """The points with a cap's treatment number and its circulating seconds."""

    treatment: str
    elapsed: str


class Heartbeat(msgspec.Struct, frozen=True):
    """A counter that stops only if the controller hangs."""

    point: str
    still_s: int


class DeviceProfile(msgspec.Struct, frozen=True):
    """One kind of unit."""

    identity: KindIdentity
    dialect: DialectName
    serial: SerialSettings
    address: Address | None  # None: the kind has no addresses, so it is alone on its line
    timing: Timing
    reads_effect: ReadsEffect
    watchdog: Block | None  # communication watchdog; not 0: the unit acts when polling stops
    blocks: tuple[Block, ...]
    after_miss: Block | None  # the first read after a miss, distinguishable from late replies
    points: tuple[Point, ...]
    cap_offsets: tuple[int, ...]  # register offset of each cap's points
    caps_counted_by: str | None  # the point with the number of caps of the individual unit
    run_states: tuple[RunStateRule, ...]  # first match wins
    circulating: Circulating
    connected: tuple[PointCondition, ...]  # empty: the unit does not report it
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
        """The maximum number of caps of such a unit."""
        return len(self.cap_offsets)

    @property
    def evidence(self) -> Evidence:
        """The kind of evidence for circulation."""
        return self.circulating.strength
