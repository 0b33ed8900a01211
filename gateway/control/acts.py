"""Converts control acts (what a person does to a session) into facts. Pure.

An act that is not allowed raises RequestRefused, with what would be accepted. No act changes an increment directly: the
tracker recomputes the count from the facts.
"""

from collections.abc import Sequence
from typing import TypedDict

import msgspec

from gateway.control.act_context import ActContext, SessionSnapshot, resolve_instant, resolve_place, served_by
from gateway.control.requests import (
    Act,
    AnyAct,
    AssignAct,
    Bind,
    CapId,
    CapRemoval,
    DecideCorrection,
    Explain,
    Finalise,
    InfusionEndAct,
    LiftHold,
    Note,
    OrderCheckAct,
    Prepared,
    Reassign,
    ReleaseAct,
    RequestRefused,
    StopCharted,
    ToleranceAct,
    WorkDoneAct,
)
from gateway.messages.identity import Identity
from gateway.messages.instants import Instant, rfc3339
from gateway.session import facts
from gateway.session.assessment import assess_observed
from gateway.session.charges import uncredited_charges
from gateway.session.facts import AgentClass, AnyFact, CapRef, EndSource
from gateway.session.flags import HeldReason
from gateway.session.lifts import may_be_one, with_second
from gateway.session.outcome import SessionState
from gateway.session.release import UNLIFTABLE, lacks_end, may_count
from gateway.session.statements import InfusionFact
from gateway.session.worklist import REJECTED, WorkItem

# The facts of an act, and the patient identifiers of the subjects (salted hashes) in them.
ActFacts = tuple[tuple[AnyFact, ...], tuple[Identity, ...]]


_Told = (
    facts.SessionFinalized | facts.SessionExplained | facts.HoldLifted | facts.CorrectionDecided | facts.PatientBound
)


class _PersonFields(TypedDict):
    """The fields common to the facts of all acts."""

    at_us: int
    known_at_us: int
    person: str
    reason: str
    login: str
    role: str


class _SessionFields(_PersonFields):
    token: str


def facts_of(act: AnyAct, named: SessionSnapshot | None, context: ActContext) -> ActFacts:
    """The facts and identities of an act. `named` is the session that the act names, if any. Raises RequestRefused."""
    match act:
        case Bind():
            return _bound(act, named, context)
        case ReleaseAct():
            return (_released(act, named, context),), ()
        case WorkDoneAct():
            return (_done(act, context),), ()
        case AssignAct():
            return (_assigned(act, named, context),), ()
        case _ if named is None:
            raise ValueError("an act of a session needs its session")
        case Reassign():
            return _reassigned(act, named, context)
        case InfusionEndAct() | OrderCheckAct() | StopCharted() | CapRemoval():
            return (_of_patient(act, named, context),), ()
        case _:
            return (_of_session(act, named, context),), ()


def _of_session(
    act: Finalise | LiftHold | Explain | DecideCorrection | Prepared | ToleranceAct | CapId | Note,
    named: SessionSnapshot,
    context: ActContext,
) -> AnyFact:
    at_us = (
        resolve_instant(act.at, context).earliest_us
        if isinstance(act, Prepared | ToleranceAct | CapId | Note)
        else context.now_us
    )
    of = _SessionFields(**_person_fields(act, at_us, context), token=named.token)
    match act:
        case Finalise():
            _require_ended(named)
            _require_complete(named)
            return facts.SessionFinalized(**of, units=_units(named))
        case LiftHold():
            return _lifted(facts.HoldLifted(**of, holds=_holds(act, named, context)), named, context)
        case Explain():
            _require_uncharged(named)
            return facts.SessionExplained(**of, units=_units(named))
        case DecideCorrection():
            return facts.CorrectionDecided(**of, charge=_charge(act, named, context), approved=act.approve)
        case Prepared():
            return facts.PreparationCharted(**of)
        case ToleranceAct():
            if act.vital_signs is None and act.comfort is None and act.scalp is None:
                raise RequestRefused("nothing was checked", "vital_signs, comfort or scalp: ok or concern")
            return facts.ToleranceChecked(**of, vital_signs=act.vital_signs, comfort=act.comfort, scalp=act.scalp)
        case CapId():
            return facts.CapIdentified(**of, cap_id=act.cap_id, lot=act.lot or "")
        case Note():
            return facts.NoteAdded(**of, text=act.text)


def _require_ended(named: SessionSnapshot) -> None:
    """Refuse a second signature, and one while cooling goes on: a signature covers the complete record."""
    if told := [fact for fact in named.session.facts if isinstance(fact, facts.SessionFinalized)]:
        raise RequestRefused(_stands(told), "a session that is not finalised")
    _require_over(named)


