"""The readers of inbound JSON events, data to facts, one for each type; READERS is their registry."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import msgspec

from gateway.messages.identity import Identity
from gateway.messages.inbound import json_models as models
from gateway.messages.inbound import json_sessions as sessions
from gateway.messages.inbound.answers import Accepted, Inbound, Receipt
from gateway.messages.inbound.json_details import stated_details
from gateway.messages.inbound.json_message import JsonMessage, cap_of, identity_of, served_at, subject_of
from gateway.messages.inbound.json_models import Ack, Association, CapChange, Infusion, OrderCheckModel
from gateway.session import facts
from gateway.session.facts import AgentClass, CapRef, EndSource
from gateway.session.statements import InfusionFact


class InboundType(msgspec.Struct, frozen=True):
    """An inbound JSON type: its reader, the model of its data, and the JSON Schema, schemas/<schema>.json."""

    read: Callable[[JsonMessage], Inbound]
    model: type[models.InboundModel]
    schema: str


_AGENT_CLASSES = {agent.value: agent for agent in AgentClass} | {
    "scalp-cooling-relevant": AgentClass.CHEMO,
    "other": AgentClass.HYDRATION,  # stated as irrelevant to cooling: it changes no infusion end (P5)
}
_UNKNOWN_AGENT = "data.agent_class: unknown, so the order counts as chemo unless another message names its class"
_HINT = 'a hint: it starts no count without data.final true or data.source "mar" or "person"'


def _order_of(message: JsonMessage, data: Infusion) -> str:
    order = data.order or data.administration
    if order is None:
        raise message.rejected("bad-data", "data.order: missing; accepted: text that start, end and changes share")
    return order


class _Charting(TypedDict):
    administration: str
    charted_us: int | None


def _charting(message: JsonMessage, data: Infusion) -> _Charting:
    """The administration and its charting time. An event of a pump is about the whole order."""
    administration = "" if data.source == "pump" else data.administration or ""
    return {"administration": administration, "charted_us": message.recorded_us}


def _agent_of(data: Infusion) -> tuple[AgentClass, bool, str]:
    """The class, whether it is only presumed, and a note for the sender about that."""
    agent = _AGENT_CLASSES.get(data.agent_class or "")
    return (AgentClass.CHEMO, True, _UNKNOWN_AGENT) if agent is None else (agent, False, "")


def _end_source_of(data: Infusion) -> EndSource:
    match data.source:
        case "mar":
            return EndSource.MAR
        case "person" | "manual":
            return EndSource.PERSON
        case "pump" | None:
            return EndSource.ENGINE_FINAL if data.final else EndSource.PUMP


def _accepted(
    message: JsonMessage, data: Infusion, fact: InfusionFact, identities: tuple[Identity, ...], *notes: str
) -> Accepted:
    details = stated_details(data.details, fact.patient, fact.order)
    return msgspec.structs.replace(message.accepted(fact, identities, *notes), details=details)


def _started(message: JsonMessage) -> Inbound:
    return _running(message, facts.InfusionStarted)


def _restarted(message: JsonMessage) -> Inbound:
    return _running(message, facts.InfusionRestarted)


def _running(message: JsonMessage, what: type[facts.InfusionStarted] | type[facts.InfusionRestarted]) -> Inbound:
    data = message.data(Infusion)
    if data.voided:
        raise message.rejected("bad-data", "data.voided: accepted with infusion.completed alone")
    subject, identities = subject_of(message, data)
    agent, presumed, note = _agent_of(data)
    begin = facts.FlushStarted if agent is AgentClass.FLUSH else what
    fact = begin(
        at_us=message.timed().at_us,
        known_at_us=message.known_at_us,
        order=_order_of(message, data),
        patient=subject,
        admin=agent,
        presumed=presumed,
        msg=message.message_id,
        source=EndSource.PUMP if data.source == "pump" else EndSource.MAR,
        of_order=data.source == "pump",
        **_charting(message, data),
        ambiguous=message.time.ambiguous,
        other_reading_us=message.time.other_us,
    )
    return _accepted(message, data, fact, identities, note)


def _completed(message: JsonMessage) -> Inbound:
    data = message.data(Infusion)
    if data.voided:
        return _withdrawn(message, data)
    if data.amends is not None or (data.version or 0) > 1:
        return _corrected(message, data)
    subject, identities = subject_of(message, data)
    agent, presumed, note = _agent_of(data)
    order = _order_of(message, data)
    if agent is AgentClass.FLUSH:
        flush = facts.FlushEnded(
            at_us=message.timed().at_us,
            known_at_us=message.known_at_us,
            order=order,
            patient=subject,
            admin=agent,
            msg=message.message_id,
            **_charting(message, data),
            ambiguous=message.time.ambiguous,
            other_reading_us=message.time.other_us,
        )
        return message.accepted(flush, identities)
    source = _end_source_of(data)
    end = facts.InfusionEnded(
        at_us=message.time.at_us,
        known_at_us=message.known_at_us,
        order=order,
        patient=subject,
        admin=agent,
        presumed=presumed,
        msg=message.message_id,
        source=source,
        of_order=source is EndSource.PUMP,
        **_charting(message, data),
        remaining_chemo_orders=data.remaining_chemo_orders,
        no_time=message.time.no_time,
        ambiguous=message.time.ambiguous,
        other_reading_us=message.time.other_us,
    )
    no_time = "time: a date alone, so nothing counts until an end with a time of day comes" if end.no_time else ""
    return _accepted(message, data, end, identities, note, _HINT if source is EndSource.PUMP else "", no_time)


def _corrected(message: JsonMessage, data: Infusion) -> Inbound:
    subject, identities = subject_of(message, data)
    source = _end_source_of(data)
    changed_us = message.known_at_us if message.recorded_us is None else message.recorded_us
    correction = facts.InfusionEndCorrected(
        at_us=changed_us,
        known_at_us=message.known_at_us,
        order=_order_of(message, data),
        patient=subject,
        admin=_AGENT_CLASSES.get(data.agent_class or ""),  # None: the order keeps its class
        msg=message.message_id,
        version=changed_us if data.version is None else data.version,
        new_end_us=message.timed().at_us,
        source=source,
        of_order=source is EndSource.PUMP,
        **_charting(message, data),
        ambiguous=message.time.ambiguous,
        other_reading_us=message.time.other_us,
    )
    return _accepted(message, data, correction, identities, _HINT if source is EndSource.PUMP else "")


def _voided(message: JsonMessage) -> Inbound:
    return _withdrawn(message, message.data(Infusion))


def _withdrawn(message: JsonMessage, data: Infusion) -> Inbound:
    subject, identities = subject_of(message, data)
    void = facts.InfusionEndVoided(
        at_us=message.known_at_us if message.recorded_us is None else message.recorded_us,
        known_at_us=message.known_at_us,
        order=_order_of(message, data),
        patient=subject,
        admin=_AGENT_CLASSES.get(data.agent_class or ""),
        msg=message.message_id,
        **_charting(message, data),
        version=data.version,
    )
    return message.accepted(void, identities)


# --- associations, orders, ends of cooling

_EVIDENCE = {"scan": "scan", "ehr": "ehr", "person": "person", "manual": "person", None: ""}


def _bound(message: JsonMessage) -> Inbound:
    data = message.data(Association)
    cap = _required_cap(message, cap_of(message, data))
    identity = identity_of(message, data)
    if identity is None:
        accepted = "accepted: text, or numbers in data.patient of a session under way"
        raise message.rejected("no-visit", f"data.patient.visit: missing; {accepted}")
    _require_validated(message, data)
    fact = facts.PatientBound(
        at_us=message.timed().at_us,
        known_at_us=message.known_at_us,
        cap=cap,
        patient=identity.subject,
        evidence=_EVIDENCE[data.asserted_by],
        msg=message.message_id,
    )
    return message.accepted(fact, (identity,))


def _released(message: JsonMessage) -> Inbound:
    data = message.data(Association)
    cap = _required_cap(message, cap_of(message, data))
    identity = identity_of(message, data)
    _require_validated(message, data)
    if identity is None:
        served_at(message, data, cap)  # stops where the numbers are another's
    fact = facts.PatientReleased(
        at_us=message.timed().at_us,
        known_at_us=message.known_at_us,
        cap=cap,
        patient="" if identity is None else identity.subject,
        msg=message.message_id,
    )
    return message.accepted(fact, () if identity is None else (identity,))


def _require_validated(message: JsonMessage, data: Association) -> None:
    if not data.validated:
        raise message.ignored("unconfirmed", "data.validated is false: send it again once it is confirmed")


def _required_cap(message: JsonMessage, cap: CapRef | None) -> CapRef:
    if cap is None:
        raise message.rejected("no-cap", "data.unit: missing; accepted: a unit with its cap, or a chair")
    return cap


def _order_checked(message: JsonMessage) -> Inbound:
    data = message.data(OrderCheckModel)
    subject, identities = subject_of(message, data)
    fact = facts.OrderChecked(
        at_us=message.timed().at_us,
        known_at_us=message.known_at_us,
        found=data.found,
        patient=subject,
        ordered_post_minutes=data.ordered_post_minutes,
    )
    return message.accepted(fact, identities)


def _cap_removed(message: JsonMessage) -> Inbound:
    data = message.data(CapChange)
    subject, identities, cap = _change_of(message, data)
    if cap is None:
        cap = _only_cap(message, message.site.bound.caps_of(subject))
    fact = facts.CapRemoved(
        at_us=message.timed().earliest_us, known_at_us=message.known_at_us, cap=cap, patient=subject
    )
    return message.accepted(fact, identities)


def _stop_charted(message: JsonMessage) -> Inbound:
    data = message.data(CapChange)
    subject, identities, cap = _change_of(message, data)
    fact = facts.CoolingStopCharted(
        at_us=message.timed().earliest_us,
        known_at_us=message.known_at_us,
        cap=cap,
        patient=subject,
        source=data.source or "",
    )
    return message.accepted(fact, identities)


def _patient_left(message: JsonMessage) -> Inbound:
    data = message.data(CapChange)
    subject, identities, cap = _change_of(message, data)
    fact = facts.PatientLeft(
        at_us=message.timed().earliest_us, known_at_us=message.known_at_us, cap=cap, patient=subject
    )
    return message.accepted(fact, identities)


def _change_of(message: JsonMessage, data: CapChange) -> tuple[str, tuple[Identity, ...], CapRef | None]:
    """The patient whose cooling ended, and the cap; None, for all of the patient's caps, if only the visit is named."""
    cap = cap_of(message, data)
    identity = identity_of(message, data)
    if identity is None:
        cap = _required_cap(message, cap)
        served_at(message, data, cap)  # stops where the numbers are another's
        return "", (), cap
    if cap is None and not message.site.knows(identity.subject):
        raise message.ignored("not-ours", "data.visit: no cap and no open session of this gateway")
    return identity.subject, (identity,), cap


