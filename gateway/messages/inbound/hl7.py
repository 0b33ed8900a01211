"""An inbound HL7 message, and what every reader of one asks: a field, an instant, whose it is, at which chair.

Every field that is read is noted with its place and its meaning, for `capgate explain`. What stops a reader on the way
is its answer, raised as `Stop`; answers name fields and never repeat what stands in them.
"""

import re

import msgspec

from gateway.messages.hl7v2 import Hl7Message, Repetition, Segment
from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Ignored, ReaderSite, Rejected, Taken, Term
from gateway.messages.inbound.json_message import Stop
from gateway.messages.instants import Instant, InstantError, read_hl7_instant
from gateway.session.facts import AgentClass, AnyFact, CapRef, WorkKind, WorkRaised

MAX_LENGTH = 64  # of an identifier
UNKNOWN_AGENT = "the drug's code is in no table of the site, so the order counts as chemo until its class is known"
_ACCEPTED_TIME = "accepted: a date with a time of day, as in 20260310150000-0400"
_MRN_TYPE = "MR"


class Whose(msgspec.Struct, frozen=True):
    """Whom a message is about, by its visit or by the cap at its chair."""

    subject: str
    identities: tuple[Identity, ...] = ()
    chair: CapRef | None = None


def hl7_message_id(header: Segment) -> str:
    """The id of the message with this MSH among all senders': who sent it, and its control id; "" where it has none."""
    return f"{header.get(3)[:MAX_LENGTH]}|{header.get(10)[:199]}" if header.get(10) else ""


class Hl7:
    """One message under the reader's eye. `taken` grows with every field that is read."""

    def __init__(self, message: Hl7Message, known_at_us: int, site: ReaderSite, taken: list[Taken]) -> None:
        self.message = message
        self.known_at_us = known_at_us
        self.site = site
        self.taken = taken
        self.message_id = hl7_message_id(message.first("MSH"))

    def take(self, segment: Segment, field: int, what: str, component: int = 1) -> str:
        """The text of a field, "" if there is none."""
        return self.note(f"{segment.name}-{field}", what, segment.get(field, component))

    def note(
        self, where: str, what: str, text: str, term: Term | None = None, meaning: str = "", label: str = ""
    ) -> str:
        """The text, noted as read."""
        if text:
            self.taken.append(Taken(where, what, text, term, meaning, label))
        return text

    def identifier(self, segment: Segment, field: int, what: str, component: int = 1) -> str:
        """The text of a field that names something; too long a one is rejected."""
        text = self.take(segment, field, what, component)
        if len(text) > MAX_LENGTH:
            raise self.rejected("bad-data", f"{segment.name}-{field}: too long; accepted: 1 to {MAX_LENGTH} characters")
        return text

    def instant(self, segment: Segment, field: int, what: str) -> Instant | None:
        """The instant in a field, None if it is empty."""
        text = self.take(segment, field, what)
        if not text:
            return None
        return self._read_instant(text, f"{segment.name}-{field}")

    def instant_or_reject(self, *places: tuple[Segment, int], what: str) -> Instant:
        """The instant in the first of the fields that has one; it needs a time of day."""
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
        """The class of the drug coded there, whether it is only presumed, and what the sender should know of that."""
        codes = (segment.get(field), segment.get(field, 4))
        agent = self.site.words.agent(codes)
        for place, code in zip((f"{segment.name}-{field}", f"{segment.name}-{field}.4"), codes, strict=True):
            self.note(place, "drug code", code, Term.DRUG, agent or "", segment.get(field, 2))
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
                self.note(f"{segment.name}-{field}.{component}", "chair", text)
                return cap
        return None

    def rejected(self, code: str, text: str) -> Stop:
        """To be raised: what must be mended."""
        visit = self.message.first("PV1").get(19)
        return Stop(Rejected(self.message_id, code, text, self.site.subject_of(visit) if visit else ""))

    def ignored(self, code: str, text: str) -> Stop:
        """To be raised: why it changes nothing here."""
        return Stop(Ignored(self.message_id, code, text))


