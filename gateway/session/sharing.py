"""Units that another gateway reads too, and when, by the recorded facts. Pure.

Theory of operation. An assessment sees the facts of a session's units within a day around the session. So sharing that
lasts for days is recorded again every RESTATED_US, and sharing that began earlier is recorded in steps of that length.
"""

from collections.abc import Iterable, Iterator

import msgspec

from gateway.session.fact_types import SharedBy
from gateway.session.facts import AnyFact, UnitShared, UnitSharingEnded
from gateway.session.spans import FOREVER, US_PER_MINUTE, Span, union

RESTATED_US = 12 * 60 * US_PER_MINUTE
LONGEST_AGO_US = 48 * 60 * US_PER_MINUTE  # so long ago at most is a beginning recorded: later sessions are in memory


class Sharer(msgspec.Struct, frozen=True):
    """A unit of ours, and another gateway that reads it under a name of its own."""

    device: str
    gateway: str
    unit: str


def active_shares(facts: Iterable[AnyFact]) -> dict[Sharer, UnitShared]:
    """Those that still share a unit, each with its last UnitShared fact."""
    found: dict[Sharer, UnitShared] = {}
    for fact in _in_order(facts):
        match fact:
            case UnitShared():
                found[_sharer(fact)] = fact
            case UnitSharingEnded():
                found.pop(_sharer(fact), None)
    return found


def shared_spans(facts: Iterable[AnyFact], device: str) -> tuple[Span, ...]:
    """The spans in which any other gateway read the unit; FOREVER ends one that goes on."""
    since_us: dict[Sharer, int] = {}
    spans: list[Span] = []
    for fact in _in_order(facts):
        if fact.device != device:
            continue
        sharer = _sharer(fact)
        match fact:
            case UnitShared():
                since_us[sharer] = min(fact.at_us, since_us.get(sharer, fact.at_us))
            case UnitSharingEnded():
                spans.append((since_us.pop(sharer, fact.at_us), fact.at_us))
    return union([*spans, *((start_us, FOREVER) for start_us in since_us.values())])


def sharing_facts(sharer: Sharer, by: SharedBy, since_us: int, now_us: int) -> Iterator[UnitShared]:
    """The facts to record at `now_us` of a unit that is shared since `since_us`."""
    at_us = max(min(since_us, now_us), now_us - LONGEST_AGO_US)
    while True:
        yield UnitShared(
            at_us=at_us, known_at_us=now_us, device=sharer.device, gateway=sharer.gateway, unit=sharer.unit, by=by
        )
        if at_us == now_us:
            return
        at_us = min(at_us + RESTATED_US, now_us)


def _in_order(facts: Iterable[AnyFact]) -> list[UnitShared | UnitSharingEnded]:
    """The facts about sharing in the order of their recording; `at_us` may be long before that."""
    found = [fact for fact in facts if isinstance(fact, UnitShared | UnitSharingEnded)]
    return sorted(found, key=lambda fact: (fact.known_at_us, fact.at_us))


def _sharer(fact: UnitShared | UnitSharingEnded) -> Sharer:
    return Sharer(fact.device, fact.gateway, fact.unit)
