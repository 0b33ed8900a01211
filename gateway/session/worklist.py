"""The work list: items that messages of the EHR raised for a person, until a person closes them, and who sees to what
waits. Pure.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from gateway.session.facts import (
    AnyFact,
    CapRef,
    HoldLifted,
    Key,
    TaskAssigned,
    WorkDone,
    WorkKind,
    WorkRaised,
    encode_fact,
)

WORK: Key = ("work", "")  # the key of all facts about work items
REJECTED = "rejected"  # stands for all messages that the engine rejected, where somebody is to see to them
WorkKey = tuple[WorkKind, CapRef | None, str, str]


class WorkItem(msgspec.Struct, frozen=True):
    """One open item, and the id by which people close it."""

    id: str  # 12 hex digits
    earlier_id: str  # the 6 by which ledgers of earlier versions name it
    raised: WorkRaised

    def among(self, assigned: Mapping[str, TaskAssigned]) -> TaskAssigned | None:
        """Who sees to it, of `assignments`."""
        return assigned.get(self.id) or assigned.get(self.earlier_id)


def open_work(facts: Iterable[AnyFact], what: WorkKind | None = None) -> tuple[WorkItem, ...]:
    """The items that were raised and not done, oldest first; only of one kind where it is given."""
    known = [fact for fact in facts if not isinstance(fact, WorkRaised) or what in (None, fact.what)]
    done = {fact.item for fact in known if isinstance(fact, WorkDone)}
    items = {each.id: each for each in (_item(fact) for fact in known if isinstance(fact, WorkRaised))}
    found = [item for item in items.values() if done.isdisjoint((item.id, item.earlier_id))]
    return tuple(sorted(found, key=lambda item: (item.raised.known_at_us, item.id)))


def assignments(facts: Iterable[AnyFact]) -> dict[str, TaskAssigned]:
    """Who sees to what waits, by the session's token or the item's id: what was last said; nobody is left out."""
    said = [fact for fact in facts if isinstance(fact, TaskAssigned)]
    last = {fact.token or fact.item: fact for fact in sorted(said, key=lambda fact: fact.known_at_us)}
    return {name: fact for name, fact in last.items() if fact.to}


def said_of_waiting(facts: Iterable[AnyFact]) -> Iterator[AnyFact]:
    """Of a session's facts what its place on the list of what waits says: who sees to it, and who lifted a hold."""
    known = tuple(facts)
    yield from assignments(known).values()
    yield from (fact for fact in known if isinstance(fact, HoldLifted))


def said_of_work(facts: Iterable[AnyFact]) -> Iterator[AnyFact]:
    """Of the facts about work items what is known of the open ones: how they were raised, and who sees to them."""
    known = tuple(facts)
    assigned = assignments(known)
    for item in open_work(known):
        yield item.raised
        if said := item.among(assigned):
            yield said
    if REJECTED in assigned:
        yield assigned[REJECTED]


def work_key(raised: WorkRaised) -> WorkKey:
    """The idempotency key of an item: raised once while it is open, however many messages raise it."""
    return raised.what, raised.cap, raised.patient, raised.order


def item_id(raised: WorkRaised) -> str:
    """The item's id, a digest of its content: the same however often it was raised."""
    return _digest(raised, 6)


def _item(raised: WorkRaised) -> WorkItem:
    return WorkItem(item_id(raised), _digest(raised, 3), raised)


def _digest(raised: WorkRaised, size: int) -> str:
    content = encode_fact(msgspec.structs.replace(raised, known_at_us=0))
    return hashlib.blake2b(content, digest_size=size).hexdigest()
