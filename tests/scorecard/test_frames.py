"""R27: every wrong thing that can come in one poll gives the right counter and the right fault, never a value, and the
next poll is good again.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from drivers.dialects.base import Dialect, ModbusQuery, Refusal, RejectKind, Request
from drivers.dialects.registry import DialectName, dialect
from drivers.line import Line, LineCounters
from drivers.profile.load import load_profile
from drivers.reading import FaultKind, Quality, ReadFault, Reading, Stamp
from drivers.transport.memory import FarEnd, null_modem
from drivers.unit.driver import Driver, line_timing
from tests.scorecard.repeats import repeats
from tests.virtual_time import run_virtual

PROFILE = Path(__file__).parents[1] / "data" / "profiles" / "peer-signed.toml"
TRUE = (0xFFD6, 0xC088, 0x0000)  # -4.2 in tenths, -4.25 as float32
FRAMINGS = (DialectName.MODBUS_RTU, DialectName.MODBUS_ASCII, DialectName.MODBUS_TCP)


class Wire(NamedTuple):
    """What a misbehaving unit has at hand: its language, what it was asked, and chance."""

    codec: Dialect
    asked: Request
    request: bytes
    chance: random.Random

    @property
    def query(self) -> ModbusQuery:
        assert isinstance(self.asked.query, ModbusQuery)
        return self.asked.query

    def reply(self, **other: int) -> bytes:
        """The right reply, or that to another query."""
        query = msgspec.structs.replace(self.query, **other)
        true = TRUE[query.address : query.address + query.count]
        words = tuple(self.chance.randrange(0x10000) for _ in range(query.count)) if other else true
        return self.codec.encode_reply(Request(0, query, self.asked.transaction), words)


Wrong = Callable[[Wire], bytes]


def wrong_unit(wire: Wire) -> bytes:
    return wire.reply(unit_id=wire.chance.randrange(2, 248))


def wrong_function(wire: Wire) -> bytes:
    return wire.reply(function=4)


def too_few(wire: Wire) -> bytes:
    return wire.reply(count=wire.chance.randrange(1, 3))


def too_many(wire: Wire) -> bytes:
    return wire.reply(count=wire.chance.randrange(4, 100))


def stopped_midway(wire: Wire) -> bytes:
    whole = wire.reply()
    return whole[: wire.chance.randrange(7, len(whole) - 1)]  # not in the header, where nothing tells what it is


def one_bit_wrong(wire: Wire) -> bytes:
    damaged = bytearray(wire.reply())
    place = wire.chance.randrange(3, len(damaged) - 2) if wire.codec is not ASCII else wire.chance.randrange(7, 17)
    damaged[place] ^= 1 << wire.chance.randrange(5)  # the sixth bit of a hexadecimal digit is its case
    return bytes(damaged)


def silence(wire: Wire) -> bytes:
    return b""


def only_an_echo(wire: Wire) -> bytes:
    return wire.request


def oversize(wire: Wire) -> bytes:
    """Longer than any frame and than the line gathers; nothing in it begins one."""
    return bytes([0xFF]) * wire.chance.randrange(300, 6000)


def an_exception(wire: Wire) -> bytes:
    return wire.codec.encode_reply(wire.asked, Refusal(wire.chance.randrange(1, 12)))


def behind_an_echo(wire: Wire) -> bytes:
    return wire.request + wire.reply()


def behind_noise(wire: Wire) -> bytes:
    noise = bytes(wire.chance.randrange(0x80, 0x100) for _ in range(wire.chance.randrange(1, 40)))
    return noise + wire.reply()


ASCII = dialect(DialectName.MODBUS_ASCII)
EXCEPTIONS = {
    **dict.fromkeys((1, 2, 3), FaultKind.REFUSED),
    **dict.fromkeys((5, 6), FaultKind.BUSY),
    **dict.fromkeys((10, 11), FaultKind.UNREACHABLE),
}
CASES: list[tuple[Wrong, tuple[FaultKind, ...], RejectKind | None]] = [  # what it may be taken for, what it counts
    (wrong_unit, (FaultKind.TIMEOUT,), RejectKind.WRONG_UNIT),
    (wrong_function, (FaultKind.GARBLED,), RejectKind.WRONG_FUNCTION),
    (too_few, (FaultKind.GARBLED,), RejectKind.WRONG_COUNT),
    (too_many, (FaultKind.GARBLED,), RejectKind.WRONG_COUNT),
    (stopped_midway, (FaultKind.GARBLED,), RejectKind.BAD_CHECK),
    (one_bit_wrong, (FaultKind.GARBLED,), RejectKind.BAD_CHECK),
    (silence, (FaultKind.TIMEOUT,), None),
    (only_an_echo, (FaultKind.TIMEOUT,), RejectKind.ECHO),
    (oversize, (FaultKind.TIMEOUT, FaultKind.GARBLED), RejectKind.NOISE),  # as its end may begin a frame or not
    (behind_an_echo, (), RejectKind.ECHO),
    (behind_noise, (), RejectKind.NOISE),
]


class Unit:
    """A far unit that answers one request wrongly and every other rightly."""

    def __init__(self, far_end: FarEnd, codec: Dialect, chance: random.Random) -> None:
        self._far_end, self._spoken, self._chance = far_end, codec, chance
        self.wrong: Wrong | None = None
        self.said = b""
        far_end.on_request = self._hear

    def _hear(self, request: bytes) -> None:
        asked = self._spoken.scan_request(request)
        assert isinstance(asked, Request)
        wire = Wire(self._spoken, asked, request, self._chance)
        wrong, self.wrong = self.wrong, None
        answer = wrong(wire) if wrong else wire.reply()
        self.said = answer
        cut = self._chance.randrange(len(answer) + 1)
        for piece, after_s in ((answer[:cut], 0.005), (answer[cut:], 0.006)):
            if piece:
                self._far_end.send(piece, after_s)


def poll_wrongly(
    name: DialectName, seed: int, wrong: Wrong
) -> tuple[Reading | ReadFault, LineCounters, Reading | ReadFault, bytes]:
    """A good poll, one with the wrong thing in it, the next."""

    async def polls() -> tuple[Reading | ReadFault, LineCounters, Reading | ReadFault, bytes]:
        profile = load_profile(PROFILE, {"dialect": name})
        connect, far_end = null_modem()
        codec = ASCII if name is DialectName.MODBUS_ASCII else dialect(name)
        unit = Unit(far_end, codec, random.Random(seed))
        line = Line("test", connect, codec, line_timing(profile))
        driver = Driver("cap-01", profile, line, 1, lambda: Stamp(0, 0))
        assert_true(await driver.read())
        line.counters = LineCounters()
        unit.wrong = wrong
        seen = await driver.read()
        said, counters, line.counters = unit.said, line.counters, LineCounters()
        return seen, counters, await driver.read(), said

    return run_virtual(polls())


def assert_true(seen: Reading | ReadFault) -> None:
    assert isinstance(seen, Reading), seen
    values = {name: each.value for name, each in seen.measurements.items()}
    assert values == {"coolant_supply": -4.2, "coolant_return": -4.25}
    assert {each.quality for each in seen.measurements.values()} == {Quality.GOOD}


@pytest.mark.parametrize("name", FRAMINGS)
@pytest.mark.parametrize(("wrong", "faults", "counted"), CASES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_wrong_thing_is_counted_for_what_it_is_and_the_next_poll_is_good(
    name: DialectName, wrong: Wrong, faults: tuple[FaultKind, ...], counted: RejectKind | None
) -> None:
    if name is DialectName.MODBUS_TCP and wrong is one_bit_wrong:
        return  # nothing in Modbus TCP could tell: docs/reference/line-errors.md
    for seed in range(repeats(5)):
        seen, counters, after, said = poll_wrongly(name, seed, wrong)
        context = f"seed {seed}: {said.hex()}"
        if not faults:
            assert_true(seen)
        else:
            assert isinstance(seen, ReadFault), context
            assert seen.kind in faults, context
            assert counters.timeouts == 1, context
        if counted is None:
            assert not any(counters.rejects.values()), context
        else:
            assert counters.rejects[counted] >= 1, context
        assert_true(after)


@pytest.mark.parametrize("name", FRAMINGS)
@pytest.mark.parametrize("code", range(1, 12))
def test_an_exception_is_counted_by_its_code_and_the_next_poll_is_good(name: DialectName, code: int) -> None:
    for seed in range(repeats(2)):
        refusal: Wrong = lambda wire: wire.codec.encode_reply(wire.asked, Refusal(code))  # noqa: E731
        seen, counters, after, _ = poll_wrongly(name, seed, refusal)
        if code in (2, 3):  # a unit that refuses the whole may yet answer for its points
            assert_true(seen)
        else:
            assert isinstance(seen, ReadFault)
            assert seen.kind is EXCEPTIONS.get(code, FaultKind.DEVICE_FAILURE)
        assert (counters.exceptions, counters.timeouts) == ({code: 1}, 0)
        assert_true(after)
