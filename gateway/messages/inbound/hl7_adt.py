"""Reader of `ADT`: visits that open, move, close or are cancelled, and the cap at a patient's chair that follows.

A chair is weak evidence: it binds only a cap that serves no patient; a contradiction to another patient's cooling
becomes a work item. A visit that is in this suite, at no chair yet, waits until a person binds it. A closed visit ends
the patient's cooling, unless the closing is cancelled. A cancelled registration voids the bindings from their
beginning, so that increments are held for a person. Changes of identifiers are read in hl7_numbers.py.
"""

from collections.abc import Callable, Mapping

import msgspec

from gateway.messages.hl7v2 import Hl7Message
from gateway.messages.inbound.answers import Accepted, Inbound
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.inbound.hl7_details import stated_details
from gateway.messages.inbound.hl7_identity import (
    PatientContext,
    identity_of,
    names_visit,
    patient_context,
    stated_identity,
    stated_numbers,
)
from gateway.messages.inbound.hl7_numbers import number_changes, read_numbers
from gateway.session import facts
from gateway.session.cooling import EHR
from gateway.session.facts import AnyFact, CapRef, WorkKind

CHAIR_EVIDENCE = "ehr"


def read_adt(hl7: Hl7) -> Inbound:
    """Read the message by its trigger event."""
    trigger = hl7.message.first("MSH").get(9, 2) or hl7.message.first("EVN").get(1)
    read = _TRIGGERS.get(trigger.upper())
    if read is None:
        raise hl7.ignored("not-used", f"MSH-9: not used here; used are ADT {', '.join(_TRIGGERS)}")
    answer = read(hl7)
    of_person = read in (_updated, _person_updated) and not names_visit(hl7)
    if not isinstance(answer, Accepted) or len(answer.identities) != 1 or of_person:
        return answer  # whose visit PV1 is about is not clear
    return msgspec.structs.replace(answer, details=stated_details(hl7, answer.identities[0].subject))


def _about(hl7: Hl7) -> PatientContext:
    """The message's visit. Raises Stop if it does not concern this gateway."""
    about = patient_context(hl7, (hl7.message.first("PV1"), 3))
    if about.chair is None and not hl7.site.knows(about.subject):
        raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway, and the visit has no cap here")
    return about


def _arrived(hl7: Hl7) -> Accepted | None:
    """The answer for a visit without a cap here that is in this suite, in no room and at no chair; None for others."""
    place, suite = hl7.message.first("PV1"), hl7.site.words.location
    in_suite = bool(suite) and place.get(3, 1).lower() == suite and not (place.get(3, 2) or place.get(3, 3))
    if not in_suite or hl7.chair(place, 3) is not None:
        return None
    identity = identity_of(hl7)
    if identity is None or hl7.site.knows(identity.subject):
        return None
    return Accepted(hl7.message_id, (), (identity,), arrived=identity.subject)


def _opened(hl7: Hl7) -> Inbound:
    if (arrived := _arrived(hl7)) is not None:
        return arrived
    about = _about(hl7)
    return Accepted(hl7.message_id, _at_chair(hl7, about), about.identities)


def _updated(hl7: Hl7) -> Inbound:
    """A08: an update may be the first message with the chair. It moves no patient who has a cap: only A02 does."""
    if not names_visit(hl7):
        return _person_updated(hl7)
    about = _about(hl7)
    served = _serving(hl7, about)
    if about.chair is None or about.chair in served or (not served and hl7.site.was_served(about.subject)):
        return Accepted(hl7.message_id, (), about.identities, "identifiers alone; a move comes as A02")
    if not served:
        return Accepted(hl7.message_id, _at_chair(hl7, about), about.identities)
    work = _work(hl7, WorkKind.MOVED_ELSEWHERE, about.chair, about.subject)
    note = "PV1-3 names another chair than that of the patient's cap: a person looks at it; a move comes as A02"
    return Accepted(hl7.message_id, (work,), about.identities, note)


def _person_updated(hl7: Hl7) -> Inbound:
    """A08, A31: changed data of a person, for the visit that is named, else for all sessions with the record number."""
    if names_visit(hl7):
        return Accepted(hl7.message_id, (), _about(hl7).identities, "identifiers alone")
    own = stated_numbers(hl7).holders(hl7.site, "mrn")
    if not own:
        raise hl7.ignored("not-ours", "PID-3: nobody with a session under way here")
    identities = tuple(stated_identity(hl7, known) for known in own)
    return Accepted(hl7.message_id, (), identities, "identifiers alone")


def _moved(hl7: Hl7) -> Inbound:
    if (arrived := _arrived(hl7)) is not None:
        return arrived
    about = _about(hl7)
    left = [cap for cap in _serving(hl7, about) if cap != about.chair]
    return Accepted(hl7.message_id, (*_released(hl7, about, left), *_at_chair(hl7, about)), about.identities)


