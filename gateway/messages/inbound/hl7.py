"""Common parts of the HL7 readers: fields, identifiers, instants, drugs and chairs of an inbound message.

Every field that is read is recorded with its place and its meaning, for `capgate explain`. A reader that cannot go on
raises its answer as `Stop`; answers name fields and never repeat their values.
"""

from gateway.messages.hl7v2 import Hl7Message, Segment
from gateway.messages.inbound.answers import FieldRead, Ignored, ReaderSite, Rejected, Term
from gateway.messages.inbound.json_message import Stop
from gateway.messages.instants import Instant, InstantError, read_hl7_instant
from gateway.session.facts import AgentClass, CapRef

MAX_LENGTH = 64  # of an identifier
UNKNOWN_AGENT = "the drug's code is in no table of the site, so the order counts as chemo until its class is known"
_ACCEPTED_TIME = "accepted: a date with a time of day, as in 20260310150000-0400"


def hl7_message_id(header: Segment) -> str:
    """The message's id, unique among all senders: sender and control id (MSH-10); "" without a control id."""
    return f"{header.get(3)[:MAX_LENGTH]}|{header.get(10)[:199]}" if header.get(10) else ""


class Hl7:
    """One message being read. Every field that is read is appended to `fields`."""

    def __init__(self, message: Hl7Message, known_at_us: int, site: ReaderSite, fields: list[FieldRead]) -> None:
        self.message = message
        self.known_at_us = known_at_us
        self.site = site
        self.fields = fields
        self.message_id = hl7_message_id(message.first("MSH"))

    def text(self, segment: Segment, field: int, what: str, component: int = 1) -> str:
        """The text of a field, "" if there is none; `what` is what it is read as."""
        return self.note(FieldRead(f"{segment.name}-{field}", what, segment.get(field, component)))

    def note(self, read: FieldRead) -> str:
        """Record the field, unless it is empty, and return its value."""
        if read.value:
            self.fields.append(read)
        return read.value

    def identifier(self, segment: Segment, field: int, what: str, component: int = 1) -> str:
        """The text of a field that is an identifier. Raises Stop if it is too long."""
        text = self.text(segment, field, what, component)
        if len(text) > MAX_LENGTH:
            raise self.rejected("bad-data", f"{segment.name}-{field}: too long; accepted: 1 to {MAX_LENGTH} characters")
        return text

    def instant(self, segment: Segment, field: int, what: str) -> Instant | None:
        """The instant in a field, None if it is empty."""
        text = self.text(segment, field, what)
        if not text:
            return None
        return self._read_instant(text, f"{segment.name}-{field}")

    def instant_or_reject(self, *places: tuple[Segment, int], what: str) -> Instant:
        """The instant in the first of the fields that is not empty. Raises Stop without a time of day."""
        names = " or ".join(f"{segment.name}-{field}" for segment, field in places)
        for segment, field in places:
            at = self.instant(segment, field, what)
            if at is None:
                continue
            if at.no_time:
                raise self.rejected("bad-time", f"{segment.name}-{field}: no time of day; {_ACCEPTED_TIME}")
            return at
        raise self.rejected("bad-time", f"{names}: missing; {_ACCEPTED_TIME}")

    def _read_instant(self, text: str, where: str) -> Instant:
        try:
            return read_hl7_instant(text, self.known_at_us, self.site.zone)
        except InstantError as error:
            problem = str(error).split("; accepted", maxsplit=1)[0]
            raise self.rejected("bad-time", f"{where}: {problem}; {_ACCEPTED_TIME}") from None

    def agent(self, segment: Segment, field: int) -> tuple[AgentClass, bool, str]:
        """The class of the drug coded there, whether it is only presumed, and a note for the sender about that."""
        codes = (segment.get(field), segment.get(field, 4))
        agent = self.site.words.agent(codes)
        for place, code in zip((f"{segment.name}-{field}", f"{segment.name}-{field}.4"), codes, strict=True):
            self.note(FieldRead(place, "drug code", code, Term.DRUG, agent or "", segment.get(field, 2)))
        return (
            (AgentClass.CHEMO, True, f"{segment.name}-{field}: {UNKNOWN_AGENT}")
            if agent is None
            else (agent, False, "")
        )

    def chair(self, segment: Segment, field: int) -> CapRef | None:
        """The cap at the chair that a location names, in its bed, its room or its point of care."""
        for component in (3, 2, 1):
            text = segment.get(field, component)
            cap = self.site.chairs.get(text.lower())
            if cap is not None:
                self.note(FieldRead(f"{segment.name}-{field}.{component}", "chair", text))
                return cap
        return None

    def rejected(self, code: str, text: str) -> Stop:
        """The Stop to raise for a message that must be corrected."""
        places = (place.split("-") for place in self.site.words.visit_from)
        visits = (self.message.first(name).get(int(field)) for name, field in places)
        visit = next(filter(None, visits), "")
        return Stop(Rejected(self.message_id, code, text, self.site.subject_of(visit) if visit else ""))

    def ignored(self, code: str, text: str) -> Stop:
        """The Stop to raise for a message that changes nothing here."""
        return Stop(Ignored(self.message_id, code, text))
