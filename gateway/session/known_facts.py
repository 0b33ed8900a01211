"""An immutable index of the facts in memory, by what they concern; adding costs the same however many it has. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

import msgspec

from gateway.session.facts import AnyFact, Key
from gateway.session.shared_map import SharedMap


class KnownFacts(msgspec.Struct, frozen=True):
    """Implements `session.related.FactsByKey` in memory: for each key its facts in the order of `at_us`."""

    by_key: SharedMap[Key, tuple[AnyFact, ...]] = SharedMap[Key, tuple[AnyFact, ...]]()

    def of(self, key: Key) -> Sequence[AnyFact]:
        """All facts that concern `key`."""
        return self.by_key.get(key, ())

    def between(self, key: Key, first_us: int, last_us: int) -> Sequence[AnyFact]:
        """The facts that concern `key` from `first_us` to `last_us`, both included."""
        facts = self.of(key)
        return facts[bisect_left(facts, first_us, key=_at_us) : bisect_right(facts, last_us, key=_at_us)]

    def before(self, key: Key, at_us: int) -> AnyFact | None:
        """The last fact that concerns `key` before `at_us`."""
        facts = self.of(key)
        index = bisect_left(facts, at_us, key=_at_us)
        return facts[index - 1] if index else None

    def after(self, key: Key, at_us: int) -> AnyFact | None:
        """The first fact that concerns `key` after `at_us`."""
        facts = self.of(key)
        index = bisect_right(facts, at_us, key=_at_us)
        return facts[index] if index < len(facts) else None

    def knows(self, fact: AnyFact) -> bool:
        """Whether the index has the fact under every key that it concerns."""
        return all(fact in self.between(key, fact.at_us, fact.at_us) for key in fact.concerns)

    def added(self, facts: Iterable[AnyFact]) -> "KnownFacts":
        """The index with `facts` added; facts at one instant are ordered by their receipt."""
        changed: dict[Key, list[AnyFact]] = {}
        for fact in facts:
            for key in fact.concerns:
                known = changed[key] if key in changed else changed.setdefault(key, list(self.of(key)))
                known.insert(bisect_right(known, _order(fact), key=_order), fact)
        return KnownFacts(self.by_key.updated((key, tuple(known)) for key, known in changed.items()))

    def kept(self, keeps: Callable[[AnyFact], bool]) -> "KnownFacts":
        """The index with only the facts for which `keeps` is true."""
        kept = ((key, tuple(fact for fact in facts if keeps(fact))) for key, facts in self.by_key.items())
        return KnownFacts(SharedMap((key, facts) for key, facts in kept if facts))


def _at_us(fact: AnyFact) -> int:
    return fact.at_us


def _order(fact: AnyFact) -> tuple[int, int]:
    return fact.at_us, fact.known_at_us