def identity_of(hl7: Hl7) -> Identity | None:
    """The patient's identifiers; None without a visit number."""
    person, stay = hl7.message.first("PID"), hl7.message.first("PV1")
    visit = hl7.identifier(stay, 19, "visit")
    if not visit:
        return None
    return Identity(
        hl7.site.subject_of(visit),
        visit,
        mrn=_number(hl7, "PID-3", person.repetitions(3)),
        account=hl7.identifier(person, 18, "account") or None,
        name=_name(hl7, person),
        birth_date=_birth_date(hl7, person),
        sex=(hl7.take(person, 8, "sex")[:MAX_LENGTH] or None) if "sex" in hl7.site.words.kept else None,
    )


def merged(hl7: Hl7) -> tuple[str, str]:
    """The patient's record number that stands, and the one that was merged into it; "" where there is none."""
    person, old = hl7.message.first("PID"), hl7.message.first("MRG")
    return _number(hl7, "PID-3", person.repetitions(3)) or "", _number(hl7, "MRG-1", old.repetitions(1)) or ""


def _number(hl7: Hl7, where: str, repetitions: tuple[Repetition, ...]) -> str | None:
    """The medical record number: the one of type MR, else the first that has no type."""
    found = {_part(each, 5).upper(): _part(each, 1) for each in reversed(repetitions) if _part(each, 1)}
    number = found.get(_MRN_TYPE) or found.get("")
    if number is None or len(number) > MAX_LENGTH:
        return None
    return hl7.note(where, "record number", number)


def _part(repetition: Repetition, component: int) -> str:
    text = repetition[component - 1][0].strip() if component <= len(repetition) else ""
    return "" if text == '""' else text


def _name(hl7: Hl7, person: Segment) -> str | None:
    if "name" not in hl7.site.words.kept:
        return None
    family, given = person.get(5, 1), person.get(5, 2)
    return hl7.note("PID-5", "name", f"{family}^{given}"[:MAX_LENGTH].rstrip("^")) or None


def _birth_date(hl7: Hl7, person: Segment) -> str | None:
    if "birth_date" not in hl7.site.words.kept:
        return None
    text = hl7.take(person, 7, "birth date")[:8]
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if re.fullmatch(r"[0-9]{8}", text) else None


def whose(hl7: Hl7, *locations: tuple[Segment, int]) -> Whose:
    """Whom the message is about. Another gateway's chair stops the reading, and so does a message about nobody."""
    identity = identity_of(hl7)
    named = any(segment.get(field, part) for segment, field in locations for part in (1, 2, 3))
    caps = (hl7.chair(segment, field) for segment, field in locations)
    cap = next((cap for cap in caps if cap is not None), None)
    if identity is not None:
        if named and cap is None and not hl7.site.knows(identity.subject):
            raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway, and the visit has no cap here")
        return Whose(identity.subject, (identity,), cap)
    if cap is None:
        if named:
            raise hl7.ignored("not-ours", "PV1-3 names no chair of this gateway")
        raise hl7.rejected("no-visit", "PV1-19: missing; accepted: the visit, or a chair of ours in PV1-3")
    subject = hl7.site.bound.get(cap)
    if subject is None:
        raise hl7.ignored("no-visit", "PV1-19: missing, and the cap at the chair serves nobody")
    return Whose(subject, (), cap)


def disagreement(hl7: Hl7, about: Whose) -> tuple[AnyFact, ...]:
    """Work for a person where the chair in the message serves another patient than its visit."""
    served = hl7.site.bound.get(about.chair) if about.chair is not None else None
    if served is None or served == about.subject or hl7.site.is_done(served):
        return ()
    raised = WorkRaised(
        at_us=hl7.known_at_us,
        known_at_us=hl7.known_at_us,
        what=WorkKind.CHAIR_DISAGREES,
        cap=about.chair,
        patient=about.subject,
        msg=hl7.message_id,
    )
    return (raised,)