def _stands(told: Sequence[_Told]) -> str:
    """Says who told already what an act tells: whoever sends it again, its answer lost, need do nothing."""
    last = max(told, key=lambda fact: fact.known_at_us)
    return f"it stands already: {last.person or 'the EHR'} told it at {rfc3339(last.known_at_us)}"


def _require_over(named: SessionSnapshot) -> None:
    """Refuse a session whose cooling goes on on a unit that is still observed."""
    assessment = named.outcome.assessment
    if assessment.started_us is not None and assessment.stopped_us is None and assessment.lost_us is None:
        raise RequestRefused("cooling goes on", "a session whose cooling has stopped; stop-charted tells of an end")


def _require_complete(named: SessionSnapshot) -> None:
    """Refuse to sign without patient or infusion end: the units could then never be charged."""
    if not (unknown := _unknown(named)):
        return
    acts = {"the patient": "bind", "the infusion's end": "infusion-ended"}
    raise RequestRefused(
        f"unknown: {', '.join(unknown)}",
        f"{', '.join(acts[each] for each in unknown)}; or explain, with why nothing is charged",
    )


def _unknown(named: SessionSnapshot) -> list[str]:
    """What is missing for the charge of a session that cooled long enough for one."""
    assessment, policy = named.outcome.assessment, named.outcome.record.policy
    unknown = [] if named.patient or not may_count(assessment, policy) else ["the patient"]
    return [*unknown, "the infusion's end"] if lacks_end(assessment, policy) else unknown


def _require_uncharged(named: SessionSnapshot) -> None:
    _require_over(named)
    if charges := [each.key for each in uncredited_charges(named.outcome.record.charged)]:
        raise RequestRefused("it is charged", f"decide, once {', '.join(charges)} is in question")
    told = [fact for fact in named.session.facts if isinstance(fact, facts.SessionExplained)]
    if told and named.outcome.record.state is SessionState.EXPLAINED:
        raise RequestRefused(f"{_stands(told)}; nothing is left to charge", "a held or incomplete session")
    if named.outcome.record.state in (SessionState.RELEASED, SessionState.EXPLAINED, SessionState.FINAL):
        raise RequestRefused(
            f"the session is {named.outcome.record.state}: nothing is left to charge", "a held or incomplete session"
        )


def _units(named: SessionSnapshot) -> int:
    """The number of attained increments, recorded with a signature or an explanation."""
    return len(named.outcome.assessment.increments)


# What ends the holds that lift-hold cannot lift.
_OTHERWISE = {
    HeldReason.UNBOUND: "bind says whose the session is",
    HeldReason.POLICY_UNAPPROVED: "explain: a session keeps the policy under which it opened",
    HeldReason.POLICY_NOT_EFFECTIVE: "explain: a session keeps the policy under which it opened",
    HeldReason.CLOCK_WRONG: "explain, and charge by hand what its record proves: no act joins two clocks",
    HeldReason.DRY_RUN: "nothing: a dry run charges nothing",
}


def _require_identifiers(context: ActContext) -> None:
    """Refuse what would charge or credit a patient whose identifiers are not kept any more."""
    if context.purged:
        raise RequestRefused("the patient's identifiers are not kept any more", "bind, with the visit's number, first")


def _holds(act: LiftHold, named: SessionSnapshot, context: ActContext) -> tuple[str, ...]:
    if HeldReason.IDENTITY_PURGED in act.holds:
        _require_identifiers(context)
    held = set(named.outcome.held)
    liftable = held - UNLIFTABLE
    told = [
        fact
        for fact in named.session.facts
        if isinstance(fact, facts.HoldLifted) and set(act.holds) <= set(fact.holds) and held.isdisjoint(act.holds)
    ]
    if told:
        raise RequestRefused(_stands(told), ", ".join(sorted(liftable)) or "none of it")
    if not liftable.issuperset(act.holds):
        otherwise = [f"{hold}: {text}" for hold, text in _OTHERWISE.items() if hold in held and hold in act.holds]
        raise RequestRefused(
            "holds: not held for that, or not to be lifted",
            "; ".join([", ".join(sorted(liftable)) or "none of it", *otherwise]),
        )
    assessment = named.outcome.assessment
    if HeldReason.UNIT_LOST in act.holds and assessment.finalised_us is None:
        raise RequestRefused("holds: nobody has closed the session of a lost unit", "finalise it, then lift unit_lost")
    return tuple(sorted(set(act.holds)))


