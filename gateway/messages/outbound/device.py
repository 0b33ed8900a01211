"""The messages under `dev/`: gateway, units, caps, alarms and session heads, without patient identifiers.

One struct for each JSON Schema (schemas/*.json), fields in the order of the message. A field with a default is left out
when it has the default; null means that the unit does not report the value.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from drivers.reading import CapReading, FaultKind, Measurement, Quality, Reading, Reason, RunState
from gateway.messages.cloudevents import Event, Origin, Trace, encode_event, kind, make_event
from gateway.messages.instants import Rfc3339, rfc3339, rfc3339_or_none
from gateway.messages.notation import Mode
from gateway.session.assessment import Phase

GATEWAY_STATUS = kind("gateway.status", "gateway-status")
UNIT_STATUS = kind("unit.status", "unit-status")
TEMPERATURE = kind("cap.temperature", "temperature")
RUN_STATE_CHANGED = kind("cap.run-state-changed", "cap-event")
PHASE_CHANGED = kind("cap.phase-changed", "cap-event")
ALARM = kind("alarm", "alarm")
SESSION_HEAD = kind("session.head", "session-head")


class GatewayState(StrEnum):
    """Whether the gateway is online."""

    ONLINE = "online"
    OFFLINE = "offline"


class StatusReason(StrEnum):
    """Why a gateway is offline."""

    CONNECTION_LOST = "connection-lost"  # in the will, which the broker publishes
    SHUTDOWN = "shutdown"
    RESTART = "restart"


class ClockState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the machine's clock follows a time server, and how far it may be off."""

    synchronized: bool
    max_error_ms: float | None = None


class StatusRole(StrEnum):
    """The program that publishes the status, if it is not a gateway."""

    BRIDGE = "bridge"


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Birth, will and farewell. A will whose `epoch` is lower than the last birth's is stale."""

    state: GatewayState
    reason: StatusReason | None = None  # given when offline
    epoch: int  # number of the connection to the broker
    software: str
    protocol: str | None = None  # MQTT "5.0" or "3.1.1"; given when online
    mode: Mode
    clock: ClockState | None = None
    role: StatusRole | None = None  # a gateway's has none


def gateway_status_event(origin: Origin, at_us: int, status: GatewayStatus, edition: str) -> Event:
    """`edition` distinguishes statuses of one epoch: "birth", "will", "farewell", or a number for a later change.

    A will is fixed when the connection is made, so its time is that of the connection, not of the loss.
    """
    return make_event(
        origin,
        GATEWAY_STATUS,
        event_id=f"{origin.gateway}.{status.epoch:010d}.{edition}",
        time=rfc3339(at_us),
        subject=f"gateway/{origin.gateway}",
        data=status,
    )


class LinkState(StrEnum):
    """Whether a unit answers."""

    UP = "up"
    DOWN = "down"


class CapStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cap of a unit by the last reading; unknown while the link is down."""

    cap: int
    run_state: RunState
    connected: bool | None
    circulating: bool | None
    chair: str | None = None


class UnitStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Link, alarms and the run state of every cap."""

    unit: str
    link: LinkState
    since: Rfc3339  # of the link's state
    fault: FaultKind | None = None  # why the link is down
    profile: str
    serial_number: str | None = None
    line: str | None = None  # digest of line and address, 16 hexadecimal digits, equal for gateways that read the same
    caps: tuple[CapStatus, ...]
    alarms: tuple[str, ...]  # canonical codes
    observed_at: Rfc3339 | None  # the last reading; null: none yet


def unit_up_event(
    origin: Origin,
    reading: Reading,
    *,
    event_id: str,
    profile: str,
    line: str | None,
    since_us: int,
    chairs: Mapping[int, str],
    trace: Trace,
) -> Event:
    """The status of a unit that answers, from `reading`; `chairs` maps a cap to its chair."""
    observed_at = rfc3339(reading.observed_at.utc_us)
    status = UnitStatus(
        unit=reading.unit,
        link=LinkState.UP,
        since=rfc3339(since_us),
        profile=profile,
        serial_number=reading.serial_number,
        line=line,
        caps=tuple(_cap_status(cap, chairs) for cap in reading.caps),
        alarms=reading.alarms,
        observed_at=observed_at,
    )
    return make_event(
        origin,
        UNIT_STATUS,
        event_id=event_id,
        time=observed_at,
        subject=f"unit/{reading.unit}",
        data=status,
        trace=trace,
    )


def _cap_status(cap: CapReading, chairs: Mapping[int, str]) -> CapStatus:
    return CapStatus(cap.cap, cap.run_state, cap.connected, cap.circulating, chairs.get(cap.cap))


