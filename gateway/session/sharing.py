"""Units that another gateway reads too: when, as the facts say. Pure.

Theory of operation. Whoever looks at a session sees the facts of its units within a day around it. So what lasts for
days is recorded again each RESTATED_US, and what began earlier is recorded in steps no longer than that.
"""

from collections.abc import Iterable, Iterator

import msgspec

from gateway.session.fact_types import SharedBy
from gateway.session.facts import AnyFact, UnitShared, UnitSharingEnded
from gateway.session.spans import FOREVER, US_PER_MINUTE, Span, union

RESTATED_US = 12 * 60 * US_PER_MINUTE
LONGEST_AGO_US = 48 * 60 * US_PER_MINUTE  # sessions that opened since, or a day before, are in memory, done or not


class Sharer(msgspec.Struct, frozen=True):
    """A unit of ours, and another gateway that reads it under a name of its own."""

    device: str
    gateway: str
    unit: str


def standing(facts: Iterable[AnyFact]) -> dict[Sharer, UnitShared]:
    """Who still shares a unit, with the last fact that says so."""
    found: dict[Sharer, UnitShared] = {}
    for fact in _in_order(facts):
        match fact:
            case UnitShared():
                found[_sharer(fact)] = fact
            case UnitSharingEnded():
                found.pop(_sharer(fact), None)
    return found


def shared_spans(facts: Iterable[AnyFact], device: str) -> tuple[Span, ...]:
    """When any other gateway read the unit."""
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
    """What is to be recorded at `now_us` of a unit that is shared since `since_us`."""
    at_us = max(min(since_us, now_us), now_us - LONGEST_AGO_US)
    while True:
        yield UnitShared(
            at_us=at_us, known_at_us=now_us, device=sharer.device, gateway=sharer.gateway, unit=sharer.unit, by=by
        )
        if at_us == now_us:
            return
        at_us = min(at_us + RESTATED_US, now_us)


def _in_order(facts: Iterable[AnyFact]) -> list[UnitShared | UnitSharingEnded]:
    """In the order in which it was found, for the beginning may have been long before."""
    found = [fact for fact in facts if isinstance(fact, UnitShared | UnitSharingEnded)]
    return sorted(found, key=lambda fact: (fact.known_at_us, fact.at_us))


def _sharer(fact: UnitShared | UnitSharingEnded) -> Sharer:
    return Sharer(fact.device, fact.gateway, fact.unit)
