"""What would be lost if the suite closed now: everything that waits for a person, the most pressing first. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

import msgspec

from gateway.control.answers import Answer
from gateway.control.board import ChairSession
from gateway.messages.instants import rfc3339
from gateway.session.assessment import Phase
from gateway.session.facts import CapRef
from gateway.session.outcome import Missing, SessionRecord, SessionState
from gateway.session.spans import US_PER_S
from gateway.session.worklist import WorkItem


class TodoKind(StrEnum):
    """Why something waits for a person, the most pressing first."""

    INCOMPLETE = "incomplete"  # cooling is over; patient or infusion's end are unknown
    UNBOUND = "unbound"  # it cools, and nobody knows for whom
    PAUSED_TOO_LONG = "paused-too-long"  # past the policy's limit: cooling is not continued any more
    UNDOCUMENTED = "undocumented"  # order or preparation are missing
    HELD = "held"
    CORRECTION = "correction"  # a charge that a person decides
    CONTRADICTION = "contradiction"  # an item of the work list
    REJECTED = "rejected"  # messages that the engine refused


class TodoView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to do. `units` is what it may cost, as far as it is known."""

    kind: TodoKind
    since: str | None
    chair: str | None
    token: str | None
    units: int
    reasons: tuple[str, ...]  # codes: what is missing, why it is held, what contradicts itself
    item: str | None = None  # of the work list


class TodoAnswer(Answer, frozen=True, kw_only=True):
    """To `todo`."""

    todo: tuple[TodoView, ...]


def todo_items(
    records: Iterable[SessionRecord],
    going_on: Mapping[str, ChairSession],
    work: Iterable[WorkItem],
    rejected: int,
    chairs: Mapping[CapRef, str],
    now_us: int,
) -> tuple[TodoView, ...]:
    """Everything that waits. `going_on` are the sessions whose cooling or window runs, by token."""
    found = [
        *(item for record in records for item in _of_session(record, going_on.get(record.token), chairs, now_us)),
        *(_of_work(item, chairs) for item in work),
        *_of_messages(rejected),
    ]
    ranks = list(TodoKind)
    return tuple(sorted(found, key=lambda item: (ranks.index(item.kind), -item.units, item.since or "")))


def _of_session(
    record: SessionRecord, shown: ChairSession | None, chairs: Mapping[CapRef, str], now_us: int
) -> Iterator[TodoView]:
    if record.done or record.published is None:
        return
    held = tuple(map(str, record.published.held))

    def item(kind: TodoKind, reasons: Iterable[str], since_us: int | None = None) -> TodoView:
        return TodoView(
            kind=kind,
            since=rfc3339(record.opened_us if since_us is None else since_us),
            chair=chairs.get(record.cap, record.cap.name),
            token=record.token,
            units=sum(not each.retracted for each in record.emitted),
            reasons=tuple(reasons),
        )

    if undecided := [each.reason for each in record.published.corrections if not each.refused]:
        yield item(TodoKind.CORRECTION, undecided)
    if record.state is SessionState.INCOMPLETE:
        yield item(TodoKind.INCOMPLETE, held)
    elif record.state is SessionState.HELD:
        yield item(TodoKind.HELD, held)
    elif shown is not None:
        if shown.phase is Phase.PAUSED and _lasts_s(shown, now_us) > shown.pause_limit_s:
            yield item(TodoKind.PAUSED_TOO_LONG, (), shown.since_us)
        if Missing.PATIENT in shown.due:
            yield item(TodoKind.UNBOUND, ())
        elif shown.due:
            yield item(TodoKind.UNDOCUMENTED, shown.due)


def _lasts_s(shown: ChairSession, now_us: int) -> float:
    return 0.0 if shown.since_us is None else (now_us - shown.since_us) / US_PER_S


def _of_work(item: WorkItem, chairs: Mapping[CapRef, str]) -> TodoView:
    cap = item.raised.cap
    return TodoView(
        kind=TodoKind.CONTRADICTION,
        since=rfc3339(item.raised.known_at_us),
        chair=None if cap is None else chairs.get(cap, cap.name),
        token=None,
        units=0,
        reasons=(item.raised.what,),
        item=item.id,
    )


def _of_messages(rejected: int) -> Iterator[TodoView]:
    if rejected:
        yield TodoView(kind=TodoKind.REJECTED, since=None, chair=None, token=None, units=0, reasons=(str(rejected),))
