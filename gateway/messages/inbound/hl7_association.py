"""Reader of device-patient associations (IHE PCIM, DEV-51 and DEV-52): `ORU^R01` with OBR-4 69136.

The association manager repeats current associations after an interruption, so a repeat changes nothing. OBX-11 is the
status: F and C take effect, R awaits confirmation, D and W void an association from its beginning.
"""

from gateway.messages.hl7v2 import Hl7Message, Segment
from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Accepted, FieldRead, Inbound
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.inbound.hl7_identity import identity_of
from gateway.session import facts
from gateway.session.facts import AnyFact, CapRef

_NAME = "MDC_OBS_ASSOCIATION_PATIENT_DEVICE"
_NUMBER = "69136"
_BOUND, _RELEASED = "EVT_ASSOCIATION_PATIENT_DEVICE", "EVT_DISASSOCIATION_PATIENT_DEVICE"
_SURE = frozenset({"F", "C"})
_VOID = frozenset({"D", "W"})
_EQUIPMENT = "EQUIP"


def is_association(message: Hl7Message) -> bool:
    """Whether the message binds or releases devices."""
    return any(segment.get(4) == _NUMBER or segment.get(4, 2) == _NAME for segment in message.all("OBR"))


def read_association(hl7: Hl7) -> Inbound:
    """One fact for each association in the message that concerns a cap of this gateway."""
    identity = identity_of(hl7)
    found: list[AnyFact] = []
    for group in hl7.message.groups("OBR"):
        found += [_read_line(hl7, group, line, identity) for line in group.all("OBX") if _event(line)]
    if not found:
        raise hl7.rejected("bad-data", f"OBX-5: missing; accepted: {_BOUND} or {_RELEASED}")
    return Accepted(hl7.message_id, tuple(found), () if identity is None else (identity,))


def _event(line: Segment) -> str:
    name = next((each for each in (line.get(5, 2), line.get(5, 5), line.get(5, 1)) if "EVT_" in each), "")
    return next((event for event in (_RELEASED, _BOUND) if name.endswith(event)), "")


def _read_line(hl7: Hl7, group: Hl7Message, line: Segment, identity: Identity | None) -> AnyFact:
    event = hl7.note(FieldRead("OBX-5", "event", _event(line)))
    status = hl7.text(line, 11, "how sure").upper()
    cap = _cap(hl7, group)
    subject = "" if identity is None else identity.subject
    if not subject and (event == _BOUND or status in _VOID):
        raise hl7.rejected("no-visit", "PV1-19: missing; accepted: the visit that the device serves")
    if status in _VOID:
        return facts.BindingVoided(
            at_us=hl7.known_at_us, known_at_us=hl7.known_at_us, cap=cap, patient=subject, msg=hl7.message_id
        )
    if status not in _SURE:
        raise hl7.ignored("unconfirmed", "OBX-11 is neither F nor C: send it again once it is confirmed")
    request = group.first("OBR")
    at_us = hl7.instant_or_reject((line, 14), (_device(group), 11), (request, 7), what="when").at_us
    if event == _RELEASED:
        return facts.PatientReleased(
            at_us=at_us, known_at_us=hl7.known_at_us, cap=cap, patient=subject, msg=hl7.message_id
        )
    return facts.PatientBound(
        at_us=at_us,
        known_at_us=hl7.known_at_us,
        cap=cap,
        patient=subject,
        evidence="association",
        msg=hl7.message_id,
    )


def _device(group: Hl7Message) -> Segment:
    """The PRT that names the device."""
    devices = [segment for segment in group.all("PRT") if segment.get(4).upper() == _EQUIPMENT or segment.get(10)]
    return devices[0] if devices else Segment("PRT")


def _cap(hl7: Hl7, group: Hl7Message) -> CapRef:
    """The cap named by the device and the chair; if they disagree, the device's."""
    device = _device(group)
    named = hl7.text(device, 10, "device").lower()
    chair = hl7.chair(device, 9) or hl7.chair(hl7.message.first("PV1"), 3)
    unit = hl7.site.words.units.get(named, named)
    own = sorted(cap for cap in hl7.site.caps if cap.device == unit)
    if named and not own:
        raise hl7.ignored("not-ours", "PRT-10: no unit of this gateway; [ehr] units maps names of the EHR")
    if chair is not None and (not own or chair in own):
        return chair
    if len(own) == 1:
        return own[0]
    if own:
        raise hl7.rejected("no-cap", "PRT-9: names no chair of the unit, which has several caps; name the chair")
    raise hl7.ignored("not-ours", "neither PRT-10 nor PRT-9 names a unit or chair of this gateway")
