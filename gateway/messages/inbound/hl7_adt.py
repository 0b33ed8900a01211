"""`ADT`: visits open, move, close and are cancelled; whom a chair serves follows from it.

A chair is weak evidence: it binds a cap that serves nobody, and what contradicts another patient's cooling goes to the
work list instead. A closed visit ends the patient's cooling; its cancellation takes that back. A cancelled registration
takes the bindings back from their beginning, so that what was counted is held for a person.
"""

from collections.abc import Callable, Mapping

from gateway.messages.identity import Merge
from gateway.messages.inbound.answers import Accepted, Inbound
from gateway.messages.inbound.hl7 import Hl7, Whose, merged, whose
from gateway.session import facts
from gateway.session.cooling import EHR
from gateway.session.facts import AnyFact, CapRef, WorkKind

CHAIR_EVIDENCE = "ehr"


def read_adt(hl7: Hl7) -> Inbound:
    """What the trigger event of the message changes here."""
    trigger = hl7.message.first("MSH").get(9, 2) or hl7.message.first("EVN").get(1)
    read = _TRIGGERS.get(trigger.upper())
    if read is None:
        raise hl7.ignored("not-used", f"MSH-9: not used here; used are ADT {', '.join(_TRIGGERS)}")
    return read(hl7)


def _about(hl7: Hl7) -> Whose:
    """Whose visit; only one that has to do with this gateway."""
    about = whose(hl7, (hl7.message.first("PV1"), 3))
    if about.chair is None and not hl7.site.knows(about.subject):
        raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway, and the visit has no cap here")
    return about


def _opened(hl7: Hl7) -> Inbound:
    about = _about(hl7)
    return Accepted(hl7.message_id, _at_chair(hl7, about), about.identities)


def _updated(hl7: Hl7) -> Inbound:
    about = _about(hl7)
    return Accepted(hl7.message_id, (), about.identities, "identifiers alone; a move comes as A02")


def _moved(hl7: Hl7) -> Inbound:
    about = _about(hl7)
    left = [cap for cap in _serving(hl7, about) if cap != about.chair]
    return Accepted(hl7.message_id, (*_released(hl7, about, left), *_at_chair(hl7, about)), about.identities)


def _closed(hl7: Hl7) -> Inbound:
    about = _about(hl7)
    if not hl7.site.knows(about.subject):
        raise hl7.ignored("not-ours", "PV1-19: the visit has no cap here")
    left = facts.PatientLeft(
        at_us=_when(hl7, discharge=True), known_at_us=hl7.known_at_us, patient=about.subject, source=EHR
    )
    return Accepted(hl7.message_id, (left, *_released(hl7, about, _serving(hl7, about))), about.identities)


def _reopened(hl7: Hl7) -> Inbound:
    about = _about(hl7)
    back = facts.DepartureCancelled(
        at_us=_when(hl7), known_at_us=hl7.known_at_us, patient=about.subject, msg=hl7.message_id
    )
    return Accepted(hl7.message_id, (back, *_at_chair(hl7, about)), about.identities)


def _cancelled(hl7: Hl7) -> Inbound:
    about = _about(hl7)
    if not hl7.site.knows(about.subject):
        raise hl7.ignored("not-ours", "PV1-19: the visit has no cap here")
    served = _serving(hl7, about)
    voids = [
        facts.BindingVoided(
            at_us=hl7.known_at_us, known_at_us=hl7.known_at_us, cap=cap, patient=about.subject, msg=hl7.message_id
        )
        for cap in served
    ]
    work = _work(hl7, WorkKind.VISIT_CANCELLED, served[0] if served else None, about.subject)
    return Accepted(hl7.message_id, (*voids, work), (), "the visit is cancelled: a person looks at it")


def _joined(hl7: Hl7) -> Inbound:
    person, old_person = hl7.message.first("PID"), hl7.message.first("MRG")
    new, old = merged(hl7)
    account, old_account = hl7.take(person, 18, "account"), hl7.take(old_person, 3, "account before")
    merges = [Merge("mrn", old, new)] if old and new and old != new else []
    if old_account and account and account != old_account:
        merges.append(Merge("account", old_account, account))
    if not merges:
        raise hl7.rejected("bad-data", "MRG-1 and PID-3: no two numbers; accepted: the old and the new record number")
    return Accepted(hl7.message_id, (), note="noted wherever the old number is known", merges=tuple(merges))


_TRIGGERS: Mapping[str, Callable[[Hl7], Inbound]] = {
    "A01": _opened,
    "A02": _moved,
    "A03": _closed,
    "A04": _opened,
    "A08": _updated,
    "A11": _cancelled,
    "A13": _reopened,
    "A40": _joined,
}


def _serving(hl7: Hl7, about: Whose) -> list[CapRef]:
    return sorted(hl7.site.bound.caps_of(about.subject))


def _at_chair(hl7: Hl7, about: Whose) -> tuple[AnyFact, ...]:
    """The cap at the patient's chair serves the patient, unless it still serves another one."""
    if about.chair is None:
        return ()
    served = hl7.site.bound.get(about.chair)
    if served == about.subject:
        return ()
    if served is not None and not hl7.site.is_done(served):
        return (_work(hl7, WorkKind.CHAIR_TAKEN, about.chair, about.subject),)
    bound = facts.PatientBound(
        at_us=_when(hl7),
        known_at_us=hl7.known_at_us,
        cap=about.chair,
        patient=about.subject,
        evidence=CHAIR_EVIDENCE,
        msg=hl7.message_id,
    )
    return (bound,)


def _released(hl7: Hl7, about: Whose, caps: list[CapRef]) -> tuple[AnyFact, ...]:
    at_us = _when(hl7)
    return tuple(
        facts.PatientReleased(
            at_us=at_us, known_at_us=hl7.known_at_us, cap=cap, patient=about.subject, msg=hl7.message_id
        )
        for cap in caps
    )


def _work(hl7: Hl7, what: WorkKind, cap: CapRef | None, subject: str) -> facts.WorkRaised:
    return facts.WorkRaised(
        at_us=hl7.known_at_us,
        known_at_us=hl7.known_at_us,
        what=what,
        cap=cap,
        patient=subject,
        msg=hl7.message_id,
    )


def _when(hl7: Hl7, *, discharge: bool = False) -> int:
    """When it happened: a discharge by PV1-45, else EVN-6, EVN-2 (when it was recorded), MSH-7. UTC microseconds."""
    event, header = hl7.message.first("EVN"), hl7.message.first("MSH")
    left = [(hl7.message.first("PV1"), 45)] if discharge else []
    at = hl7.instant_or_reject(*left, (event, 6), (event, 2), (header, 7), what="when it happened")
    return at.earliest_us if discharge else at.at_us
