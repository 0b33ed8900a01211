"""What waits for a person: sessions by state and by what holds them, and items of the work list. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from gateway.session.facts import AnyFact, WorkKind
from gateway.session.flags import HeldReason
from gateway.session.outcome import SessionRecord, SessionState
from gateway.session.spans import US_PER_S
from gateway.session.worklist import open_work

_Kind = TypeVar("_Kind", SessionState, WorkKind)


class Waiting(msgspec.Struct, frozen=True):
    """How many wait, and for how long the oldest."""

    count: int = 0
    oldest_s: float = 0.0  # sessions: since it opened; items: since the gateway learned of it


def waiting_sessions(records: Iterable[SessionRecord], now_us: int) -> dict[SessionState, Waiting]:
    """By state, the sessions that are not done. One that is released and not done counts as held, by a correction."""
    return _by_kind(((_state(each), each.opened_us) for each in records if not each.done), now_us)


def holds(records: Iterable[SessionRecord]) -> Counter[HeldReason]:
    """How many of the sessions that are held, and not done, each reason holds; several may hold one."""
    held = (each.published for each in records if not each.done and each.state is SessionState.HELD)
    return Counter(reason for published in held if published is not None for reason in published.held)


def waiting_work(facts: Iterable[AnyFact], now_us: int) -> dict[WorkKind, Waiting]:
    """By kind, the open items of the work list."""
    return _by_kind(((item.raised.what, item.raised.known_at_us) for item in open_work(facts)), now_us)


def _state(record: SessionRecord) -> SessionState:
    return SessionState.HELD if record.state is SessionState.RELEASED else record.state


def _by_kind(each_since_us: Iterable[tuple[_Kind, int]], now_us: int) -> dict[_Kind, Waiting]:
    since_us: dict[_Kind, list[int]] = {}
    for kind, at_us in each_since_us:
        since_us.setdefault(kind, []).append(at_us)
    return {kind: Waiting(len(each), max(0.0, (now_us - min(each)) / US_PER_S)) for kind, each in since_us.items()}
