"""What would be lost if the suite closed now: everything that waits for a person, and who sees to it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from gateway.control.answers import Answer, SecondView
from gateway.control.board import ChairSession
from gateway.control.views import second_views
from gateway.messages.instants import rfc3339
from gateway.session.assessment import Phase
from gateway.session.facts import CapRef, TaskAssigned
from gateway.session.known_facts import KnownFacts
from gateway.session.lifts import awaiting_second
from gateway.session.outcome import Missing, SessionRecord, SessionState
from gateway.session.spans import US_PER_S
from gateway.session.state import TrackerState
from gateway.session.worklist import REJECTED, WORK, assignments


class TodoKind(StrEnum):
    """Why something waits for a person, of what costs the same the most pressing first."""

    INCOMPLETE = "incomplete"  # cooling is over; patient or infusion's end are unknown
    UNBOUND = "unbound"  # it cools, and nobody knows for whom
    PAUSED_TOO_LONG = "paused-too-long"  # past the policy's limit: cooling is not continued any more
    UNDOCUMENTED = "undocumented"  # order or preparation are missing
    HELD = "held"
    CORRECTION = "correction"  # a charge that a person decides
    CONTRADICTION = "contradiction"  # an item of the work list
    REJECTED = "rejected"  # messages that the engine refused


class AssignedView(msgspec.Struct, frozen=True, kw_only=True):
    """Who sees to it, who said so and when."""

    to: str
    person: str
    at: str


class TodoView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do. `units` is what it may cost, as far as it is known."""

    kind: TodoKind
    since: str
    chair: str | None
    token: str | None
    units: int
    reasons: tuple[str, ...]  # codes: what is missing, why it is held, what contradicts itself
    item: str | None = None  # of the work list, or `REJECTED`
    assigned: AssignedView | None = None
    seconds: tuple[SecondView, ...] = ()


class TodoAnswer(Answer, frozen=True, kw_only=True):
    """To `todo`."""

    todo: tuple[TodoView, ...]


class Rejected(msgspec.Struct, frozen=True):
    """The messages that the engine rejected: how many, when the oldest was recorded, UTC, and of which sessions."""

    count: int = 0
    oldest_us: int = 0
    sessions: frozenset[str] = frozenset()  # tokens; of many messages those of the oldest


def todo_items(
    state: TrackerState,
    going_on: Mapping[str, ChairSession],
    rejected: Rejected,
    chairs: Mapping[CapRef, str],
    now_us: int,
) -> tuple[TodoView, ...]:
    """Everything that waits: incomplete sessions first, then what costs most; of that by kind and age.

    `going_on` are the sessions whose cooling or window runs, by token.
    """
    found = [
        *(
            item
            for record in state.records.values()
            for item in _of_session(record, going_on.get(record.token), chairs, state.facts, now_us)
        ),
        *_of_work(state, chairs),
        *_of_messages(rejected, state, chairs),
    ]
    return tuple(sorted(found, key=_urgency))


_RANKS = list(TodoKind)


def _urgency(item: TodoView) -> tuple[bool, int, int, str]:
    return item.kind is not TodoKind.INCOMPLETE, -item.units, _RANKS.index(item.kind), item.since


def _of_session(
    record: SessionRecord,
    shown: ChairSession | None,
    chairs: Mapping[CapRef, str],
    facts: KnownFacts,
    now_us: int,
) -> Iterator[TodoView]:
    if record.done or record.published is None:
        return
    held, units = record.published.held, sum(not each.retracted for each in record.emitted)
    said = facts.of(("token", record.token))
    assigned = _assigned(assignments(said).get(record.token))

    def item(kind: TodoKind, reasons: Iterable[str], since_us: int | None = None) -> TodoView:
        return TodoView(
            kind=kind,
            since=rfc3339(record.opened_us if since_us is None else since_us),
            chair=chairs.get(record.cap, record.cap.name),
            token=record.token,
            units=units,
            reasons=tuple(reasons),
            assigned=assigned,
        )

    if undecided := [each.reason for each in record.published.corrections if not each.refused]:
        yield item(TodoKind.CORRECTION, undecided)
    if record.state is SessionState.INCOMPLETE:
        yield item(TodoKind.INCOMPLETE, held)
    elif record.state is SessionState.HELD:
        waiting = awaiting_second(said, record.policy, held, units)
        yield msgspec.structs.replace(item(TodoKind.HELD, held), seconds=second_views(waiting))
    elif shown is not None:
        if shown.phase is Phase.PAUSED and _lasts_s(shown, now_us) > shown.pause_limit_s:
            yield item(TodoKind.PAUSED_TOO_LONG, (), shown.since_us)
        if Missing.PATIENT in shown.due:
            yield item(TodoKind.UNBOUND, ())
        elif shown.due:
            yield item(TodoKind.UNDOCUMENTED, shown.due)


def _lasts_s(shown: ChairSession, now_us: int) -> float:
    return 0.0 if shown.since_us is None else (now_us - shown.since_us) / US_PER_S


def _of_work(state: TrackerState, chairs: Mapping[CapRef, str]) -> Iterator[TodoView]:
    assigned = assignments(state.facts.of(WORK))
    for item in state.work:
        cap = item.raised.cap
        yield TodoView(
            kind=TodoKind.CONTRADICTION,
            since=rfc3339(item.raised.known_at_us),
            chair=None if cap is None else chairs.get(cap, cap.name),
            token=None,
            units=0,
            reasons=(item.raised.what,),
            item=item.id,
            assigned=_assigned(item.among(assigned)),
        )


def _of_messages(rejected: Rejected, state: TrackerState, chairs: Mapping[CapRef, str]) -> Iterator[TodoView]:
    """One item, at the chairs of those sessions that are in memory. Who saw to others before sees not to these."""
    if rejected.count:
        said = assignments(state.facts.of(WORK)).get(REJECTED)
        caps = {state.records[token].cap for token in rejected.sessions & state.records.keys()}
        yield TodoView(
            kind=TodoKind.REJECTED,
            since=rfc3339(rejected.oldest_us),
            chair=", ".join(sorted(chairs.get(cap, cap.name) for cap in caps)) or None,
            token=None,
            units=0,
            reasons=(str(rejected.count),),
            item=REJECTED,
            assigned=_assigned(said if said and said.known_at_us >= rejected.oldest_us else None),
        )


def _assigned(said: TaskAssigned | None) -> AssignedView | None:
    return said and AssignedView(to=said.to, person=said.person, at=rfc3339(said.at_us))
