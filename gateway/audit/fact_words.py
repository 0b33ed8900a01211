"""Facts in words: what was said of the infusion, and what people charted and decided about the session. Pure."""

import msgspec

from gateway.session.facts import (
    AgentClass,
    AnyFact,
    BindingVoided,
    CapIdentified,
    CapRemoved,
    ClockJudged,
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
from gateway.session.wording import ENGLISH, Wording

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
_Decision = SessionFinalized | SessionExplained | HoldLifted | CorrectionDecided


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


def stated(fact: AnyFact, say: Wording = ENGLISH) -> Stated | None:
    """What the fact says of an infusion; None if it is about something else."""
    if not isinstance(fact, InfusionFact):
        return None
    agent = say("not said") if fact.admin is None else say(AGENT_TEXTS[fact.admin])
    if fact.admin is not None and fact.presumed:
        agent = say("{agent} (presumed)", agent=agent)
    source = "" if isinstance(fact, InfusionEndVoided | FlushEnded) else say(SOURCE_TEXTS[fact.source])
    by = ": ".join(filter(None, (fact.person, fact.reason)))
    charted_us = fact.known_at_us if fact.charted_us is None else fact.charted_us
    at_us: int | None = fact.at_us
    match fact:
        case InfusionStarted() | FlushStarted():
            what = say("started")
        case InfusionRestarted():
            what = say("ran again")
        case InfusionEnded():
            remain = fact.remaining_chemo_orders
            what = say("ended, {count} orders remain", count=remain) if remain else say("ended")
            at_us = None if fact.no_time else fact.at_us
        case InfusionEndCorrected():
            what, at_us = say("end corrected, version {version}", version=fact.version), fact.new_end_us
        case InfusionEndVoided():
            what = say("entries withdrawn")
        case FlushEnded():
            what = say("ended")
    return Stated(fact.order, agent, what, at_us, ", ".join(filter(None, (source, by))), charted_us)


def charted(fact: AnyFact, say: Wording = ENGLISH) -> Charted | None:
    """What the fact charts, decides or notes; None if it is a reading's or an infusion's."""
    if isinstance(fact, _PatientFact):
        return Charted(fact.at_us, _patient_text(fact, say), fact.person, fact.reason)
    match fact:
        case SessionFact():
            return Charted(fact.at_us, _session_text(fact, say), fact.person, fact.reason)
        case _:
            what = _other_text(fact, say)
            return Charted(fact.at_us, what, "", "") if what else None


def _patient_text(fact: _PatientFact, say: Wording) -> str:
    match fact:
        case PatientBound(evidence=""):
            return say("{cap} serves the patient", cap=fact.cap.name)
        case PatientBound():
            evidence = say.code("evidence", fact.evidence)
            return say("{cap} serves the patient (by {evidence})", cap=fact.cap.name, evidence=evidence)
        case PatientReleased():
            return say("{cap} serves the patient no longer", cap=fact.cap.name)
        case CapRemoved():
            return say("cap of {cap} removed", cap=fact.cap.name)
        case CoolingStopCharted():
            return say("end of cooling charted")
        case PatientLeft(source=""):
            return say("patient left")
        case PatientLeft():
            return say("patient left (by {source})", source=say.code("evidence", fact.source))
        case PatientReassigned():
            return say("the session is another patient's")
        case OrderChecked():
            return _order_text(fact, say)


def _order_text(fact: OrderChecked, say: Wording) -> str:
    if not fact.found:
        return say("no order for scalp cooling found")
    if fact.ordered_post_minutes is None:
        return say("order for scalp cooling verified")
    minutes = say.number(fact.ordered_post_minutes)
    return say("order for scalp cooling verified, {minutes} min after the infusion", minutes=minutes)


def _session_text(fact: SessionFact, say: Wording) -> str:
    match fact:
        case SessionFinalized() | SessionExplained() | HoldLifted() | CorrectionDecided():
            return _decision_text(fact, say)
        case PreparationCharted():
            return say("hair prepared, cap placed, pre-cooled (97008)")
        case ToleranceChecked():
            return say("tolerance: {findings}", findings=_findings(fact, say))
        case CapIdentified(lot=""):
            return say("cap {cap_id}", cap_id=fact.cap_id)
        case CapIdentified():
            return say("cap {cap_id}, lot {lot}", cap_id=fact.cap_id, lot=fact.lot)
        case NoteAdded():
            return say("note: {text}", text=fact.text)
        case TaskAssigned(to=""):
            return say("nobody sees to it any more")
        case TaskAssigned():
            return say("{to} sees to it", to=say.code("role", fact.to))
        case GatewayHold():
            return say("held by the gateway: {why}", why=say(HELD_TEXTS[fact.hold]))
        case EvidenceLost():
            return say("a part of the ledger was lost")
        case _:
            raise AssertionError(f"no words for {fact}")


def _decision_text(fact: _Decision, say: Wording) -> str:
    match fact:
        case SessionFinalized():
            return say("signed") if fact.units is None else say("signed with {units}", units=say.units(fact.units))
        case SessionExplained():
            return say("explained why nothing is charged, with {units}", units=say.units(fact.units))
        case HoldLifted():
            return say("released although {holds}", holds="; ".join(_hold_text(each, say) for each in fact.holds))
        case CorrectionDecided(approved=True):
            return say("correction of charge {charge} approved", charge=fact.charge)
        case CorrectionDecided():
            return say("correction of charge {charge} refused", charge=fact.charge)


def _findings(fact: ToleranceChecked, say: Wording) -> str:
    found = (
        (say("vital signs"), fact.vital_signs),
        (say("comfort"), fact.comfort),
        (say("scalp"), fact.scalp),
    )
    return ", ".join(f"{name} {say.code('finding', finding)}" for name, finding in found if finding)


def _other_text(fact: AnyFact, say: Wording) -> str:
    match fact:
        case BindingVoided():
            return say("{cap} never served the patient: its binding is void", cap=fact.cap.name)
        case DepartureCancelled():
            return say("the patient's departure was a mistake")
        case DevicePostTimerStarted():
            return say("{cap} began its own countdown", cap=fact.cap.name)
        case UnitFaulted(code=""):
            return say("fault of {device}", device=fact.device)
        case UnitFaulted():
            return say("fault of {device}: {code}", device=fact.device, code=fact.code)
        case UnitShared():
            return say("{device} is read by gateway {gateway} too", device=fact.device, gateway=fact.gateway)
        case ClockStepped():
            return say("clock of {source} set by {step} s", source=fact.source, step=say.number(fact.step_s))
        case ClockJudged():
            return say("clock of the gateway: {state}", state=say.code("clock", fact.state))
        case RulesChanged():
            return say("counted by the rules of revision {revision} from here on", revision=fact.revision)
        case _:
            return ""


def _hold_text(code: str, say: Wording) -> str:
    return say(HELD_TEXTS[HeldReason(code)]) if code in set(HeldReason) else code