def _lifted(lift: facts.HoldLifted, named: SessionSnapshot, context: ActContext) -> facts.HoldLifted:
    """The fact with the number of units that it releases. Refused at 0: it would release units that nobody has seen.

    Except where a start disagreed: there the units now attained may be none, and the person decides that.
    """
    policy = named.outcome.record.policy
    _require_second(lift, named)
    known = (*named.session.facts, *(with_second(lift) if policy.second_person else (lift,)))
    after = assess_observed(known, policy, context.observed, context.now_us)
    if not after.increments and HeldReason.START_DISAGREES not in lift.holds:
        ended = after.infusion_end is not None
        accepted = "explain, with why nothing is charged" if ended else "infusion-ended first; or explain"
        raise RequestRefused("holds: no unit stands that this would let go", accepted)
    return msgspec.structs.replace(lift, units=len(after.increments))


def _require_second(lift: facts.HoldLifted, named: SessionSnapshot) -> None:
    """Refuse what waits for a second person to the one who lifted it first."""
    waiting = [each for code, each in named.awaiting_second.items() if code in lift.holds]
    own = [each for each in waiting if may_be_one(each, lift)]
    if own and len(own) == len(lift.holds):
        first = ", ".join(dict.fromkeys(f"{each.person} ({each.login})" for each in own))
        raise RequestRefused("holds: they wait for a second person", f"a person and an account other than {first}")


def _charge(act: DecideCorrection, named: SessionSnapshot, context: ActContext) -> str:
    if act.approve:
        _require_identifiers(context)
    questioned = [item.charge for item in named.outcome.release.items]
    if act.charge not in questioned:
        accepted = ", ".join(questioned) or "no charge of the session is"
        decided = [fact for fact in named.session.facts if isinstance(fact, facts.CorrectionDecided)]
        told = [fact for fact in decided if (fact.charge, fact.approved) == (act.charge, act.approve)]
        raise RequestRefused(_stands(told) if told else "charge: not in question", accepted)
    return act.charge


def _done(act: WorkDoneAct, context: ActContext) -> AnyFact:
    item = _work_item(act.item, context)
    fields = _person_fields(act, context.now_us, context)
    return facts.WorkDone(**fields, item=item.id, cap=item.raised.cap, patient=item.raised.patient)


def _work_item(name: str, context: ActContext) -> WorkItem:
    item = next((item for item in context.work if item.id == name), None)
    if item is None:
        raise RequestRefused("no such item", ", ".join(item.id for item in context.work) or "the work list is empty")
    return item


def _assigned(act: AssignAct, named: SessionSnapshot | None, context: ActContext) -> AnyFact:
    fields, to = _person_fields(act, context.now_us, context), act.to or ""
    if named is None:
        item = REJECTED if act.what == REJECTED else _work_item(act.what, context).id
        return facts.TaskAssigned(**fields, to=to, item=item)
    if named.outcome.record.done:
        raise RequestRefused("nothing of the session waits", "a session that is not done")
    return facts.TaskAssigned(**fields, to=to, token=named.token)


# --- acts whose facts are attributed to a session by patient or cap


def _of_patient(
    act: InfusionEndAct | OrderCheckAct | StopCharted | CapRemoval, named: SessionSnapshot, context: ActContext
) -> AnyFact:
    at = resolve_instant(act.at, context)
    fields = _person_fields(act, at.earliest_us, context)
    match act:
        case InfusionEndAct():
            return _infusion_ended(act, at, named, context)
        case OrderCheckAct():
            patient = _known_patient(named)
            return facts.OrderChecked(
                **fields, found=act.found, patient=patient, ordered_post_minutes=act.ordered_post_minutes
            )
        case StopCharted():
            cap = None if named.patient else named.outcome.record.cap
            return facts.CoolingStopCharted(**fields, cap=cap, patient=named.patient, source="person")
        case CapRemoval():
            return facts.CapRemoved(**fields, cap=_cap_of(act, named), patient=named.patient)


def _known_patient(named: SessionSnapshot) -> str:
    if not named.patient:
        raise RequestRefused("nobody knows whose session it is", "a session that is bound; bind tells whose it is")
    return named.patient


