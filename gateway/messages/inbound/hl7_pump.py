"""Reader of pump events (IHE PCD-10), `ORU^R42` or `ORU^R01`: delivery started, stopped, complete.

A pump does not know the order it infuses for, so its events are hints: its end never starts a count, only the MAR or a
final message does. Its start does delay the count if the MAR names the order too. A rate change comes as stop and
start, a bag's end as complete; keep-vein-open comes as a start and is ignored. An event is recognised by the end of its
name, because senders differ in the rest. It happened at OBX-14, else OBR-7: pumps may send stored events late.
"""

import re

from gateway.messages.hl7v2 import Hl7Message, Segment
from gateway.messages.inbound.answers import Accepted, FieldRead, Ignored, Inbound
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.inbound.hl7_identity import PatientContext, disagreement, patient_context
from gateway.session import facts
from gateway.session.facts import AgentClass, AnyFact, EndSource

_EVENT = re.compile(r"PUMP_DELIV_(START|STOP|COMP)", re.IGNORECASE)
_STATE = re.compile(r"PUMP_(MODE|STAT|INFUSING_STATUS)", re.IGNORECASE)
_WITHDRAWN = frozenset({"D", "W"})  # OBX-11: deleted, wrong patient
_HINT = "a hint: it starts no count until the MAR or a final message tells the end"


def is_pump_event(message: Hl7Message) -> bool:
    """Whether the message has an event of a pump."""
    return any(_event(segment) for segment in message.all("OBX"))


def read_pump(hl7: Hl7) -> Inbound:
    """The facts of all pump events in the message."""
    found: list[AnyFact] = []
    notes: list[str] = []
    for group in hl7.message.groups("OBR"):
        for line in group.all("OBX"):
            event = _event(line)
            if event:
                hl7.note(FieldRead("OBX-5", "pump event", event))
                fact, said = _read_event(hl7, group, line, event)
                found += fact
                notes.append(said)
    note = "; ".join(dict.fromkeys(filter(None, notes)))
    if not found:
        return Ignored(hl7.message_id, "no-infusion", note or "no start, stop or end of a delivery under an OBR")
    about = _patient(hl7)
    all_facts = (*disagreement(hl7, about), *found)
    return Accepted(hl7.message_id, all_facts, about.identities, note, placed=about.chair is not None)


def _read_event(hl7: Hl7, group: Hl7Message, line: Segment, event: str) -> tuple[list[AnyFact], str]:
    request = group.first("OBR")
    if line.get(11).upper() in _WITHDRAWN:
        return [], "OBX-11: withdrawn by its sender"
    if event == "START" and _keeps_vein_open(hl7, group):
        return [], "keep vein open: no agent runs"
    order = hl7.identifier(request, 2, "order")
    if not order:
        return [], "OBR-2: no order, so nothing could confirm what the pump says"
    agent, presumed, note = hl7.agent(request, 4)
    at = hl7.instant_or_reject((line, 14), (request, 7), what="when it happened")
    subject = _patient(hl7).subject
    if event == "START":
        begin = facts.FlushStarted if agent is AgentClass.FLUSH else facts.InfusionStarted
        start = begin(
            at_us=at.at_us,
            known_at_us=hl7.known_at_us,
            order=order,
            patient=subject,
            admin=agent,
            presumed=presumed,
            msg=hl7.message_id,
            source=EndSource.PUMP,
            of_order=True,
            ambiguous=at.ambiguous,
            other_reading_us=at.other_us,
        )
        return [start], note
    hint = facts.InfusionEnded(
        at_us=at.at_us,
        known_at_us=hl7.known_at_us,
        order=order,
        patient=subject,
        admin=agent,
        presumed=presumed,
        msg=hl7.message_id,
        source=EndSource.PUMP,
        of_order=True,
    )
    said = _HINT if event == "COMP" else "a pause, as far as a pump can tell; " + _HINT
    return [hint], "; ".join(filter(None, (note, said)))


def _patient(hl7: Hl7) -> PatientContext:
    """The pump's patient, by visit or chair. Ignored without both: many pumps know neither."""
    stay = hl7.message.first("PV1")
    if not any(stay.get(*place) for place in ((19,), (3, 1), (3, 2), (3, 3))):
        raise hl7.ignored("no-visit", "PV1-19 and PV1-3: empty, so nobody knows whom the pump serves")
    return patient_context(hl7, (stay, 3))


def _event(line: Segment) -> str:
    """START, STOP or COMP; "" for a line without a pump event."""
    for component in (2, 1, 5, 4):
        name = line.get(5, component)
        match = _EVENT.search(name)
        if match is not None and name.upper().endswith(match[0].upper()):
            return match[1].upper()
    return ""


def _keeps_vein_open(hl7: Hl7, group: Hl7Message) -> bool:
    for line in group.all("OBX"):
        values = [line.get(5, component) for component in (2, 1)]
        if _STATE.search(line.get(3, 2)) and any("kvo" in value.lower() for value in values):
            hl7.note(FieldRead("OBX-5", "mode of the pump", next(value for value in values if value)))
            return True
    return False
