"""What a scan asks, and in what order: made from the profiles alone, so that a new profile is scanned for too. Pure.

Theory of operation. Each profile says how its makers deliver it, so its own line settings come first, most usual first;
then every other baud rate with each framing that its language is spoken in. At one setting:

- A profile with a communication watchdog is asked for that and nothing else, and before all others, for any further
  question could arm it; the same text may mean something to a unit of another make.
- Languages of text come before binary ones. What was asked in another language, or at another speed, may still lie in
  a text unit's receive buffer, so that a question without an address is asked twice.
- An address is looked for with the smallest question of the language: any answer, a refusal too, is somebody.
"""

from collections.abc import Iterator, Sequence

import msgspec

from drivers.dialects.base import ModbusQuery, Query
from drivers.dialects.registry import DialectName, dialect
from drivers.profile.shape import SHAPES, ReadsEffect
from drivers.profile.types import DeviceProfile
from drivers.transport.base import Handshake, Parity, SerialSettings

BAUDS = (9600, 19200, 38400, 57600, 115200, 4800, 2400)
_ALONE_TRIES = 2  # of a question without an address
_USUAL = ((8, Parity.NONE, 1), (8, Parity.EVEN, 1))  # framings that every language may be set to


class Question(msgspec.Struct, frozen=True):
    """One request of a scan. `is_watchdog`: an answer other than 0 forbids every further question."""

    dialect: DialectName
    query: Query
    tries: int
    is_watchdog: bool = False


class Round(msgspec.Struct, frozen=True):
    """What is asked at one setting; None where the line has none of its own.

    `further`: what is asked as well when something answers there that no profile fits, in the other languages.
    """

    settings: SerialSettings | None
    questions: tuple[Question, ...]
    further: tuple[Question, ...] = ()

    @property
    def requests(self) -> int:
        """How many requests it is at most."""
        return sum(question.tries for question in self.questions)


class Plan(msgspec.Struct, frozen=True):
    """A whole scan, and which profiles it leaves out because reading such a unit does something to it."""

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
    """The rounds for a line. `is_serial`: its settings are ours, and Modbus TCP is not spoken on it."""
    harmless = [profile for profile in profiles if profile.reads_effect is ReadsEffect.NONE]
    left_out = tuple(profile.id for profile in profiles if profile.reads_effect is not ReadsEffect.NONE)
    spoken = [(name, profile) for profile in harmless for name in languages(profile, is_serial=is_serial)]
    if not is_serial:
        return Plan((Round(None, tuple(_questions(spoken, addresses))),), left_out)
    own, others = _own_settings(spoken), _other_settings(spoken, bauds)
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


def languages(profile: DeviceProfile, *, is_serial: bool) -> tuple[DialectName, ...]:
    """The languages in which such a unit can be asked, its own first; what needs a network is not spoken on a wire."""
    shape = SHAPES[profile.dialect]
    family = [DialectName(name) for name, each in SHAPES.items() if each is shape]
    return tuple(
        name
        for name in sorted(family, key=lambda name: name is not profile.dialect)
        if not is_serial or not dialect(name).is_networked
    )


_Spoken = tuple[DialectName, DeviceProfile]


def _own_settings(spoken: list[_Spoken]) -> dict[SerialSettings, list[_Spoken]]:
    """The settings that makers deliver, with who is delivered so."""
    own: dict[SerialSettings, list[_Spoken]] = {}
    for name, profile in spoken:
        own.setdefault(_plain(profile.serial), []).append((name, profile))
    return own


def _other_settings(spoken: list[_Spoken], bauds: Sequence[int]) -> dict[SerialSettings, list[_Spoken]]:
    """Every baud rate with every framing of a language, with who is not delivered so."""
    own = _own_settings(spoken)
    others: dict[SerialSettings, list[_Spoken]] = {}
    for baud in dict.fromkeys([*bauds, *(settings.baud for settings in own)]):
        for name, profile in spoken:
            for bits, parity, stop in _framings(name, spoken):
                settings = SerialSettings(baud, bits, parity, stop)
                if (name, profile) not in own.get(settings, []):
                    others.setdefault(settings, []).append((name, profile))
    return others


def _framings(name: DialectName, spoken: list[_Spoken]) -> list[tuple[int, Parity, int]]:
    of_profiles = [(each.serial.bits, each.serial.parity, each.serial.stop) for other, each in spoken if other is name]
    return list(dict.fromkeys([*of_profiles, *_USUAL]))


def _plain(settings: SerialSettings) -> SerialSettings:
    """Without handshake: a unit answers one short question with or without it, and a missing wire would hold us up."""
    return msgspec.structs.replace(settings, handshake=Handshake.NONE)


def _questions(spoken: list[_Spoken], addresses: Sequence[int]) -> Iterator[Question]:
    """The questions of one round, each once."""
    guarded = [each for each in spoken if each[1].watchdog is not None]
    free = [each for each in spoken if each[1].watchdog is None]
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
    name: DialectName, profile: DeviceProfile, free: list[_Spoken], addresses: Sequence[int]
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


def _smallest(name: DialectName, spoken: list[_Spoken], unit_id: int) -> Query:
    """The question of this language that moves the fewest bytes: all its profiles find the same units with it."""
    queries = [
        block.query(unit_id)
        for other, profile in spoken
        if other is name and profile.address is not None
        for block in (profile.after_miss, *profile.blocks)
        if block is not None
    ]
    return min(queries, key=lambda query: query.count if isinstance(query, ModbusQuery) else 0)
