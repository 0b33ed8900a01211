"""Reader of `RAS^O17`: MAR entries about infusions. Each RXA is one entry, of the order that the ORC before it names.

RXA-4 is required by HL7, so the entry of a start has an equal end. An infusion has ended only if everything agrees: an
end after the start, status complete, no word for a pause or a change, no unknown word, and an order status with which
an end counts. If the MAR sends each step as an entry of its own, the word is about the instant in RXA-3 alone. An entry
belongs to the administration that RXA-1, RXA-2 and RXA-3 identify.
"""

import hashlib

import msgspec

from gateway.messages.hl7v2 import Hl7Message, Segment
from gateway.messages.inbound.administrations import Administration, Stage, administration_facts, time_notes
from gateway.messages.inbound.answers import Accepted, Ignored, Inbound
from gateway.messages.inbound.hl7 import Hl7
from gateway.messages.inbound.hl7_details import stated_details
from gateway.messages.inbound.hl7_identity import PatientContext, disagreement, patient_context
from gateway.messages.inbound.mar_words import words_of
from gateway.messages.instants import Instant
from gateway.messages.vocabulary import MarAct
from gateway.session.facts import AnyFact, WorkKind, WorkRaised

_TAKEN_BACK = "charted and taken back: nothing of it counts until it is charted anew"
_NOT_GIVEN = "RXA-20 or RXA-21: not given, and nothing is known of it"
_UNKNOWN = "a word that is in no table of the site starts and ends nothing"


def read_ras(hl7: Hl7) -> Inbound:
    """The facts of every administration in the message."""
    stay = hl7.message.first("PV1")
    lines = _lines(hl7.message)
    if not lines:
        raise hl7.rejected("bad-data", "RXA: missing; accepted: one or more administrations")
    about = patient_context(hl7, (stay, 3), (lines[0][1], 11))
    facts: list[AnyFact] = list(disagreement(hl7, about))
    notes: list[str] = []
    unknown: list[str] = []
    for order, line in lines:
        read = _Line(hl7, about, order, line)
        administration = read.administration()
        notes += read.notes
        unknown += read.unknown
        if read.unknown and hl7.site.knows(about.subject):
            facts.append(_work(hl7, about, read.order))
        if administration is not None:
            facts += administration_facts(administration, hl7.known_at_us, hl7.message_id)
    note = "; ".join(dict.fromkeys(filter(None, notes)))
    where = tuple(dict.fromkeys(unknown))
    if not facts:
        return Ignored(hl7.message_id, "unknown-word" if where else "nothing-given", note, where)
    details = stated_details(hl7, about.subject)
    return Accepted(
        hl7.message_id,
        tuple(facts),
        about.identities,
        note,
        unknown=where,
        details=details,
        placed=about.chair is not None,
    )


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


def _number(text: str) -> str:
    """A number unchanged; other text as its digest, for it may be patient data, and facts are kept for ever."""
    return text if text.isdecimal() or not text else hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _work(hl7: Hl7, about: PatientContext, order: str) -> WorkRaised:
    return WorkRaised(
        at_us=hl7.known_at_us,
        known_at_us=hl7.known_at_us,
        what=WorkKind.UNKNOWN_WORD,
        patient=about.subject,
        order=order,
        msg=hl7.message_id,
    )


