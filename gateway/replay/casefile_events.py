"""The events of a session case, and their conversion to facts."""

from collections.abc import Iterable
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from gateway.messages.instants import Instant, InstantError, read_instant
from gateway.session.facts import AgentClass, AnyFact, CapRef, Continuity, EndSource
from gateway.session.spans import FOREVER


class EventName(StrEnum):
    """The kinds of events."""

    CAP_REMOVED = "cap_removed"
    CLOCK_STEPPED = "clock_stepped"
    COOLING_PAUSED = "cooling_paused"
    COOLING_RESUMED = "cooling_resumed"
    COOLING_STARTED = "cooling_started"
    COOLING_STOP_CHARTED = "cooling_stop_charted"
    COOLING_STOPPED = "cooling_stopped"
    DEVICE_POST_TIMER_STARTED = "device_post_timer_started"
    FAULT_CLEARED = "fault_cleared"
    FLUSH_ENDED = "flush_ended"
    FLUSH_STARTED = "flush_started"
    INFUSION_END_CORRECTED = "infusion_end_corrected"
    INFUSION_END_VOIDED = "infusion_end_voided"
    INFUSION_ENDED = "infusion_ended"
    INFUSION_RESTARTED = "infusion_restarted"
    INFUSION_STARTED = "infusion_started"
    ORDER_CHECK = "order_check"
    PATIENT_LEFT_FACILITY = "patient_left_facility"
    PATIENT_REASSIGNED = "patient_reassigned"
    SESSION_FINALIZED = "session_finalized"
    UNIT_FAULT = "unit_fault"
    UNIT_OFFLINE = "unit_offline"
    UNIT_ONLINE = "unit_online"


class EventModel(BaseModel):
    """One event of a timeline. The required fields depend on its name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    t: str
    event: EventName
    rx: str | None = None
    stamped: str | None = None
    patient: str | None = None
    device: str | None = None
    channel: Annotated[int, Field(ge=1)] = 1
    reason: str | None = None
    code: str | None = None
    continuity: Continuity = Continuity.UNPROVEN
    order: str | None = None
    admin: AgentClass | None = None
    msg: str | None = None
    remaining_chemo_orders: Annotated[int, Field(ge=0)] | None = None
    no_time: bool = False
    skew_s: float = 0.0
    version: int | None = None
    new_end: str | None = None
    source: str | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None
    result: Literal["found", "not_found"] | None = None
    ordered_post_minutes: Annotated[float, Field(gt=0)] | None = None
    step_s: float = 0.0


class CaseDefaults(msgspec.Struct, frozen=True):
    """Defaults for fields that an event may leave out."""

    zone: tzinfo
    patient: str
    devices: tuple[str, ...]
    caps: dict[str, tuple[CapRef, ...]]  # patient -> those that cooled

    @classmethod
    def of(cls, timeline: Iterable[EventModel], zone: tzinfo, patient: str) -> "CaseDefaults":
        """The units and caps that a timeline names."""
        named = [event for event in timeline if event.device is not None]
        caps: dict[str, set[CapRef]] = {}
        for event in named:
            if event.event is EventName.COOLING_STARTED:
                caps.setdefault(event.patient or patient, set()).add(CapRef(event.device or "", event.channel))
        devices = tuple(sorted({event.device or "" for event in named}))
        return cls(zone, patient, devices, {whose: tuple(sorted(own)) for whose, own in caps.items()})

    def patient_of(self, event: EventModel) -> str:
        """The patient of an event that names none: the only one who cooled on its cap, otherwise the case's first."""
        if event.device is None or event.event is EventName.COOLING_STARTED:
            return self.patient
        cap = CapRef(event.device, event.channel)
        on_cap = [patient for patient, caps in self.caps.items() if cap in caps]
        match on_cap:
            case []:
                return self.patient
            case [patient]:
                return patient
            case _:
                return ""  # whoever is on the cap at that instant


_ON_A_CAP = frozenset(
    {
        EventName.COOLING_STARTED,
        EventName.COOLING_STOPPED,
        EventName.COOLING_PAUSED,
        EventName.COOLING_RESUMED,
        EventName.CAP_REMOVED,
        EventName.DEVICE_POST_TIMER_STARTED,
        EventName.PATIENT_REASSIGNED,
    }
)
_ON_A_UNIT = frozenset({EventName.UNIT_FAULT, EventName.FAULT_CLEARED, EventName.UNIT_OFFLINE, EventName.UNIT_ONLINE})
_END_SOURCES = frozenset(EndSource)  # of an infusion's end; any other source means the chart
_WITH_SOURCE = frozenset({EventName.COOLING_STOP_CHARTED, EventName.CLOCK_STEPPED})


def facts_of(event: EventModel, site: CaseDefaults) -> list[AnyFact]:
    """The facts of `event`, one for each cap or unit that it concerns. Raises ValueError that names the field."""
    known_at_us = None if event.rx is None else _instant("rx", event.rx, FOREVER, site).at_us
    at = _instant("t", event.t, FOREVER if known_at_us is None else known_at_us, site)
    if at.no_time and not event.no_time:
        raise ValueError("t: a date alone, accepted: a date with a time of day, or no_time true")
    # An event and its fact have the same name, and mostly the same fields.
    shared: dict[str, object] = {
        **event.model_dump(exclude_none=True, exclude={"t", "rx", "new_end", "result", "source", "device", "channel"}),
        "fact": event.event.value,
        "at_us": at.at_us,
        "known_at_us": at.at_us if known_at_us is None else known_at_us,
        "patient": event.patient or site.patient_of(event),
        "ambiguous": at.ambiguous or (event.stamped is not None and _is_ambiguous(event.stamped, site.zone)),
    }
    if event.new_end is not None:
        shared["new_end_us"] = _instant("new_end", event.new_end, FOREVER, site).at_us
    if event.result is not None:
        shared["found"] = event.result == "found"
    if event.source is not None and (event.event in _WITH_SOURCE or event.source in _END_SOURCES):
        shared["source"] = event.source
    if event.event is EventName.PATIENT_REASSIGNED:
        shared |= {"from_patient": event.from_, "to_patient": event.to}
    return [_fact(shared | place) for place in _places(event, site)]


def _places(event: EventModel, site: CaseDefaults) -> list[dict[str, object]]:
    """The caps or units that the event concerns: those it names, otherwise the patient's caps or all units."""
    if event.event in _ON_A_UNIT:
        return [{"device": device} for device in (site.devices if event.device is None else (event.device,))]
    if event.device is not None:
        return [{"cap": CapRef(event.device, event.channel)}]
    if event.event not in _ON_A_CAP:
        return [{}]
    own = site.caps.get(event.patient or site.patient, ())
    if not own:
        raise ValueError("device: missing, and the patient has no cap")
    return [{"cap": cap} for cap in own]


def _fact(fields: dict[str, object]) -> AnyFact:
    try:
        return msgspec.convert(fields, AnyFact)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _instant(field: str, text: str, known_at_us: int, site: CaseDefaults) -> Instant:
    try:
        return read_instant(text, known_at_us, site.zone)
    except InstantError as error:
        raise ValueError(f"{field}: {error}") from None


def _is_ambiguous(stamped: str, zone: tzinfo) -> bool:
    """Whether a local time without offset names two instants (P26)."""
    try:
        local = datetime.fromisoformat(stamped)
    except ValueError:
        raise ValueError("stamped: no date and time") from None
    if local.tzinfo is not None:
        return False
    first, second = (local.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return first < second
