"""A unit that refuses a block in one request is read point by point, and no value is combined from two answers."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.dialects.base import ModbusQuery, Query, Raw
from drivers.errors import LineDown, NoReply, ShortAnswer, UnitRefused
from drivers.line import LineTiming
from drivers.profile.load import load_profile
from drivers.reading import FaultKind, ReadFault, Reading, Stamp
from drivers.unit.driver import Driver
from tests.contract.profile_wire import SHIPPED, good_poll

PROFILES = Path(__file__).parents[4] / "config" / "profiles"
REGISTER_PROFILES = [path for path in SHIPPED if isinstance(load_profile(path).blocks[0].query(1), ModbusQuery)]


class Unit:
    """A unit with the registers of a golden poll; `refuses` selects the requests answered with an exception."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.registers: dict[tuple[int, int], int] = {}
        self.refuses: Callable[[ModbusQuery], int | None] = lambda _query: None
        self.asked: list[ModbusQuery] = []
        self.is_down = False
        self.most: int | None = None  # registers in an answer
        poll = good_poll(path)
        for block in load_profile(path).blocks:
            query = block.query(1)
            assert isinstance(query, ModbusQuery)
            for at, word in enumerate(poll[block.name]):
                assert isinstance(word, int)
                self.registers[query.function, query.address + at] = word

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        assert isinstance(query, ModbusQuery)
        self.asked.append(query)
        if self.is_down:
            raise LineDown("gone")
        code = self.refuses(query)
        if code is not None:
            raise UnitRefused(code)
        if self.most is not None and query.count > self.most:
            raise ShortAnswer(f"{self.most} values for {query.count}")
        return tuple(self.registers[query.function, query.address + at] for at in range(query.count))

    def driver(self) -> Driver:
        return Driver("u1", load_profile(self.path), self, 1, lambda: Stamp(0, 0))


def longer_than(registers: int, code: int = 2) -> Callable[[ModbusQuery], int | None]:
    return lambda query: code if query.count > registers else None


async def reading(driver: Driver) -> Reading:
    answer = await driver.read()
    assert isinstance(answer, Reading), answer
    return answer


@pytest.mark.parametrize("path", REGISTER_PROFILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("code", [2, 3])
async def test_asked_point_by_point_a_unit_gives_the_same_reading(path: Path, code: int) -> None:
    unit, picky = Unit(path), Unit(path)
    most = max(point.length for point in load_profile(path).points)
    picky.refuses = longer_than(most, code)
    assert await reading(picky.driver()) == await reading(unit.driver())


@pytest.mark.parametrize("path", REGISTER_PROFILES, ids=lambda path: path.stem)
async def test_no_point_is_split_across_requests(path: Path) -> None:
    unit, profile = Unit(path), load_profile(path)
    unit.refuses = longer_than(max(point.length for point in profile.points))
    await reading(unit.driver())
    for block in profile.blocks:
        whole = block.query(1)
        assert isinstance(whole, ModbusQuery)
        for point in (point for point in profile.points if point.block == block.name):
            first = whole.address + point.at
            last = first + point.length
            assert any(query.address <= first and last <= query.address + query.count for query in unit.asked)
            torn = [q for q in unit.asked if q.function == whole.function and first < q.address < last]
            assert not torn, point.name


async def test_a_refusal_is_told_once_and_the_whole_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    unit = Unit(PROFILES / "reference-cap-unit.toml")
    unit.refuses = longer_than(8)
    driver = unit.driver()
    with caplog.at_level(logging.WARNING, logger="drivers.unit.blocks"):
        for _ in range(3):
            await reading(driver)
    assert sum(query.count == 64 for query in unit.asked) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "unit u1 refuses block all in one request (exception 02); its points are asked one by one"
    ]


async def test_after_a_break_of_the_line_the_whole_is_asked_again() -> None:
    unit = Unit(PROFILES / "reference-cap-unit.toml")
    unit.refuses = longer_than(8)
    driver = unit.driver()
    await reading(driver)
    unit.is_down = True
    assert isinstance(await driver.read(), ReadFault)
    unit.is_down = False
    unit.refuses = lambda _query: None
    unit.asked.clear()
    await reading(driver)
    assert [query.count for query in unit.asked] == [4, 64], "what follows a miss, and the block"


