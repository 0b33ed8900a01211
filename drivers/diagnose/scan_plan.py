"""Plans the requests of a scan and their order, from the profiles alone. Pure.

Theory of operation. The profiles' default line settings come first, the most frequent first; then every other baud rate
with each framing that is usual for the dialect. At one setting:

- A profile with a communication watchdog is sent only the request for that, before all others, since any further
  request could start it.
- Text dialects come before binary ones. A request without an address is sent twice, since a text unit's receive buffer
  may still contain bytes of another dialect or speed.
- An address is tried with the smallest request of the dialect: any answer, also a refusal, counts as a unit.
"""

from collections.abc import Iterator, Sequence

import msgspec

from drivers.dialects.base import ModbusQuery, Query
from drivers.dialects.registry import DialectName, dialect
from drivers.profile.dialect_shapes import SHAPES
from drivers.profile.enums import ReadsEffect
from drivers.profile.types import DeviceProfile
from drivers.transport.base import Handshake, Parity, SerialSettings

BAUDS = (9600, 19200, 38400, 57600, 115200, 4800, 2400)
_ALONE_TRIES = 2  # of a request without an address
_USUAL = ((8, Parity.NONE, 1), (8, Parity.EVEN, 1))  # framings tried for every dialect


class Question(msgspec.Struct, frozen=True):
    """One request of a scan. `is_watchdog`: an answer other than 0 forbids every further request."""

    dialect: DialectName
    query: Query
    tries: int
    is_watchdog: bool = False


class Round(msgspec.Struct, frozen=True):
    """The requests at one setting; `settings` is None for a line that is not serial.

    `further`: requests of the other dialects, sent if a unit answered but no profile fits.
    """

    settings: SerialSettings | None
    questions: tuple[Question, ...]
    further: tuple[Question, ...] = ()

    @property
    def requests(self) -> int:
        """How many requests it is at most."""
        return sum(question.tries for question in self.questions)


class Plan(msgspec.Struct, frozen=True):
    """All rounds of a scan, and the profiles left out because reading such a unit has an effect on it."""

    rounds: tuple[Round, ...]
    left_out: tuple[str, ...]

    @property
    def requests(self) -> int:
        """How many requests it is at most."""
        return sum(each.requests for each in self.rounds)


def plan(
    profiles: Sequence[DeviceProfile],
    addresses: Sequence[int],
    *,
    is_serial: bool,
    bauds: Sequence[int] = BAUDS,
    only_own_settings: bool = False,
) -> Plan:
    """The plan for a line. `is_serial`: line settings are tried, and networked dialects are left out."""
    harmless = [profile for profile in profiles if profile.reads_effect is ReadsEffect.NONE]
    left_out = tuple(profile.id for profile in profiles if profile.reads_effect is not ReadsEffect.NONE)
    candidates = [(name, profile) for profile in harmless for name in dialects_of(profile, is_serial=is_serial)]
    if not is_serial:
        return Plan((Round(None, tuple(_questions(candidates, addresses))),), left_out)
    own, others = _own_settings(candidates), _other_settings(candidates, bauds)
    rounds: list[Round] = []
    further: dict[SerialSettings, tuple[Question, ...]] = {}
    for settings, at in sorted(own.items(), key=lambda each: -len(each[1])):
        first = tuple(_questions(at, addresses))
        further[settings] = tuple(each for each in _questions(others.pop(settings, []), addresses) if each not in first)
        rounds.append(Round(settings, first, further[settings]))
    if not only_own_settings:
        rest = {**further, **{settings: tuple(_questions(at, addresses)) for settings, at in others.items()}}
        rounds += [Round(settings, questions) for settings, questions in rest.items() if questions]
    return Plan(tuple(rounds), left_out)


def dialects_of(profile: DeviceProfile, *, is_serial: bool) -> tuple[DialectName, ...]:
    """The dialects of the profile's family, its own first; on a serial line without the networked ones."""
    shape = SHAPES[profile.dialect]
    family = [DialectName(name) for name, each in SHAPES.items() if each is shape]
    return tuple(
        name
        for name in sorted(family, key=lambda name: name is not profile.dialect)
        if not is_serial or not dialect(name).is_networked
    )


_Candidate = tuple[DialectName, DeviceProfile]


def _own_settings(candidates: list[_Candidate]) -> dict[SerialSettings, list[_Candidate]]:
    """The profiles' default settings, each with the candidates that have them."""
    own: dict[SerialSettings, list[_Candidate]] = {}
    for name, profile in candidates:
        own.setdefault(_plain(profile.serial), []).append((name, profile))
    return own


def _other_settings(candidates: list[_Candidate], bauds: Sequence[int]) -> dict[SerialSettings, list[_Candidate]]:
    """Every baud rate with every framing of a dialect, each with the candidates that have other defaults."""
    own = _own_settings(candidates)
    others: dict[SerialSettings, list[_Candidate]] = {}
    for baud in dict.fromkeys([*bauds, *(settings.baud for settings in own)]):
        for name, profile in candidates:
            for bits, parity, stop in _framings(name, candidates):
                settings = SerialSettings(baud, bits, parity, stop)
                if (name, profile) not in own.get(settings, []):
                    others.setdefault(settings, []).append((name, profile))
    return others


def _framings(name: DialectName, candidates: list[_Candidate]) -> list[tuple[int, Parity, int]]:
    of_profiles = [
        (each.serial.bits, each.serial.parity, each.serial.stop) for other, each in candidates if other is name
    ]
    return list(dict.fromkeys([*of_profiles, *_USUAL]))


def _plain(settings: SerialSettings) -> SerialSettings:
    """The settings without handshake, since a missing handshake wire would block a short request that needs none."""
    return msgspec.structs.replace(settings, handshake=Handshake.NONE)


def _questions(candidates: list[_Candidate], addresses: Sequence[int]) -> Iterator[Question]:
    """The requests of one round, without duplicates."""
    guarded = [each for each in candidates if each[1].watchdog is not None]
    free = [each for each in candidates if each[1].watchdog is None]
    free.sort(key=lambda each: not _is_text(each[1]))
    seen: set[tuple[DialectName, Query]] = set()
    for name, profile in [*guarded, *free]:
        for question in _of_profile(name, profile, free, addresses):
            if (name, question.query) not in seen:
                seen.add((name, question.query))
                yield question


def _is_text(profile: DeviceProfile) -> bool:
    return isinstance(profile.blocks[0].source, str)


def _of_profile(
    name: DialectName, profile: DeviceProfile, free: list[_Candidate], addresses: Sequence[int]
) -> Iterator[Question]:
    address = profile.address
    own = [] if address is None else [each for each in addresses if max(address.min, 1) <= each <= address.max]
    if profile.watchdog is not None:
        yield Question(name, profile.watchdog.query(None), _ALONE_TRIES, is_watchdog=True)
        for unit_id in own:
            yield Question(name, profile.watchdog.query(unit_id), 1, is_watchdog=True)
        return
    if address is None or address.default is None:
        yield Question(name, profile.blocks[0].query(None), _ALONE_TRIES)
    for unit_id in own:
        yield Question(name, _smallest(name, free, unit_id), 1)


def _smallest(name: DialectName, candidates: list[_Candidate], unit_id: int) -> Query:
    """The request of the dialect with the fewest registers; one suffices to find units of all its profiles."""
    queries = [
        block.query(unit_id)
        for other, profile in candidates
        if other is name and profile.address is not None
        for block in (profile.after_miss, *profile.blocks)
        if block is not None
    ]
    return min(queries, key=lambda query: query.count if isinstance(query, ModbusQuery) else 0)
