"""`RAS^O17`: what the MAR charts of an infusion. One RXA says one thing, in the order that the ORC before it names.

RXA-4 must be filled, so a start carries an end that equals it. An infusion is taken to have ended only where everything
agrees: an end after the start, charted as complete, and no word of a pause, a change or an order in progress.
"""

from gateway.messages.hl7v2 import Hl7Message, Segment
from gateway.messages.inbound.administrations import Administration, Stage, administration_facts, time_notes
from gateway.messages.inbound.answers import Accepted, Ignored, Inbound
from gateway.messages.inbound.hl7 import Hl7, Whose, disagreement, whose
from gateway.messages.instants import Instant
from gateway.messages.vocabulary import MarAct
from gateway.session.facts import AnyFact

_NOT_GIVEN = frozenset({"RE", "NA"})  # refused, not administered (HL7 table 0322)
_OVER = frozenset({"CM", "DC"})  # the order is complete or discontinued (HL7 table 0038)
_IN_PROGRESS = "IP"


def read_ras(hl7: Hl7) -> Inbound:
    """The facts of every administration in the message."""
    stay = hl7.message.first("PV1")
    lines = _lines(hl7.message)
    if not lines:
        raise hl7.rejected("bad-data", "RXA: missing; accepted: one or more administrations")
    about = whose(hl7, (stay, 3), (lines[0][1], 11))
    facts: list[AnyFact] = list(disagreement(hl7, about))
    notes: list[str] = []
    for order, line in lines:
        administration, said = _read_line(hl7, about, order, line)
        notes += said
        if administration is not None:
            facts += administration_facts(administration, hl7.known_at_us, hl7.message_id)
    note = "; ".join(dict.fromkeys(notes))
    if not facts:
        return Ignored(hl7.message_id, "nothing-given", note)
    return Accepted(hl7.message_id, tuple(facts), about.identities, note)


def _lines(message: Hl7Message) -> list[tuple[Segment, Segment]]:
    """Each RXA with the ORC before it, an empty one if there is none."""
    lines: list[tuple[Segment, Segment]] = []
    order = Segment("ORC")
    for segment in message.segments:
        if segment.name == "ORC":
            order = segment
        elif segment.name == "RXA":
            lines.append((order, segment))
    return lines


def _read_line(hl7: Hl7, about: Whose, order: Segment, line: Segment) -> tuple[Administration | None, list[str]]:
    name = hl7.identifier(order, 2, "order") or hl7.identifier(order, 3, "order")
    if not name:
        raise hl7.rejected("bad-data", "ORC-2: missing; accepted: the order that start, end and changes share")
    agent, presumed, note = hl7.agent(line, 5)
    action = hl7.take(line, 21, "action").upper()
    completion = hl7.take(line, 20, "completion").upper()
    changed = hl7.instant(line, 22, "charted at")
    changed_us = None if changed is None or changed.no_time else changed.at_us
    administration = Administration(
        stage=Stage.WITHDRAWN,
        order=name,
        subject=about.subject,
        agent=agent,
        presumed=presumed,
        version=changed_us,
        changed_us=changed_us,
    )
    if action == "D" or completion in _NOT_GIVEN:
        if hl7.site.knows_order(about.subject, name):
            return administration, ["charted and taken back: its order has no end until one is charted anew"]
        return None, ["RXA-20 or RXA-21: not given, and nothing is known of it"]
    if action not in ("", "A", "U"):
        raise hl7.rejected("bad-data", "RXA-21: not accepted; accepted: A, U or D")
    start = hl7.instant(line, 3, "start of infusion")
    end = hl7.instant(line, 4, "end of infusion")
    if start is None:
        raise hl7.rejected("bad-time", "RXA-3: missing; accepted: a date with a time of day")
    stage, said = _stage(hl7, order, line, completion, (start, end))
    version = _version(hl7, about, name, action, stage, changed_us)
    administration = Administration(
        stage=stage,
        order=name,
        subject=about.subject,
        agent=agent,
        presumed=presumed,
        start=start,
        end=end,
        version=version,
        changed_us=changed_us,
    )
    return administration, [text for text in (note, said, *time_notes(start, end, hl7.known_at_us)) if text]


def _stage(
    hl7: Hl7, order: Segment, line: Segment, completion: str, times: tuple[Instant, Instant | None]
) -> tuple[Stage, str]:
    """How far the infusion is, and what the sender should know where that is not what it may have meant."""
    start, end = times
    act = _act(hl7, line)
    state = hl7.take(order, 5, "state of the order").upper()
    if end is None or (end.at_us == start.at_us and not end.no_time):
        called_an_end = completion == "CP" or act is MarAct.END
        return Stage.RUNNING, "RXA-4 has no end after RXA-3: read as a start" if called_an_end else ""
    if end.at_us < start.at_us and not end.no_time and not start.no_time:
        raise hl7.rejected("bad-time", "RXA-4: before RXA-3; accepted: the end of the infusion")
    is_over = act in (None, MarAct.END) and state != _IN_PROGRESS
    if completion in ("CP", "") and is_over and (completion or act is MarAct.END):
        return Stage.ENDED, ""
    if completion == "PA" and act is MarAct.END and state in _OVER:
        return Stage.ENDED, ""
    if act is MarAct.PAUSE:
        return Stage.RUNNING, "RXA-9: a pause ends nothing"
    return Stage.RUNNING, "RXA-4: no clear end, as RXA-20, RXA-9 and ORC-5 do not all say so: nothing counts from it"


def _act(hl7: Hl7, line: Segment) -> MarAct | None:
    """What the site's words in RXA-9 say, by code or by text; None for words that are in no table."""
    words = (line.get(9, 1), line.get(9, 2))
    for component, word in enumerate(words, start=1):
        act = hl7.site.words.mar.get(word.lower())
        if act is not None:
            hl7.note(f"RXA-9.{component}", f"word of the MAR for {act}", word)
            return act
    return None


def _version(hl7: Hl7, about: Whose, order: str, action: str, stage: Stage, changed_us: int | None) -> int | None:
    """An update has the instant of its charting as its version. One that runs on takes back an end charted before."""
    if action != "U" or (stage is Stage.RUNNING and not hl7.site.knows_order(about.subject, order)):
        return None
    if changed_us is not None:
        return changed_us
    sent = hl7.instant(hl7.message.first("MSH"), 7, "sent at")
    return hl7.known_at_us if sent is None or sent.no_time else sent.at_us
