"""An immutable index of the sessions in memory: by token, patient, unit and next due instant. Pure.

A changed copy shares all that did not change, and costs the same however many sessions there are.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from gateway.session.outcome import SessionRecord
from gateway.session.shared_map import SharedMap
from gateway.session.spans import FOREVER

_Tokens = SharedMap[str, tuple[str, ...]]  # tokens by the name of a patient or unit


class SessionIndex(msgspec.Struct, frozen=True):
    """Records of sessions. `agenda` has, sorted, (first instant at which it may be due, token) of those awake."""

    by_token: SharedMap[str, SessionRecord] = SharedMap[str, SessionRecord]()
    going_on: SharedMap[str, SessionRecord] = SharedMap[str, SessionRecord]()  # those that are open
    of_patients: _Tokens = _Tokens()
    on_units: _Tokens = _Tokens()  # those that are open, by each of their units
    watching: _Tokens = _Tokens()  # by each unit whose readings can change them
    agenda: tuple[tuple[int, str], ...] = ()
    watched: frozenset[str] = frozenset()  # the keys of `watching`; the same object while they do not change

    def updated(self, records: Iterable[SessionRecord]) -> "SessionIndex":
        """The index with these records added, in place of those with the same tokens."""
        index = self
        for record in records:
            by_token = index.by_token.updated([(record.token, record)])
            index = msgspec.structs.replace(index._moved(record.token, record), by_token=by_token)
        return index

    def without(self, tokens: Iterable[str]) -> "SessionIndex":
        """The index without these sessions."""
        index = self
        for token in tokens:
            by_token = index.by_token.without([token])
            index = msgspec.structs.replace(index._moved(token, None), by_token=by_token)
        return index

    def of_patient(self, patient: str) -> Iterator[SessionRecord]:
        """The sessions of a patient."""
        return (self.by_token[token] for token in self.of_patients.get(patient, ()))

    def open_of(self, patient: str) -> list[SessionRecord]:
        """The sessions of a patient in which cooling may go on."""
        return [record for record in self.of_patient(patient) if record.open]

    def is_done(self, patient: str) -> bool:
        """Whether the patient has sessions here and none of them is open."""
        return patient in self.of_patients and not self.open_of(patient)

    def open_on(self, unit: str) -> Iterator[SessionRecord]:
        """The open sessions that have a cap on the unit."""
        return (self.by_token[token] for token in self.on_units.get(unit, ()))

    def due(self, observed: Mapping[str, int], now_us: int) -> Iterator[SessionRecord]:
        """The sessions to assess again: `wake_us` has come, or a watched unit is observed until `due_us`."""
        for _, token in self.agenda[: bisect_right(self.agenda, (now_us, _LAST))]:
            record = self.by_token[token]
            if record.wake_us <= now_us or any(observed.get(unit, 0) >= record.due_us for unit in record.watched):
                yield record

    def due_us(self, unit: str) -> int:
        """The instant from which a reading of the unit makes a session due; FOREVER for a unit in no session."""
        return min((self.by_token[token].due_us for token in self.watching.get(unit, ())), default=FOREVER)

    def _moved(self, token: str, now: SessionRecord | None) -> "SessionIndex":
        """The index with the session's entries moved to those of `now`, except by token; None removes them."""
        was, to = _Places.of(self.by_token.get(token)), _Places.of(now)
        watching = _moved(self.watching, token, was.watched, to.watched)
        entered = {unit for unit in to.watched if unit not in self.watching}
        left = {unit for unit in was.watched if unit not in watching}
        going_on = self.going_on
        return msgspec.structs.replace(
            self,
            going_on=going_on.without([token]) if now is None or not now.open else going_on.updated([(token, now)]),
            of_patients=_moved(self.of_patients, token, was.patients, to.patients),
            on_units=_moved(self.on_units, token, was.units, to.units),
            watching=watching,
            agenda=_rescheduled(self.agenda, token, was.first_us, to.first_us),
            watched=(self.watched | entered) - left if entered or left else self.watched,
        )


class _Places(msgspec.Struct, frozen=True):
    """The keys under which one record is indexed."""

    patients: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    first_us: int | None = None  # None: it is not awake

    @classmethod
    def of(cls, record: SessionRecord | None) -> "_Places":
        if record is None:
            return cls()
        return cls(
            frozenset((record.patient,)),
            record.units if record.open else frozenset(),
            record.watched,
            min(record.wake_us, record.due_us if record.watched else FOREVER) if record.awake else None,
        )


def _moved(tokens: _Tokens, token: str, was: Collection[str], to: Collection[str]) -> _Tokens:
    """The map with `token` under the names `to`, and removed from the names in `was` but not in `to`."""
    if was == to:
        return tokens
    changed: dict[str, tuple[str, ...]] = {name: (*tokens.get(name, ()), token) for name in to if name not in was}
    for name in (name for name in was if name not in to):
        known = tokens[name]
        at = known.index(token)
        changed[name] = known[:at] + known[at + 1 :]
    emptied = [name for name, known in changed.items() if not known]
    return tokens.updated(changed.items()).without(emptied)


def _rescheduled(
    agenda: tuple[tuple[int, str], ...], token: str, was_us: int | None, to_us: int | None
) -> tuple[tuple[int, str], ...]:
    if was_us == to_us:
        return agenda
    if was_us is not None:
        at = bisect_left(agenda, (was_us, token))
        agenda = agenda[:at] + agenda[at + 1 :]
    if to_us is not None:
        at = bisect_left(agenda, (to_us, token))
        agenda = (*agenda[:at], (to_us, token), *agenda[at:])
    return agenda


_LAST = "\U0010ffff"  # after every token