def _infusion_ended(act: InfusionEndAct, at: Instant, named: SessionSnapshot, context: ActContext) -> AnyFact:
    patient = _known_patient(named)
    orders = sorted({fact.order for fact in named.session.facts if isinstance(fact, InfusionFact)})
    if act.order not in orders and (act.agent is None or act.correct):
        known = ", ".join(orders) or "none is known"
        raise RequestRefused("order: not known in this session", f"{known}; an order that is new needs its agent class")
    fields = _person_fields(act, at.at_us, context)
    if act.correct:
        return facts.InfusionEndCorrected(
            **_person_fields(act, context.now_us, context),
            order=act.order,
            patient=patient,
            admin=act.agent,
            version=_next_version(act.order, named),
            new_end_us=at.at_us,
            source=EndSource.PERSON,
            ambiguous=at.ambiguous,
            other_reading_us=at.other_us,
        )
    return facts.InfusionEnded(
        **fields,
        order=act.order,
        patient=patient,
        admin=act.agent or AgentClass.CHEMO,
        presumed=act.agent is None,
        source=EndSource.PERSON,
        ambiguous=at.ambiguous,
        other_reading_us=at.other_us,
    )


def _next_version(order: str, named: SessionSnapshot) -> int:
    """One above the highest version recorded for the order."""
    versions = [
        fact.version or 1
        for fact in named.session.facts
        if isinstance(fact, facts.InfusionEndCorrected | facts.InfusionEndVoided) and fact.order == order
    ]
    return max(versions, default=1) + 1


def _cap_of(act: CapRemoval, named: SessionSnapshot) -> CapRef:
    fitting = [cap for cap in named.caps if act.cap in (None, cap.name)]
    if len(fitting) != 1:
        raise RequestRefused("cap: which one?", ", ".join(cap.name for cap in named.caps))
    return fitting[0]


# --- acts that bind a cap to a patient


def _bound(act: Bind, named: SessionSnapshot | None, context: ActContext) -> ActFacts:
    """A binding from `act.at` on; without it from the session's start if a session is named, else from now.

    Of the session's own patient only the identifiers are recorded, if they were purged.
    """
    identity = _identity(act, context)
    if named is not None and identity.subject in context.purged and identity.subject == named.patient:
        again = _person_fields(act, context.now_us, context)
        return (facts.NoteAdded(**again, token=named.token, text="identifiers given again"),), (identity,)
    if named is not None and named.patient:
        told = _bindings(named, identity.subject, context)
        accepted = "a session without patient; reassign gives it to another"
        raise RequestRefused(_stands(told) if told else "the session is bound already", accepted)
    from_us = context.now_us if named is None else named.session.opened_us
    at_us = from_us if act.at is None else resolve_instant(act.at, context).at_us
    fact = facts.PatientBound(
        **_person_fields(act, at_us, context),
        cap=resolve_place(act.place, named, context),
        patient=identity.subject,
        evidence="person",
    )
    return (fact,), (identity,)


def _released(act: ReleaseAct, named: SessionSnapshot | None, context: ActContext) -> AnyFact:
    at_us = resolve_instant(act.at, context).at_us
    cap = resolve_place(act.place, None, context) if named is None else served_by(named, context)
    patient = context.serving.get(cap)
    if patient is None or (named is not None and named.patient != patient):
        raise RequestRefused("place: it serves no patient of that place", "a cap that is bound")
    return facts.PatientReleased(**_person_fields(act, at_us, context), cap=cap, patient=patient)


def _reassigned(act: Reassign, named: SessionSnapshot, context: ActContext) -> ActFacts:
    identity = _identity(act, context)
    if identity.subject == named.patient:
        raise RequestRefused("visit: the session is that patient's", "another visit")
    moves = tuple(
        facts.PatientReassigned(
            **_person_fields(act, context.now_us, context),
            cap=cap,
            from_patient=named.patient,
            to_patient=identity.subject,
            began_before_us=min(named.outcome.assessment.stopped_us or context.now_us, context.now_us),
        )
        for cap in named.caps
    )
    return moves, (identity,)


def _bindings(named: SessionSnapshot, subject: str, context: ActContext) -> list[facts.PatientBound]:
    """The facts that bound the session's caps to the subject; none if the session is another's."""
    if named.patient != subject:
        return []
    found = context.of_patient(subject)
    return [fact for fact in found if isinstance(fact, facts.PatientBound) and fact.cap in named.caps]


def _identity(act: Bind | Reassign, context: ActContext) -> Identity:
    return Identity(context.subject_of(act.visit), act.visit, act.mrn, act.account)


def _person_fields(act: Act, at_us: int, context: ActContext) -> _PersonFields:
    return _PersonFields(
        at_us=at_us,
        known_at_us=context.now_us,
        person=act.person,
        reason=act.reason,
        login=context.by.login,
        role=context.by.role,
    )
