"""Builds the data of outbound messages about a session from an outcome."""

from gateway.messages.details import NO_DETAILS, Details
from gateway.messages.identity import Identity
from gateway.messages.instants import rfc3339, rfc3339_or_none
from gateway.messages.notation import Mode
from gateway.messages.outbound.ehr import (
    ChargeAction,
    ChargeData,
    Code,
    CorrectionData,
    Counts,
    Device,
    IncrementData,
    InfusionEndData,
    IntervalData,
    PatientData,
    PolicyData,
    ReleaseData,
    SessionData,
)
from gateway.messages.outbound.site import ChargeSite
from gateway.session import increments as counted
from gateway.session.charges import Charge, charged_units
from gateway.session.increments import Change, Op, chart_minutes, net_us
from gateway.session.keys import increment_key
from gateway.session.outcome import Outcome, SessionChange
from gateway.session.spans import US_PER_S


def increment_data(outcome: Outcome, change: Change, identity: Identity | None, mode: Mode) -> IncrementData:
    """The data of one change of an increment. A retraction has the evidence of the count as it is now."""
    record, assessment = outcome.record, outcome.assessment
    increment = next((each for each in assessment.increments if each.index == change.index), None)
    intervals = assessment.intervals if increment is None else increment.intervals
    policy = record.policy
    return IncrementData(
        session=record.token,
        increment=increment_key(record.token, change.index),
        index=change.index,
        revision=change.revision,
        op=change.op,
        attained_at=None if change.op is Op.RETRACT else rfc3339(change.attained_at_us),
        known_at=rfc3339(change.known_at_us),
        was=rfc3339_or_none(change.was_us),
        policy=PolicyData(policy.name, policy.revision),
        threshold_s=policy.first_threshold_s + (change.index - 1) * policy.increment_s,
        code=Code(),
        infusion_end=_infusion_end(outcome),
        net_s=net_us(intervals) / US_PER_S,
        chart_minutes=chart_minutes(intervals),
        intervals=tuple(map(_interval, intervals)),
        devices=_devices(outcome),
        evidence=outcome.evidence,
        mode=mode,
        flags=assessment.flags,
        release=_release(outcome),
        patient=_patient(identity),
    )


def session_data(outcome: Outcome, what: SessionChange, identity: Identity | None, mode: Mode) -> SessionData:
    """The data of a session after `what` happened."""
    record, assessment = outcome.record, outcome.assessment
    attained = sum(not each.retracted for each in record.emitted)
    started_us = record.opened_us if assessment.started_us is None else assessment.started_us
    return SessionData(
        what=what,
        session=record.token,
        unit=record.cap.device,
        cap=record.cap.channel,
        state=record.state,
        phase=assessment.phase,
        started_at=rfc3339(started_us),
        cooling_stopped_at=rfc3339_or_none(assessment.stopped_us),
        policy=PolicyData(record.policy.name, record.policy.revision),
        counts=Counts(
            attained=attained,
            held=attained if outcome.held else 0,
            retracted=len(record.emitted) - attained,
            charged=charged_units(record.charged),
        ),
        flags=assessment.flags,
        release=_release(outcome),
        corrections=tuple(
            CorrectionData(item.charge, item.charged, item.counted, item.reason) for item in outcome.release.open_items
        ),
        missing=outcome.missing,
        mode=mode,
        person=outcome.person or None,
        patient=_patient(identity),
    )


def charge_data(
    outcome: Outcome, charge: Charge, identity: Identity, site: ChargeSite, details: Details = NO_DETAILS
) -> ChargeData:
    """The data of a charge or credit. `identity` is its patient's, who may no longer be the session's."""
    policy, line = outcome.record.policy, charge.line
    return ChargeData(
        charge=charge.key,
        action=ChargeAction.CREDIT if charge.reverses else ChargeAction.CHARGE,
        reverses=charge.reverses or None,
        reason=charge.reason,
        session=outcome.record.token,
        code=Code(),
        quantity=charge.quantity,
        increments=line.increments,
        service_date=line.service_date.isoformat(),
        start=rfc3339(line.start_us),
        end=rfc3339(line.end_us),
        net_s=line.net_us / US_PER_S,
        policy=PolicyData(policy.name, policy.revision),
        devices=_devices(outcome),
        mode=site.mode,
        modifiers=site.modifiers,
        details=None if details == NO_DETAILS else details,
        patient=PatientData(identity.visit, identity.mrn, identity.account),
    )


def _release(outcome: Outcome) -> ReleaseData:
    return ReleaseData(outcome.release.state, outcome.release.reasons)


def _infusion_end(outcome: Outcome) -> InfusionEndData | None:
    end = outcome.assessment.infusion_end
    if end is None:
        return None
    return InfusionEndData(
        time=rfc3339(end.at_us), source=end.source, order=end.order, version=end.version, skew_s=end.skew_s or None
    )


def _interval(interval: counted.Interval) -> IntervalData:
    return IntervalData(rfc3339(interval.start_us), rfc3339(interval.end_us), interval.cap.device, interval.cap.channel)


def _devices(outcome: Outcome) -> tuple[Device, ...]:
    serial_numbers = outcome.assessment.serial_numbers
    return tuple(
        Device(cap.device, cap.channel, serial_numbers.get(cap.device))
        for cap in outcome.assessment.caps or (outcome.record.cap,)
    )


def _patient(identity: Identity | None) -> PatientData | None:
    if identity is None:
        return None
    return PatientData(identity.visit, identity.mrn, identity.account)