class _Line:
    """The reader of one RXA. `administration` fills `notes` and `unknown`."""

    def __init__(self, hl7: Hl7, about: PatientContext, order: Segment, line: Segment) -> None:
        self._hl7 = hl7
        self._about = about
        self._line = line
        self.notes: list[str] = []
        self.unknown: tuple[str, ...] = ()
        self.order = hl7.identifier(order, 2, "order") or hl7.identifier(order, 3, "order")
        if not self.order:
            raise hl7.rejected("bad-data", "ORC-2: missing; accepted: the order that start, end and changes share")
        self._words = words_of(hl7, order, line)

    def administration(self) -> Administration | None:
        """The chart entry about an administration or a step; None if the line is neither."""
        hl7, line = self._hl7, self._line
        action = hl7.text(line, 21, "action").upper()
        if action not in ("", "A", "U", "D"):
            raise hl7.rejected("bad-data", "RXA-21: not accepted; accepted: A, U or D")
        start = hl7.instant(line, 3, "start of infusion")
        base = self._base(start, action)
        if action == "D":
            return self._withdrawn(base)
        self.unknown = self._words.unknown
        if self._words.act is MarAct.NOT_GIVEN:
            return self._not_given(base, action)
        if start is None:
            raise hl7.rejected("bad-time", "RXA-3: missing; accepted: a date with a time of day")
        end = hl7.instant(line, 4, "end of infusion")
        if end is not None and end.at_us < start.at_us and not end.no_time and not start.no_time:
            raise hl7.rejected("bad-time", "RXA-4: before RXA-3; accepted: the end of the infusion")
        if self.unknown:
            self.notes += [f"{field}: {_UNKNOWN}" for field in self.unknown]
            if self._words.act is None:
                return None
        found = self._step(base, start) if self._is_step(start, end) else self._period(base, start, end)
        if found is not None:
            self.notes += [self._agent_note, *time_notes(start, found.end, hl7.known_at_us)]
        return found

    def _base(self, start: Instant | None, action: str) -> Administration:
        hl7, line = self._hl7, self._line
        agent, presumed, self._agent_note = hl7.agent(line, 5)
        number = [_number(hl7.identifier(line, field, "administration")) for field in (1, 2)]
        charted = hl7.instant(line, 22, "charted at")
        return Administration(
            stage=Stage.RUNNING,
            order=self.order,
            number="/".join(number),
            subject=self._about.subject,
            agent=agent,
            presumed=presumed,
            start=start,
            began_us=None if start is None or start.no_time else start.at_us,
            charted_us=None if charted is None or charted.no_time else charted.at_us,
            replaces=action in ("U", "D"),
        )

    def _is_order_known(self) -> bool:
        return self._hl7.site.knows_order(self._about.subject, self.order)

    def _withdrawn(self, base: Administration) -> Administration:
        self.notes.append(_TAKEN_BACK)
        return msgspec.structs.replace(base, stage=Stage.WITHDRAWN, order_known=self._is_order_known())

    def _not_given(self, base: Administration, action: str) -> Administration | None:
        """A withdrawal; None for a line that is no update and has no end: the dose was never charted."""
        if action == "U" or (self._hl7.text(self._line, 4, "end of infusion") and self._is_order_known()):
            return self._withdrawn(base)
        self.notes.append(_NOT_GIVEN)
        return None

    def _is_step(self, start: Instant, end: Instant | None) -> bool:
        return self._words.is_step and (end is None or (end.at_us == start.at_us and not end.no_time))

    def _step(self, base: Administration, start: Instant) -> Administration | None:
        """The entry of a step at the instant in RXA-3."""
        match self._words.act:
            case MarAct.PAUSE:
                self.notes.append("a pause starts and ends nothing")
                return self._withdrawn(base) if base.replaces else None
            case MarAct.RUNS:
                return msgspec.structs.replace(base, of_order=True)
            case MarAct.GIVEN if self._may_end():
                return msgspec.structs.replace(base, stage=Stage.ENDED, end=start)
            case MarAct.END if self._may_end():
                return msgspec.structs.replace(base, stage=Stage.ENDED, start=None, end=start, of_order=True)
            case MarAct.END:
                self._unclear()
                return None
            case _:
                return base

    def _period(self, base: Administration, start: Instant, end: Instant | None) -> Administration | None:
        """The entry of an infusion from RXA-3 to RXA-4."""
        act, status = self._words.act, self._words.status
        if end is None or (end.at_us == start.at_us and not end.no_time):
            return self._begun(base, start, is_one_instant=end is not None)
        is_over = act in (None, MarAct.END, MarAct.GIVEN) and self._may_end()
        if is_over and (status is MarAct.COMPLETE or (status is None and act is not None)):
            return msgspec.structs.replace(base, stage=Stage.ENDED, end=end)
        if is_over and status is MarAct.PARTIAL and act is MarAct.END and self._words.may_end_partial:
            return msgspec.structs.replace(base, stage=Stage.ENDED, end=end)
        if act is MarAct.PAUSE:
            self.notes.append("RXA-9: a pause ends nothing")
        else:
            self._unclear()
        return msgspec.structs.replace(base, of_order=act is MarAct.RUNS)

    def _begun(self, base: Administration, start: Instant, *, is_one_instant: bool) -> Administration | None:
        """The entry without an end after its start: a start, unless it is known to be a dose of one instant."""
        act, is_complete = self._words.act, self._words.status is MarAct.COMPLETE
        by_status = act is None and is_complete and is_one_instant and self._hl7.site.words.mar.instant_is_dose
        if (act is MarAct.GIVEN or by_status) and self._words.status is not MarAct.PARTIAL and self._may_end():
            return msgspec.structs.replace(base, stage=Stage.ENDED, end=start)
        if act is MarAct.PAUSE:
            self.notes.append("a pause starts and ends nothing")
            return None
        if is_complete or act is MarAct.END:
            self.notes.append("RXA-4 has no end after RXA-3: read as a start")
        return msgspec.structs.replace(base, of_order=act is MarAct.RUNS)

    def _may_end(self) -> bool:
        return self._words.may_end and not self.unknown

    def _unclear(self) -> None:
        self.notes.append(
            "RXA-4: no clear end, as RXA-20, RXA-9, ORC-1 and ORC-5 do not all say so: nothing counts from it"
        )