def _only_cap(message: JsonMessage, serving: Sequence[CapRef]) -> CapRef:
    if len(serving) != 1:
        raise message.rejected("no-cap", "data.unit: missing, and the visit is not bound to just one cap; name it")
    return serving[0]


def _receipt(message: JsonMessage) -> Inbound:
    data = message.data(Ack)
    result = "rejected" if data.result == "error" else data.result
    sequence = None if data.sequence is None else int(data.sequence)
    return Receipt(message.message_id, data.for_, result, data.code or "", data.text or "", sequence)


READERS: Mapping[str, InboundType] = {
    "infusion.started.v1": InboundType(_started, models.Infusion, "in-infusion-1"),
    "infusion.completed.v1": InboundType(_completed, models.Infusion, "in-infusion-1"),
    "infusion.voided.v1": InboundType(_voided, models.Infusion, "in-infusion-1"),
    "infusion.restarted.v1": InboundType(_restarted, models.Infusion, "in-infusion-1"),
    "association.bound.v1": InboundType(_bound, models.Association, "in-association-1"),
    "association.released.v1": InboundType(_released, models.Association, "in-association-1"),
    "order.checked.v1": InboundType(_order_checked, models.OrderCheckModel, "in-order-check-1"),
    "session.finalized.v1": InboundType(sessions.finalised, models.Finalisation, "in-finalisation-1"),
    "preparation.charted.v1": InboundType(sessions.prepared, models.Preparation, "in-preparation-1"),
    "tolerance.checked.v1": InboundType(sessions.tolerated, models.ToleranceModel, "in-tolerance-1"),
    "cap.identified.v1": InboundType(sessions.cap_identified, models.CapIdentity, "in-cap-identity-1"),
    "cap.removed.v1": InboundType(_cap_removed, models.CapChange, "in-cap-change-1"),
    "cooling.stop-charted.v1": InboundType(_stop_charted, models.CapChange, "in-cap-change-1"),
    "patient.left.v1": InboundType(_patient_left, models.CapChange, "in-cap-change-1"),
    "ack.v1": InboundType(_receipt, models.Ack, "in-ack-1"),
}
"""Every JSON type that is read, by the ending of an event's `type`."""
