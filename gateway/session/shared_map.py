"""An immutable mapping whose changed copies share what did not change (a persistent map). Pure.

It has two levels: keys are spread over buckets by their hash, and a copy shares every bucket but those in which
something changed. So a change costs the same whether there are ten items or ten thousand.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

_BUCKETS = 256


class SharedMap(Mapping[K, V]):
    """Iteration is in the order in which the keys were first added, and sorts all items for that."""

    __slots__ = ("_buckets", "_count", "_size")

    def __init__(self, items: Iterable[tuple[K, V]] = ()) -> None:
        self._buckets: list[dict[K, tuple[int, V]]] = [{}] * _BUCKETS  # not changed after construction
        self._count = 0  # keys ever added
        self._size = 0
        self._put(items)

    def updated(self, items: Iterable[tuple[K, V]]) -> "SharedMap[K, V]":
        """A copy with these items added, in place of those with the same keys."""
        copy = self._copy()
        copy._put(items)
        return copy

    def without(self, keys: Iterable[K]) -> "SharedMap[K, V]":
        """A copy without these keys."""
        copy = self._copy()
        for key in keys:
            at = hash(key) % _BUCKETS
            if key in copy._buckets[at]:
                copy._buckets[at] = {each: item for each, item in copy._buckets[at].items() if each != key}
                copy._size -= 1
        return copy

    def __getitem__(self, key: K) -> V:
        return self._buckets[hash(key) % _BUCKETS][key][1]

    def __contains__(self, key: object) -> bool:
        return key in self._buckets[hash(key) % _BUCKETS]

    def __iter__(self) -> Iterator[K]:
        items = [(number, key) for bucket in self._buckets for key, (number, _) in bucket.items()]
        return (key for _, key in sorted(items, key=lambda item: item[0]))

    def __len__(self) -> int:
        return self._size

    def _copy(self) -> "SharedMap[K, V]":
        copy = self.__class__.__new__(self.__class__)
        copy._buckets, copy._count, copy._size = list(self._buckets), self._count, self._size
        return copy

    def _put(self, items: Iterable[tuple[K, V]]) -> None:
        own: set[int] = set()  # buckets that are copied already, so not shared
        for key, value in items:
            at = hash(key) % _BUCKETS
            if at not in own:
                own.add(at)
                self._buckets[at] = dict(self._buckets[at])
            bucket = self._buckets[at]
            if key not in bucket:
                self._count += 1
                self._size += 1
            bucket[key] = (bucket[key][0] if key in bucket else self._count, value)
