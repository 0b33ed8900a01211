"""What a gateway answers over its control socket, as text for a person."""

from collections.abc import Iterator

import msgspec

from gateway.runtime.logs import escaped


class Increment(msgspec.Struct):
    """An increment that stands, or a change of one."""

    increment: str
    attained_at: str | None
    op: str = ""
    was: str | None = None


class Interval(msgspec.Struct):
    """Counted cooling."""

    from_: str = msgspec.field(name="from")
    to: str
    cap: str


class InfusionEnd(msgspec.Struct):
    """The end that the count begins at."""

    at: str
    order: str
    source: str


class Patient(msgspec.Struct):
    """Whose session it is."""

    visit: str
    mrn: str | None
    account: str | None


class Charge(msgspec.Struct):
    """A charge that stands, or one that was just made; a credit names what it reverses."""

    charge: str
    quantity: int
    reverses: str | None = None
    delivery: str = ""  # what is known of it on its way to the engine


class Correction(msgspec.Struct):
    """A charge that a person decides about."""

    charge: str
    charged: int
    counted: int
    reason: str
    refused: bool


class Session(msgspec.Struct):
    """A session as it stands; the last fields only where one was asked for."""

    token: str
    caps: list[str]
    bound: bool
    phase: str
    started_at: str
    stopped_at: str | None
    net_s: float
    increments: list[Increment]
    held: list[str]
    flags: list[str]
    missing: list[str]
    charges: list[Charge]
    corrections: list[Correction]
    patient: Patient | None = None
    infusion_end: InfusionEnd | None = None
    person: str | None = None
    intervals: list[Interval] = []
    facts: list[dict[str, object]] = []


class Changed(msgspec.Struct):
    """What an act changed about a session."""

    session: str
    happened: list[str]
    phase: str
    increments: list[Increment]
    held: list[str]
    charges: list[Charge]
    corrections: list[Correction]


class Work(msgspec.Struct):
    """Something that messages of the EHR left to a person."""

    item: str
    what: str
    since: str
    cap: str | None
    order: str | None
    message: str
    sessions: list[str]

    def text(self) -> str:
        """In one line."""
        about = [self.cap, self.order and f"order {self.order}", *self.sessions, f"by {self.message}"]
        return f"{self.item}  {self.since}  {self.what}: {', '.join(filter(None, about))}"


class Tried(msgspec.Struct):
    """What became of a test message."""

    step: str
    topic: str
    key: str
    detail: str = ""

    def text(self) -> str:
        """In one line."""
        return f"{self.step}: {self.key} on {self.topic}" + (f" ({self.detail})" if self.detail else "")


class Answer(msgspec.Struct):
    """Any answer; `ok` says whether `error` and `accepted` are filled, or what was asked for."""

    ok: bool
    error: str = ""
    accepted: str = ""
    recorded: list[str] = []
    changed: list[Changed] = []
    sessions: list[Session] | None = None
    session: Session | None = None
    done: str = ""
    tried: Tried | None = None
    work: list[Work] | None = None

    def text(self) -> str:
        """The answer in lines, without anything that moves a cursor."""
        return "\n".join(map(escaped, self._lines()))

    def _lines(self) -> Iterator[str]:
        if not self.ok:
            yield f"refused: {self.error}"
            yield f"accepted: {self.accepted}"
        elif self.done:
            yield self.done
        elif self.tried is not None:
            yield self.tried.text()
        elif self.work is not None:
            yield from (work.text() for work in self.work)
            if not self.work:
                yield "nothing to look at"
        elif self.sessions is not None:
            for session in self.sessions:
                yield from _summary(session)
            if not self.sessions:
                yield "no session"
        elif self.session is not None:
            yield from _summary(self.session)
            yield from _details(self.session)
        else:
            yield f"recorded: {', '.join(self.recorded)}"
            for changed in self.changed:
                yield from _changes(changed)
            if not self.changed:
                yield "counts and states stay as they are"


def _summary(session: Session) -> Iterator[str]:
    counted = _counted(len(session.increments), "increment")
    whose = session.patient.visit if session.patient else "bound" if session.bound else "nobody's"
    yield "  ".join((session.token, ", ".join(session.caps), session.phase, counted, whose))
    for name, codes in (("held", session.held), ("missing", session.missing), ("flags", session.flags)):
        if codes:
            yield f"  {name}: {', '.join(codes)}"
    yield from _charges(session.charges, session.corrections)


def _charges(charges: list[Charge], corrections: list[Correction]) -> Iterator[str]:
    for charge in charges:
        of = f" of {charge.reverses}" if charge.reverses else ""
        units = _counted(charge.quantity, "unit")
        yield f"  {'credit' if of else 'charge'} {charge.charge}{of}, {units}{_delivery(charge)}"
    for item in corrections:
        verdict = "refused" if item.refused else "to be decided"
        yield f"  in question: {item.charge}, {item.charged} charged, {item.counted} counted ({item.reason}), {verdict}"


def _delivery(charge: Charge) -> str:
    return ", delivery unproven" if charge.delivery == "unproven" else f", {charge.delivery}" if charge.delivery else ""


def _details(session: Session) -> Iterator[str]:
    patient, end = session.patient, session.infusion_end
    if patient is not None:
        yield f"  patient: visit {patient.visit}, mrn {patient.mrn or '-'}, account {patient.account or '-'}"
    yield f"  cooling: {session.started_at} to {session.stopped_at or 'now'}"
    if end is not None:
        yield f"  infusion end: {end.at}, order {end.order}, by {end.source}"
    yield f"  counted: {session.net_s / 60:.1f} min"
    for interval in session.intervals:
        yield f"    {interval.from_} to {interval.to} on {interval.cap}"
    for increment in session.increments:
        yield f"  {increment.increment} attained at {increment.attained_at}"
    if session.person:
        yield f"  finalised by {session.person}"
    for fact in session.facts:
        rest = {name: value for name, value in fact.items() if name not in ("fact", "at", "at_us", "known_at_us")}
        told = ", ".join(
            f"{name} {value}" for name, value in rest.items() if not isinstance(value, dict) and name != "policy"
        )
        yield f"  {fact.get('at')} {fact.get('fact')}" + (f": {told}" if told else "")


def _changes(changed: Changed) -> Iterator[str]:
    happened = ", ".join(changed.happened) or "no change but in its increments"
    yield f"{changed.session}: {happened}; phase {changed.phase}"
    for change in changed.increments:
        instant = f"attained at {change.attained_at}" if change.attained_at else "taken back"
        yield f"  {change.op} {change.increment}, {instant}" + (f", before: {change.was}" if change.was else "")
    if changed.held:
        yield f"  held: {', '.join(changed.held)}"
    yield from _charges(changed.charges, changed.corrections)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
