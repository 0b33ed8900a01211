"""What a person still has to look at: raised by messages of the EHR, closed by a person's word. Pure."""

import hashlib
from collections.abc import Iterable

import msgspec

from gateway.session.facts import AnyFact, CapRef, WorkDone, WorkKind, WorkRaised, encode_fact

WorkKey = tuple[WorkKind, CapRef | None, str, str]


class WorkItem(msgspec.Struct, frozen=True):
    """One thing to do, and the name by which people close it."""

    id: str  # 6 hex digits
    raised: WorkRaised


def open_work(facts: Iterable[AnyFact]) -> tuple[WorkItem, ...]:
    """What was raised and not done, oldest first."""
    told = list(facts)
    done = {fact.item for fact in told if isinstance(fact, WorkDone)}
    items = {item_id(fact): fact for fact in told if isinstance(fact, WorkRaised)}
    found = [WorkItem(name, raised) for name, raised in items.items() if name not in done]
    return tuple(sorted(found, key=lambda item: (item.raised.known_at_us, item.id)))


def work_key(raised: WorkRaised) -> WorkKey:
    """What it is about: raised once while it is open, however many messages say it."""
    return raised.what, raised.cap, raised.patient, raised.order


def item_id(raised: WorkRaised) -> str:
    """The item's name; the same however often it was told."""
    content = encode_fact(msgspec.structs.replace(raised, known_at_us=0))
    return hashlib.blake2b(content, digest_size=3).hexdigest()
