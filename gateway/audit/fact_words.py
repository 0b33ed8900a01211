"""Facts in words: what was said of the infusion, and what people charted and decided about the session. Pure."""

import msgspec

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    BindingVoided,
    CapIdentified,
    CapRemoved,
    ClockStepped,
    CoolingStopCharted,
    CorrectionDecided,
    DepartureCancelled,
    DevicePostTimerStarted,
    EvidenceLost,
    FlushEnded,
    FlushStarted,
    GatewayHold,
    HoldLifted,
    InfusionEndCorrected,
    InfusionEnded,
    InfusionEndVoided,
    InfusionRestarted,
    InfusionStarted,
    NoteAdded,
    OrderChecked,
    PatientBound,
    PatientLeft,
    PatientReassigned,
    PatientReleased,
    PreparationCharted,
    RulesChanged,
    SessionExplained,
    SessionFact,
    SessionFinalized,
    TaskAssigned,
    ToleranceChecked,
    UnitFaulted,
    UnitShared,
)
from gateway.session.flags import HeldReason
from gateway.session.held_texts import HELD_TEXTS
from gateway.session.statements import InfusionFact
from gateway.session.why_text import SOURCE_TEXTS

AGENT_TEXTS = {
    AgentClass.CHEMO: "chemotherapy",
    AgentClass.BIOLOGIC: "antibody",
    AgentClass.HYDRATION: "hydration",
    AgentClass.FLUSH: "flush",
    AgentClass.AMBULATORY_PUMP: "home pump",
}


_PatientFact = (
    PatientBound | PatientReleased | CapRemoved | CoolingStopCharted | PatientLeft | PatientReassigned | OrderChecked
)


class Stated(msgspec.Struct, frozen=True):
    """A statement about an order's infusion."""

    order: str
    agent: str
    what: str
    at_us: int | None  # None: charted without a time of day
    said_by: str
    charted_us: int


class Charted(msgspec.Struct, frozen=True):
    """What somebody charted, decided or noted."""

    at_us: int
    what: str
    person: str
    reason: str


def stated(fact: AnyFact) -> Stated | None:
    """What the fact says of an infusion; None if it is about something else."""
    if not isinstance(fact, InfusionFact):
        return None
    agent = "not said" if fact.admin is None else AGENT_TEXTS[fact.admin] + (" (presumed)" if fact.presumed else "")
    source = "" if isinstance(fact, InfusionEndVoided | FlushEnded) else SOURCE_TEXTS[fact.source]
    by = ": ".join(filter(None, (fact.person, fact.reason)))
    charted_us = fact.known_at_us if fact.charted_us is None else fact.charted_us
    at_us: int | None = fact.at_us
    match fact:
        case InfusionStarted() | FlushStarted():
            what = "started"
        case InfusionRestarted():
            what = "ran again"
        case InfusionEnded():
            what = "ended" if not fact.remaining_chemo_orders else f"ended, {fact.remaining_chemo_orders} orders remain"
            at_us = None if fact.no_time else fact.at_us
        case InfusionEndCorrected():
            what, at_us = f"end corrected, version {fact.version}", fact.new_end_us
        case InfusionEndVoided():
            what = "entries withdrawn"
        case FlushEnded():
            what = "ended"
    return Stated(fact.order, agent, what, at_us, ", ".join(filter(None, (source, by))), charted_us)


def charted(fact: AnyFact) -> Charted | None:
    """What the fact charts, decides or notes; None if it is a reading's or an infusion's."""
    if isinstance(fact, _PatientFact):
        return Charted(fact.at_us, _patient_text(fact), fact.person, fact.reason)
    match fact:
        case SessionFact():
            return Charted(fact.at_us, _session_text(fact), fact.person, fact.reason)
        case _:
            what = _other_text(fact)
            return Charted(fact.at_us, what, "", "") if what else None


def _patient_text(fact: _PatientFact) -> str:
    match fact:
        case PatientBound():
            return f"{fact.cap.name} serves the patient" + (f" (by {fact.evidence})" if fact.evidence else "")
        case PatientReleased():
            return f"{fact.cap.name} serves the patient no longer"
        case CapRemoved():
            return f"cap of {fact.cap.name} removed"
        case CoolingStopCharted():
            return "end of cooling charted"
        case PatientLeft():
            return "patient left" + (f" (by {fact.source})" if fact.source else "")
        case PatientReassigned():
            return "the session is another patient's"
        case OrderChecked():
            asked = (
                "" if fact.ordered_post_minutes is None else f", {fact.ordered_post_minutes:g} min after the infusion"
            )
            return f"order for scalp cooling verified{asked}" if fact.found else "no order for scalp cooling found"


def _session_text(fact: SessionFact) -> str:
    match fact:
        case SessionFinalized():
            return "signed" if fact.units is None else f"signed with {_units(fact.units)}"
        case SessionExplained():
            return f"explained why nothing is charged, with {_units(fact.units)}"
        case HoldLifted():
            return f"released although {'; '.join(map(_hold_text, fact.holds))}"
        case CorrectionDecided():
            return f"correction of charge {fact.charge} {'approved' if fact.approved else 'refused'}"
        case PreparationCharted():
            return "hair prepared, cap placed, pre-cooled (97008)"
        case ToleranceChecked():
            found = {"vital signs": fact.vital_signs, "comfort": fact.comfort, "scalp": fact.scalp}
            return "tolerance: " + ", ".join(f"{name} {finding}" for name, finding in found.items() if finding)
        case CapIdentified():
            return f"cap {fact.cap_id}" + (f", lot {fact.lot}" if fact.lot else "")
        case NoteAdded():
            return f"note: {fact.text}"
        case TaskAssigned():
            return f"{fact.to} sees to it" if fact.to else "nobody sees to it any more"
        case GatewayHold():
            return f"held by the gateway: {HELD_TEXTS[fact.hold]}"
        case EvidenceLost():
            return "a part of the ledger was lost"
        case _:
            raise AssertionError(f"no words for {fact}")


def _other_text(fact: AnyFact) -> str:
    match fact:
        case BindingVoided():
            return f"{fact.cap.name} never served the patient: its binding is void"
        case DepartureCancelled():
            return "the patient's departure was a mistake"
        case DevicePostTimerStarted():
            return f"{fact.cap.name} began its own countdown"
        case UnitFaulted():
            return f"fault of {fact.device}" + (f": {fact.code}" if fact.code else "")
        case UnitShared():
            return f"{fact.device} is read by gateway {fact.gateway} too"
        case ClockStepped():
            return f"clock of {fact.source} set by {fact.step_s:g} s"
        case RulesChanged():
            return f"counted by the rules of revision {fact.revision} from here on"
        case _:
            return ""


def _hold_text(code: str) -> str:
    return HELD_TEXTS[HeldReason(code)] if code in set(HeldReason) else code


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"
