"""The schema of a profile file, except for what depends on its dialect. Reference: docs/devices/README.md."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt

from drivers.profile.alarm_codes import Severity, UnitAlarmCode
from drivers.profile.enums import ReadsEffect, Scope, Trust, UnitName, WordOrder
from drivers.reading import Evidence, Reason, RunState
from drivers.transport.base import Handshake, Parity

ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,31}$"
CONDITION_PATTERN = r"^!?[a-z][a-z0-9_]*(\.\d{1,2}|=-?\d+(\.\.-?\d+)?)$"


def _decimal_text(text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError('not a decimal number, accepted: text like "0.1"') from None
    if not value.is_finite() or value <= 0:
        raise ValueError('not a scale, accepted: a positive decimal number like "0.1"')
    return text


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Scale = Annotated[str, AfterValidator(_decimal_text)]
Number = StrictInt | StrictFloat
Range = tuple[Number, Number]
Condition = Annotated[str, Field(pattern=CONDITION_PATTERN, description="point.bit, point=number or point=low..high")]
Conditions = Annotated[tuple[Condition, ...], Field(min_length=1)]
Register = Annotated[StrictInt, Field(ge=0, le=0xFFFF)]
Milliseconds = Annotated[StrictInt, Field(ge=0, le=60_000)]


# What is accepted where a table is missing, and how a profile says that the unit cannot tell.
_RUN_STATE = "[[run_state]] with when and state, one or more; run_state = [] before the first table if it tells none"
_CIRCULATING = '[circulating] with strength and when; strength = "none" alone if nothing proves it'
_VERIFY = (
    "[[verify]] with point, and equals = a constant or within = [lowest, highest], one or more; "
    "a plausible range of a temperature if it tells nothing else of its kind"
)


class ProfileTable(BaseModel):
    """Base of the file's tables: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class IdentityTable(ProfileTable):
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    vendor: str
    model: str
    source: str
    trust: Trust
    revision: Annotated[StrictInt, Field(ge=1)]


class Serial(ProfileTable):
    baud: Annotated[StrictInt, Field(ge=300, le=1_000_000)]
    bits: Literal[7, 8]
    parity: Parity
    stop: Literal[1, 2]
    handshake: Handshake = Handshake.NONE


class AddressTable(ProfileTable):
    min: Annotated[StrictInt, Field(ge=0, le=255)]
    max: Annotated[StrictInt, Field(ge=0, le=255)]
    default: Annotated[StrictInt, Field(ge=0, le=255)] | None = None


class LinkTable(ProfileTable):
    serial: Serial
    address: AddressTable | None = None


class TimingTable(ProfileTable):
    gap_ms: Milliseconds
    timeout_ms: Annotated[StrictInt, Field(ge=1, le=60_000)]
    drain_ms: Milliseconds
    settle_after_open_ms: Milliseconds
    fastest_poll_ms: Annotated[StrictInt, Field(ge=100, le=600_000)]


class Effects(ProfileTable):
    reads: ReadsEffect


class UnitByBitTable(ProfileTable):
    bit: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.\d{1,2}$")]
    zero: UnitName
    one: UnitName
    one_scale: Scale | None = None


KeyValue = Annotated[str, Field(pattern=r"^(\d{1,5}|[A-Za-z]{1,8})$", description="a whole number or a word")]


class UnitByValueTable(ProfileTable):
    from_: Annotated[Name, Field(alias="from")]
    is_: Annotated[dict[KeyValue, UnitName], Field(alias="is", min_length=1)]


class OrderByValueTable(ProfileTable):
    from_: Annotated[Name, Field(alias="from")]
    is_: Annotated[dict[KeyValue, WordOrder], Field(alias="is", min_length=1)]


class PointTable(ProfileTable):
    """The keys of a point in every dialect."""

    name: Name
    note: str = ""
    scope: Scope = Scope.UNIT
    scale: Scale = "1"
    unit: UnitName | UnitByBitTable | UnitByValueTable | None = None
    range: Range | None = None
    invalid_if: tuple[Condition, ...] = ()
    stuck_after_s: Annotated[StrictInt, Field(ge=1)] | None = None
    max_k_per_min: Annotated[StrictInt, Field(ge=1)] | None = None


class Caps(ProfileTable):
    count: Annotated[StrictInt, Field(ge=1, le=8)]
    stride: Annotated[StrictInt, Field(ge=1)] | None = None
    offsets: tuple[Register, ...] | None = None
    counted_by: Name | None = None


class RunStateTable(ProfileTable):
    when: Conditions
    state: RunState


class FlowTable(ProfileTable):
    point: Name
    at_least: Number


class CirculatingTable(ProfileTable):
    strength: Evidence
    when: tuple[Condition, ...] = ()
    flow: FlowTable | None = None


class Connected(ProfileTable):
    when: Conditions


class AlarmTable(ProfileTable):
    code: UnitAlarmCode
    severity: Severity
    when: Conditions


class VerifyTable(ProfileTable):
    point: Name
    equals: StrictInt | None = None
    within: Range | None = None


class IntegrityTable(ProfileTable):
    point: Name
    inverse_of: Name


class ContinuityTable(ProfileTable):
    treatment: Name
    elapsed: Name


class HeartbeatTable(ProfileTable):
    point: Name
    still_s: Annotated[StrictInt, Field(ge=1)]


class ExchangeTable(ProfileTable):
    tx: str
    rx: str


class ExpectedCap(ProfileTable):
    run_state: RunState | None = None
    circulating: StrictBool | Literal["unknown"] | None = None
    connected: StrictBool | Literal["unknown"] | None = None
    points: dict[str, str] = {}
    bad: dict[str, Reason] = {}


class ExpectedTable(ProfileTable):
    points: dict[str, str] = {}
    bad: dict[str, Reason] = {}
    caps: tuple[ExpectedCap, ...] = ()
    alarms: tuple[UnitAlarmCode, ...] | None = None
    serial_number: str | None = None
    exception: Annotated[StrictInt, Field(ge=1, le=255)] | None = None


class Golden(ProfileTable):
    source: str
    exchanges: Annotated[tuple[ExchangeTable, ...], Field(min_length=1)]
    expect: ExpectedTable


class Notes(ProfileTable):
    """For the documentation only: printed on the profile's page."""

    wiring: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Profile(ProfileTable):
    """The keys of a profile in every dialect."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    identity: IdentityTable
    link: LinkTable
    timing: TimingTable
    effects: Effects
    caps: Caps
    run_state: Annotated[tuple[RunStateTable, ...], Field(description=_RUN_STATE)]
    circulating: Annotated[CirculatingTable, Field(description=_CIRCULATING)]
    connected: Connected | None = None
    alarm: tuple[AlarmTable, ...] = ()
    verify: Annotated[tuple[VerifyTable, ...], Field(min_length=1, description=_VERIFY)]
    integrity: tuple[IntegrityTable, ...] = ()
    continuity: ContinuityTable | None = None
    heartbeat: HeartbeatTable | None = None
    serial_number: Name | None = None
    notes: Notes = Notes()
    golden: tuple[Golden, ...] = ()
