"""What a control act refers to: the state of the gateway, the session, and the times and places that it names. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import tzinfo

import msgspec

from gateway.control.requests import RequestRefused
from gateway.ledger.access import Actor
from gateway.messages.instants import Instant, InstantError, read_instant
from gateway.session.assessment import review_of
from gateway.session.attribution import Session
from gateway.session.facts import AnyFact, CapRef, HoldLifted
from gateway.session.lifts import awaiting_second
from gateway.session.local_time import local
from gateway.session.outcome import Outcome, SessionState
from gateway.session.review import ReviewContext
from gateway.session.spans import US_PER_MINUTE
from gateway.session.worklist import WorkItem

FUTURE_US = 5 * US_PER_MINUTE  # tolerance for times in the future, since a hospital's clocks differ
_TIME_OF_DAY = re.compile(r"(?:[01]?\d|2[0-3]):[0-5]\d", re.ASCII)
_WITH_OFFSET = "ISO 8601 with an offset, as in 2026-03-10T15:00-04:00"


def _nothing(subject: str) -> tuple[AnyFact, ...]:
    return ()


class ActContext(msgspec.Struct, frozen=True):
    """The state of the gateway that an act is checked against, at the instant of the request."""

    by: Actor
    now_us: int
    oldest_us: int  # earlier times are refused
    zone: tzinfo | None  # for times of day; None: they are refused
    chairs: Mapping[str, CapRef]
    caps: frozenset[CapRef]
    serving: Mapping[CapRef, str]  # the subject bound to each cap now
    observed: Mapping[str, int]  # `observed until` of each unit, in us
    subject_of: Callable[[str], str]  # visit number -> subject
    work: tuple[WorkItem, ...] = ()  # the open items of the work list
    of_patient: Callable[[str], Iterable[AnyFact]] = _nothing  # the facts that name a subject
    purged: frozenset[str] = frozenset()  # of the patients of the session that is named, those without identifiers


class SessionSnapshot(msgspec.Struct, frozen=True):
    """A session's facts, and the outcome computed from them at one instant."""

    session: Session
    outcome: Outcome

    @property
    def token(self) -> str:
        """The session's token."""
        return self.outcome.record.token

    @property
    def awaiting_second(self) -> dict[str, HoldLifted]:
        """By code what holds it though one person has lifted it, for the policy asks for a second one."""
        units = len(self.outcome.assessment.increments)
        return awaiting_second(self.session.facts, self.outcome.record.policy, self.outcome.held, units)

    @property
    def patient(self) -> str:
        """The patient's subject; "" while the session is unbound."""
        return self.session.patient

    def review(self, observed: Mapping[str, int], now_us: int) -> ReviewContext:
        """What an assessment of its facts rests on, as each unit is observed at `now_us`."""
        return review_of(self.session.facts, self.outcome.record.policy, now_us, observed)

    @property
    def caps(self) -> tuple[CapRef, ...]:
        """The caps that cooled in the session; its first cap if none did."""
        return self.outcome.assessment.caps or (self.outcome.record.cap,)


def named_caps(caps: Iterable[CapRef], chairs: Mapping[str, CapRef]) -> dict[str, CapRef]:
    """Caps by their own names and by those of their chairs."""
    return {cap.name: cap for cap in caps} | dict(chairs)


def resolve_place(place: str, named: SessionSnapshot | None, context: ActContext) -> CapRef:
    if named is not None:
        return named.outcome.record.cap
    by_name = named_caps(context.caps, context.chairs)
    cap = by_name.get(place.lower())
    if cap is None:
        raise RequestRefused("place: no such chair, cap or session", ", ".join(sorted(by_name)))
    return cap


def served_by(named: SessionSnapshot, context: ActContext) -> CapRef:
    """The session's cap that serves its patient now, which after a swap is a later one; the first if none does.

    After a swap the patient is bound to a cap that has not cooled yet: of an open session that is the only one.
    """
    serving = [cap for cap, patient in context.serving.items() if patient == named.patient]
    own = [cap for cap in named.caps if cap in serving]
    if not own and len(serving) == 1 and named.outcome.record.state is SessionState.OPEN:
        own = serving
    return own[0] if own else named.outcome.record.cap


def resolve_instant(text: str | None, context: ActContext) -> Instant:
    """The instant in `text`; None means now, HH:MM today in the gateway's time zone. Raises RequestRefused."""
    if text is None:
        return Instant(context.now_us)
    zone = None
    if _TIME_OF_DAY.fullmatch(text):
        if context.zone is None:
            raise RequestRefused("at: the gateway has no time_zone for a time of day", _WITH_OFFSET)
        zone = context.zone
        today = local(context.now_us, zone).date()
        text = f"{today.isoformat()}T{text.zfill(5)}"
    try:
        at = read_instant(text, context.now_us, zone)
    except InstantError as error:
        problem, _, accepted = str(error).partition("; ")
        raise RequestRefused(f"at: {problem}", accepted.removeprefix("accepted: ")) from None
    if at.no_time:
        raise RequestRefused("at: a date alone", _WITH_OFFSET)
    if not context.oldest_us <= at.at_us <= context.now_us + FUTURE_US:
        days = (context.now_us - context.oldest_us) // (24 * 60 * US_PER_MINUTE)
        raise RequestRefused(
            "at: in the future, or too long ago", f"a time of the last {days} days; for yesterday, its date"
        )
    return at
