"""Timelines for the tracker's tests: facts by the hour and minute of one day, and what came of them as short text."""

from datetime import UTC, datetime
from typing import NamedTuple, TypedDict

import msgspec

from gateway.replay.replay import record, replay
from gateway.session.assessment import Assessment
from gateway.session.facts import (
    AgentClass,
    AnyFact,
    CapLoss,
    CapRef,
    CapRemoved,
    Continuity,
    CoolingPaused,
    CoolingResumed,
    CoolingStarted,
    CoolingStopCharted,
    CoolingStopped,
    FaultCleared,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
    PatientBound,
    PatientLeft,
    UnitFaulted,
    UnitOffline,
    UnitOnline,
)
from gateway.session.policy import Policy

A1 = CapRef("SC-A", 1)
A2 = CapRef("SC-A", 2)
B1 = CapRef("SC-B", 1)
CHEMO, BIOLOGIC = AgentClass.CHEMO, AgentClass.BIOLOGIC

_DAY_US = int(datetime(2026, 4, 14, tzinfo=UTC).timestamp()) * 1_000_000


def at(text: str) -> int:
    """`09:30` or `09:30:05` of the day; hours past 24 are later days."""
    hours, minutes, seconds = (*map(int, text.split(":")), 0)[:3]
    return _DAY_US + ((hours * 60 + minutes) * 60 + seconds) * 1_000_000


def clock(at_us: int) -> str:
    """Inverse of `at`, without needless seconds."""
    minutes, seconds = divmod((at_us - _DAY_US) // 1_000_000, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


class Times(TypedDict):
    at_us: int
    known_at_us: int


def times(t: str, rx: str | None) -> Times:
    """When it happened and when it was learned, for a fact's constructor."""
    return {"at_us": at(t), "known_at_us": at(rx or t)}


def start(t: str, cap: CapRef = A1, patient: str = "P1", rx: str | None = None) -> AnyFact:
    return CoolingStarted(**times(t, rx), cap=cap, patient=patient)


def stop(t: str, cap: CapRef = A1, patient: str = "P1", rx: str | None = None) -> AnyFact:
    return CoolingStopped(**times(t, rx), cap=cap, patient=patient)


def bound(t: str, cap: CapRef = A1, patient: str = "P1", rx: str | None = None) -> AnyFact:
    return PatientBound(**times(t, rx), cap=cap, patient=patient)


def pause(t: str, cap: CapRef = A1, reason: str = "disconnected", rx: str | None = None) -> AnyFact:
    return CoolingPaused(**times(t, rx), cap=cap, patient="P1", reason=reason)


def resume(t: str, cap: CapRef = A1, rx: str | None = None) -> AnyFact:
    return CoolingResumed(**times(t, rx), cap=cap, patient="P1")


def removed(t: str, cap: CapRef = A1, rx: str | None = None) -> AnyFact:
    return CapRemoved(**times(t, rx), cap=cap, patient="P1")


def charted_stop(t: str, rx: str | None = None) -> AnyFact:
    return CoolingStopCharted(**times(t, rx), cap=A1, patient="P1", source="nurse")


def left(t: str, rx: str | None = None) -> AnyFact:
    return PatientLeft(**times(t, rx), patient="P1")


def fault(t: str, code: str = "coolant_high") -> AnyFact:
    return UnitFaulted(**times(t, None), device="SC-A", code=code)


def cleared(t: str, code: str = "") -> AnyFact:
    return FaultCleared(**times(t, None), device="SC-A", code=code)


def offline(t: str, rx: str | None = None) -> AnyFact:
    return UnitOffline(**times(t, rx), device="SC-A")


def online(t: str, *, proven: bool = False, unproven: tuple[int, ...] = (), lost_s: int = 0) -> AnyFact:
    continuity = Continuity.PROVEN if proven else Continuity.UNPROVEN
    lost = (CapLoss(A1.channel, lost_s * 1_000_000),) if lost_s else ()
    return UnitOnline(**times(t, None), device="SC-A", continuity=continuity, unproven=unproven, lost=lost)


def begun(order: str, t: str, admin: AgentClass | None = CHEMO, rx: str | None = None) -> AnyFact:
    return InfusionStarted(**times(t, rx), order=order, admin=admin, patient="P1")


def restarted(order: str, t: str, rx: str | None = None) -> AnyFact:
    return InfusionRestarted(**times(t, rx), order=order, admin=CHEMO, patient="P1")


def ended(
    order: str,
    t: str,
    admin: AgentClass | None = CHEMO,
    rx: str | None = None,
    remaining: int | None = None,
    *,
    no_time: bool = False,
    presumed: bool = False,
) -> AnyFact:
    return InfusionEnded(
        **times(t, rx),
        order=order,
        admin=admin,
        presumed=presumed,
        patient="P1",
        remaining_chemo_orders=remaining,
        no_time=no_time,
    )


def corrected(order: str, rx: str, new_end: str, version: int = 2) -> AnyFact:
    return InfusionEndCorrected(**times(rx, None), order=order, patient="P1", version=version, new_end_us=at(new_end))


def voided(order: str, t: str, version: int | None = None, rx: str | None = None) -> AnyFact:
    return InfusionEndVoided(**times(t, rx), order=order, patient="P1", version=version)


def agent(order: str, begin: str, end: str, admin: AgentClass = CHEMO) -> list[AnyFact]:
    """One infusion, charted as it happened."""
    return [begun(order, begin, admin), ended(order, end, admin)]


def day(*more: AnyFact, stopped: str | None = "12:30", infusion_end: str | None = "11:00") -> list[AnyFact]:
    """Pre-cooling from 09:00, one agent from 09:30 to 11:00, cooling until 12:30, and what else is told."""
    facts = [start("09:00"), begun("A", "09:30"), *more]
    if infusion_end is not None:
        facts.append(ended("A", infusion_end))
    if stopped is not None:
        facts.append(stop(stopped))
    return facts


class Followed(NamedTuple):
    """What came of a timeline, as text."""

    instants: str  # "11:16 11:46"
    log: str  # "emit 1 11:16, retract 1 11:20"; "emit 1 11:50 for 11:16" where it came late
    flags: str  # "no_order two_devices"
    assessment: Assessment


def follow(facts: list[AnyFact], patient: str = "P1", /, **changed: object) -> Followed:
    """Replay `facts` under the default policy with `changed` values."""
    outcome = replay(record(facts), patient, msgspec.convert(changed, Policy))
    entries = [
        f"{change.op} {change.index} {clock(change.known_at_us)}"
        + (
            ""
            if change.op == "retract" or change.attained_at_us == change.known_at_us
            else f" for {clock(change.attained_at_us)}"
        )
        for change in outcome.log
    ]
    return Followed(
        " ".join(clock(each.attained_at_us) for each in outcome.assessment.increments),
        ", ".join(entries),
        " ".join(outcome.assessment.flags),
        outcome.assessment,
    )