def unit_down_event(
    origin: Origin,
    unit: str,
    fault: FaultKind,
    *,
    event_id: str,
    profile: str,
    at_us: int,
    since_us: int,
    caps: Mapping[int, str | None],
    observed_us: int | None,
    trace: Trace,
) -> Event:
    """The status of a unit without a reading: every cap is unknown. `caps` maps each cap to its chair, if any."""
    status = UnitStatus(
        unit=unit,
        link=LinkState.DOWN,
        since=rfc3339(since_us),
        fault=fault,
        profile=profile,
        caps=tuple(CapStatus(cap, RunState.UNKNOWN, None, None, chair) for cap, chair in caps.items()),
        alarms=(),
        observed_at=rfc3339_or_none(observed_us),
    )
    return make_event(
        origin, UNIT_STATUS, event_id=event_id, time=rfc3339(at_us), subject=f"unit/{unit}", data=status, trace=trace
    )


class TemperatureValue(msgspec.Struct, frozen=True, omit_defaults=True):
    """One measured point: a value, or the reason there is none. `name` is the canonical point, never a body site."""

    name: str  # canonical: cap_front, coolant_supply ...
    value: float | None
    unit: str  # UCUM
    quality: Quality
    reason: Reason | None = None


class Temperature(msgspec.Struct, frozen=True):
    """The temperatures of one cap in one reading."""

    unit: str
    cap: int
    observed_at: Rfc3339
    values: tuple[TemperatureValue, ...]


def temperature_event(origin: Origin, unit: str, cap: CapReading, observed_us: int) -> bytes:
    """One reading of one cap, encoded; the instant is the event's key. Cheap enough for a thousand a second."""
    observed_at = rfc3339(observed_us)
    values = tuple([_temperature_value(name, m) for name, m in cap.temperatures.items()])
    return encode_event(
        make_event(
            origin,
            TEMPERATURE,
            event_id=f"{unit}.{cap.cap}.{observed_us}",
            time=observed_at,
            subject=f"unit/{unit}/cap/{cap.cap}",
            data=Temperature(unit, cap.cap, observed_at, values),
        )
    )


def _temperature_value(name: str, measured: Measurement) -> TemperatureValue:
    return TemperatureValue(name, measured.value, measured.unit, measured.quality, measured.reason)


class Aspect(StrEnum):
    """The property of a cap that changed."""

    RUN_STATE = "run-state"
    PHASE = "phase"


class CapEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of a cap's run state or of its session's phase."""

    unit: str
    cap: int
    aspect: Aspect
    from_: str = msgspec.field(name="from")  # a RunState or a Phase, as the aspect has it
    to: str
    at: Rfc3339
    cause: str  # a code: "reading", "link-lost", "infusion-end" ...
    session: str | None = None


def cap_event(origin: Origin, change: CapEvent, *, event_id: str, trace: Trace) -> Event:
    """A change of a cap, under the type of its aspect."""
    return make_event(
        origin,
        RUN_STATE_CHANGED if change.aspect is Aspect.RUN_STATE else PHASE_CHANGED,
        event_id=event_id,
        time=change.at,
        subject=f"unit/{change.unit}/cap/{change.cap}",
        data=change,
        trace=trace,
    )


class AlarmState(StrEnum):
    """The state of an alarm."""

    RAISED = "raised"
    CLEARED = "cleared"


class AlarmData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alarm of the gateway, raised or cleared; `text` says what to do and names no patient."""

    code: str
    state: AlarmState
    since: Rfc3339
    text: str
    resend_since: Rfc3339 | None = None  # the engine must send again its messages since then; None: none


def alarm_event(origin: Origin, alarm: AlarmData, at_us: int) -> Event:
    """The state of an alarm from `at_us` on, kept by the broker until it changes."""
    event_id = f"alarm.{alarm.code}.{at_us}"
    return make_event(origin, ALARM, event_id=event_id, time=alarm.since, subject=f"alarm/{alarm.code}", data=alarm)


class SessionHead(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The head of a session: number and range of its events and the chain's hash, to check that none is missing.

    Whoever comes later sees by it what goes on: a message of an earlier version has no `phase` and no `started_at`.
    """

    session: str
    unit: str
    cap: int
    attained: int  # increments published and not retracted
    charged: int  # units charged and not credited
    events: int  # of this session
    first_sequence: int
    last_sequence: int
    head_hash: str  # 64 hexadecimal digits: of the event `last_sequence`
    phase: Phase | None = None
    started_at: Rfc3339 | None = None
    next_at: Rfc3339 | None = None  # when the next increment is attained if cooling goes on; while time counts


def session_head_event(origin: Origin, head: SessionHead, at_us: int) -> Event:
    """The head of a session; its last sequence makes it unique."""
    return make_event(
        origin,
        SESSION_HEAD,
        event_id=f"{head.session}.head.{head.last_sequence}",
        time=rfc3339(at_us),
        subject=f"session/{head.session}",
        data=head,
        trace=Trace(session=head.session),
    )