def _changed_class(hl7: Hl7) -> Inbound:
    """A06, A07: outpatient became inpatient or the reverse, perhaps with another visit number and another place."""
    changes = number_changes(hl7)
    if not changes:
        return _moved(hl7)
    answer = read_numbers(hl7)
    if not isinstance(answer, Accepted):
        return answer
    befores = [hl7.site.subject_of(change.old.value) for change in changes if change.kind == "visit"]
    before = next((subject for subject in befores if hl7.site.knows(subject)), None)
    if before is None:
        moved = _moved(hl7)
        return msgspec.structs.replace(moved, merges=changes) if isinstance(moved, Accepted) else moved
    about = PatientContext(before, (), hl7.chair(hl7.message.first("PV1"), 3))
    left = [cap for cap in _serving(hl7, about) if about.chair is not None and cap != about.chair]
    facts_of_move = (*_released(hl7, about, left), *_at_chair(hl7, about))
    return msgspec.structs.replace(answer, facts=(*facts_of_move, *answer.facts))


def _swapped(hl7: Hl7) -> Inbound:
    """A17: two patients exchange chairs; while one of them is being cooled, work items instead."""
    both = [_in_group(hl7, group) for group in hl7.message.groups("PID")]
    if len(both) != 2:
        raise hl7.rejected("bad-data", "PID: accepted are two patients, each with PV1")
    if not any(about.chair is not None or hl7.site.knows(about.subject) for about in both):
        raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway, and neither visit has a cap here")
    identities = tuple(identity for about in both for identity in about.identities)
    cooled = [about for about in both if _is_cooled(hl7, about.subject)]
    others = {hl7.site.bound.get(about.chair) for about in both if about.chair is not None}
    others -= {about.subject for about in both}
    if cooled or any(served is not None and not hl7.site.is_done(served) for served in others):
        work = [_work(hl7, WorkKind.BEDS_SWAPPED, about.chair, about.subject) for about in cooled or both]
        note = "a patient's cooling is under way: a person looks at it"
        return Accepted(hl7.message_id, tuple(work), identities, note)
    released = [fact for about in both for fact in _released(hl7, about, _serving(hl7, about))]
    bound = [_binding(hl7, about.chair, about.subject) for about in both if about.chair is not None]
    return Accepted(hl7.message_id, (*released, *bound), identities)


def _is_cooled(hl7: Hl7, subject: str) -> bool:
    return subject in hl7.site.treated and not hl7.site.is_done(subject)


def _in_group(hl7: Hl7, group: Hl7Message) -> PatientContext:
    """The visit and the chair of one group of a message."""
    header = [segment for segment in hl7.message.segments if segment.name in ("MSH", "EVN")]
    part = Hl7(Hl7Message((*header, *group.segments)), hl7.known_at_us, hl7.site, hl7.fields)
    identity = identity_of(part)
    if identity is None:
        raise hl7.rejected("no-visit", "PV1: no visit; accepted: the visits of both patients")
    return PatientContext(identity.subject, (identity,), part.chair(part.message.first("PV1"), 3))


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


_NUMBERS = (
    *("A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A42"),  # merged
    *("A43", "A44", "A45"),  # moved
    *("A46", "A47", "A48", "A49", "A50", "A51"),  # changed
)
_TRIGGERS: Mapping[str, Callable[[Hl7], Inbound]] = {
    "A01": _opened,
    "A02": _moved,
    "A03": _closed,
    "A04": _opened,
    "A06": _changed_class,
    "A07": _changed_class,
    "A08": _updated,
    "A11": _cancelled,
    "A12": _moved,
    "A13": _reopened,
    "A17": _swapped,
    "A23": _cancelled,
    "A31": _person_updated,
    **dict.fromkeys(_NUMBERS, read_numbers),
}


def _serving(hl7: Hl7, about: PatientContext) -> list[CapRef]:
    return sorted(hl7.site.bound.caps_of(about.subject))


def _at_chair(hl7: Hl7, about: PatientContext) -> tuple[AnyFact, ...]:
    """Bind the cap at the patient's chair to the patient, unless it still serves another one."""
    if about.chair is None:
        return ()
    served = hl7.site.bound.get(about.chair)
    if served == about.subject:
        return ()
    if served is not None and not hl7.site.is_done(served):
        return (_work(hl7, WorkKind.CHAIR_TAKEN, about.chair, about.subject),)
    return (_binding(hl7, about.chair, about.subject),)


def _binding(hl7: Hl7, cap: CapRef, subject: str) -> facts.PatientBound:
    return facts.PatientBound(
        at_us=_when(hl7),
        known_at_us=hl7.known_at_us,
        cap=cap,
        patient=subject,
        evidence=CHAIR_EVIDENCE,
        msg=hl7.message_id,
    )


def _released(hl7: Hl7, about: PatientContext, caps: list[CapRef]) -> tuple[AnyFact, ...]:
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
    """When the event happened, UTC microseconds: a discharge by PV1-45; else EVN-6, EVN-2 (recorded) or MSH-7."""
    event, header = hl7.message.first("EVN"), hl7.message.first("MSH")
    left = [(hl7.message.first("PV1"), 45)] if discharge else []
    at = hl7.instant_or_reject(*left, (event, 6), (event, 2), (header, 7), what="when it happened")
    return at.earliest_us if discharge else at.at_us
