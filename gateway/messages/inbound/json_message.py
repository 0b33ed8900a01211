"""Common parts of the JSON readers: data, time, patient and cap of an inbound event with a valid envelope.

A reader that cannot go on raises its answer as `Stop`, which `read_json` returns.
"""

from typing import TypeVar

import msgspec
from pydantic import ValidationError

from gateway.messages.identity import Identity
from gateway.messages.inbound.answers import Accepted, Answer, Ignored, ReaderSite, Rejected, answer_name
from gateway.messages.inbound.json_models import InboundModel, PlacedModel, explain
from gateway.messages.inbound.numbers import UNCLEAR, Stated, chair_disagrees, identity, meant, unclear
from gateway.messages.instants import Instant
from gateway.session.facts import AnyFact, CapRef

M = TypeVar("M", bound=InboundModel)


class Stop(Exception):
    """Ends a reader with `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer_name(answer))
        self.answer = answer


class JsonMessage(msgspec.Struct, frozen=True):
    """An inbound event with a valid envelope."""

    message_id: str
    time: Instant
    recorded_us: int | None
    known_at_us: int
    site: ReaderSite
    raw_data: dict[str, object]

    def data(self, model: type[M]) -> M:
        try:
            return model.model_validate(self.raw_data)
        except ValidationError as error:
            raise self.rejected("bad-data", explain(error, model, "data.")) from None

    def rejected(self, code: str, text: str) -> Stop:
        return Stop(Rejected(self.message_id, code, text, named_subject(self.raw_data, self.site)))

    def ignored(self, code: str, text: str) -> Stop:
        return Stop(Ignored(self.message_id, code, text))

    def timed(self) -> Instant:
        """The event's time. Raises Stop without a time of day."""
        if self.time.no_time:
            raise self.rejected("bad-time", "time: a date alone; accepted here: a date with a time of day")
        return self.time

    def accepted(self, fact: AnyFact, identities: tuple[Identity, ...], *notes: str) -> Accepted:
        all_notes = [note for note in notes if note]
        if self.time.ambiguous:
            all_notes.append("time: without its offset it may mean either of two instants; send the offset")
        if self.time.at_us > self.known_at_us:
            all_notes.append("time: lies in the future")
        placed = any(self.raw_data.get(place) is not None for place in ("unit", "chair"))
        return Accepted(self.message_id, (fact,), identities, "; ".join(all_notes), placed=placed)


def named_subject(data: object, site: ReaderSite) -> str:
    """The subject that data, perhaps invalid, names by visit, session or chair; "" if it names none."""
    match data:
        case {"visit": str(visit) | {"value": str(visit)}} | {"patient": {"visit": str(visit) | {"value": str(visit)}}}:
            return site.subject_of(visit)
        case {"session": str(token)} if (patient := site.session_of(token)) is not None:
            return patient
        case {"chair": str(chair)} if (cap := site.chairs.get(chair.lower())) is not None:
            return site.bound.get(cap) or ""
        case _:
            return ""


def cap_of(message: JsonMessage, place: PlacedModel) -> CapRef | None:
    """The cap that the place names, None if it names none. Raises Stop for another gateway's cap."""
    if place.unit is not None:
        return _cap_of_unit(message, place, place.unit)
    if place.chair is None:
        return None
    cap = message.site.chairs.get(place.chair)
    if cap is None:
        raise message.ignored("not-ours", "data.chair: no chair of this gateway")
    if place.cap not in (None, cap.channel):
        raise message.rejected("wrong-cap", f"data.cap: cap {cap.channel} serves this chair; leave data.cap out")
    return cap


def _cap_of_unit(message: JsonMessage, place: PlacedModel, unit: str) -> CapRef:
    own = sorted(cap for cap in message.site.caps if cap.device == unit)
    if not own:
        raise message.ignored("not-ours", "data.unit: no unit of this gateway")
    chair_cap = message.site.chairs.get(place.chair or "")
    if place.cap is None and chair_cap in own:
        return chair_cap
    numbers = ", ".join(str(cap.channel) for cap in own)
    if place.cap is None and len(own) > 1:
        raise message.rejected("bad-data", f"data.cap: missing; accepted on this unit: {numbers}")
    named = own[0] if place.cap is None else CapRef(unit, place.cap)
    if named not in own:
        raise message.rejected("wrong-cap", f"data.cap: not accepted; accepted on this unit: {numbers}")
    return named


def identity_of(message: JsonMessage, place: PlacedModel) -> Identity | None:
    """The identifiers of whom the message means: by the visit, else by its numbers. None: nobody.

    What may be about several patients stops the reading, and goes to the work list of each.
    """
    top, inner = place.visit, place.patient.visit
    if top is not None and inner is not None and not top.number.is_same(inner.number):
        raise message.rejected("two-visits", "data.visit and data.patient.visit differ; send one of them")
    named, stated = top or inner, _stated(place)
    found = meant(message.site, stated, None if named is None else named.number)
    if found.doubtful:
        raise Stop(unclear(message.site, found.doubtful, message.known_at_us, message.message_id))
    return None if found.visit is None else identity(message.site, stated, found.visit, found.known)


def _stated(place: PlacedModel) -> Stated:
    account, mrn = place.patient.account, place.patient.mrn
    return Stated((account.number,) if account else (), (mrn.number,) if mrn else ())


def served_at(message: JsonMessage, place: PlacedModel, cap: CapRef) -> str | None:
    """Whom the cap serves; None: nobody. Numbers that speak against that patient stop the reading."""
    subject = message.site.bound.get(cap)
    known = None if subject is None else message.site.identity_of(subject)
    if known is not None and _stated(place).contradicts(known):
        work = chair_disagrees(cap, known.subject, message.known_at_us, message.message_id)
        raise Stop(Accepted(message.message_id, (work,), note=UNCLEAR))
    return subject


def subject_of(message: JsonMessage, place: PlacedModel) -> tuple[str, tuple[Identity, ...]]:
    """The subject that the message is about: by its visit, by its numbers, or by the cap its chair or unit names."""
    known = identity_of(message, place)
    if known is not None:
        if not message.site.knows(known.subject):
            cap_of(message, place)  # stops if it names another gateway's chair or unit
        return known.subject, (known,)
    cap = cap_of(message, place)
    if cap is None:
        accepted = "accepted: text, numbers in data.patient of a session under way, or a chair whose cap is bound"
        raise message.rejected("no-visit", f"data.visit: missing; {accepted}")
    subject = served_at(message, place, cap)
    if subject is None:
        raise message.rejected("no-visit", "data.visit: missing, and the chair's cap is not bound to a visit")
    return subject, ()