async def test_a_point_that_a_unit_lacks_is_named_and_gives_no_reading() -> None:
    unit = Unit(PROFILES / "reference-cap-unit.toml")
    unit.refuses = lambda query: 2 if query.address <= 37 < query.address + query.count else None
    driver = unit.driver()
    for _ in range(2):
        fault = await driver.read()
        assert isinstance(fault, ReadFault)
        assert (fault.kind, fault.detail) == (FaultKind.REFUSED, "1 registers from 37: exception 02")
    assert sum(query.count == 64 for query in unit.asked) == 2, "nothing was found that works, so the whole is tried"


@pytest.mark.parametrize("path", REGISTER_PROFILES, ids=lambda path: path.stem)
async def test_a_unit_that_falls_short_of_a_block_gives_the_same_reading_point_by_point(path: Path) -> None:
    unit, short = Unit(path), Unit(path)
    short.most = max(point.length for point in load_profile(path).points)
    driver = short.driver()
    truth = await reading(unit.driver())
    blocks = load_profile(path).blocks
    polls = [await driver.read() for _ in range(len(blocks) + 1)]
    faults = [poll for poll in polls if isinstance(poll, ReadFault)]
    assert polls[: len(faults)] == faults, "once: damage, of one block after the other"
    assert polls[-1] == truth
    short.asked.clear()
    assert await reading(driver) == truth
    assert all(query.count <= short.most for query in short.asked), "the whole is not asked again"


async def test_a_unit_that_falls_short_of_a_point_gives_no_reading_and_recovers_after_it() -> None:
    unit = Unit(PROFILES / "reference-cap-unit.toml")  # its serial number takes eight registers
    unit.most = 1
    driver = unit.driver()
    assert isinstance(await driver.read(), ReadFault)
    for _ in range(2):
        fault = await driver.read()
        assert isinstance(fault, ReadFault)
        assert (fault.kind, fault.detail) == (FaultKind.GARBLED, "1 values for 64; point by point: 1 values for 8")
    unit.most = 8
    assert isinstance(await driver.read(), Reading)


async def test_what_was_wrong_first_is_told_where_the_points_are_not_answered() -> None:
    unit = Unit(PROFILES / "eurotherm-3200.toml")
    unit.most = 1
    exchange = unit.exchange

    async def only_spans(query: Query, timing: LineTiming | None = None) -> Raw:
        if isinstance(query, ModbusQuery) and query.count == 1:
            raise NoReply("no answer in time")
        return await exchange(query, timing)

    unit.exchange = only_spans
    driver = unit.driver()
    assert isinstance(await driver.read(), ReadFault)
    fault = await driver.read()
    assert isinstance(fault, ReadFault)
    assert (fault.kind, fault.detail) == (FaultKind.GARBLED, "1 values for 5; point by point: no answer in time")


@pytest.mark.parametrize("code", [1, 4, 5, 6, 10, 11])
async def test_another_exception_splits_nothing(code: int) -> None:
    unit = Unit(PROFILES / "reference-cap-unit.toml")
    unit.refuses = lambda _query: code
    assert isinstance(await unit.driver().read(), ReadFault)
    assert len(unit.asked) == 1


@pytest.mark.slow
@given(st.sets(st.integers(0, 63), max_size=20), st.integers(1, 64))
@settings(max_examples=30, deadline=None)
async def test_whatever_a_unit_refuses_it_gives_the_whole_truth_or_a_fault(holes: set[int], longest: int) -> None:
    path = PROFILES / "reference-cap-unit.toml"
    unit, truth = Unit(path), await reading(Unit(path).driver())
    unit.refuses = lambda query: (
        2 if query.count > longest or holes & set(range(query.address, query.address + query.count)) else None
    )
    answer = await unit.driver().read()
    assert answer == truth or (isinstance(answer, ReadFault) and answer.kind is FaultKind.REFUSED)
