"""Another unit at the same address is reported before its readings are accepted."""

import pytest

from drivers.errors import LineDown
from drivers.profile.load import load_profile
from drivers.reading import FaultKind, ReadFault, Reading, Stamp
from drivers.unit.driver import Driver
from drivers.unit.identity import ANNOUNCED_POLLS, VERIFY_EVERY
from gateway.session.facts import AnyFact, Continuity, UnitOffline, UnitOnline
from gateway.session.observe import CapState, ObserveRules, UnitState, observe, observe_fault
from tests.contract.profile_wire import ROOT
from tests.unit.drivers.unit.driver_support import FakeLine, Rcu

PROFILES = ROOT / "config" / "profiles"
SERIAL_AT = 14


class Numbered(Rcu):
    """The reference unit with a serial number of its own."""

    def __init__(self, serial_number: str) -> None:
        super().__init__()
        self.name(serial_number)

    def name(self, serial_number: str) -> None:
        text = serial_number.encode().ljust(16, b"\0")
        self.registers[SERIAL_AT : SERIAL_AT + 8] = [int.from_bytes(text[at : at + 2], "big") for at in range(0, 16, 2)]


def driver_of(unit: Rcu) -> tuple[Driver, FakeLine]:
    line = FakeLine(unit)
    return Driver("u1", load_profile(PROFILES / "reference-cap-unit.toml"), line, 1, lambda: Stamp(0, 0)), line


async def polls(driver: Driver, count: int) -> list[Reading | ReadFault]:
    return [await driver.read() for _ in range(count)]


def kinds(answers: list[Reading | ReadFault]) -> list[FaultKind | None]:
    return [answer.kind if isinstance(answer, ReadFault) else None for answer in answers]


@pytest.mark.requirement("REQ-DEVICE-5")
async def test_another_kind_of_unit_is_noticed_at_its_first_answer_and_never_taken() -> None:
    unit = Numbered("A")
    driver, _ = driver_of(unit)
    assert kinds(await polls(driver, 3)) == [None] * 3
    unit.registers[0] = 0
    assert set(kinds(await polls(driver, 2 * VERIFY_EVERY))) == {FaultKind.WRONG_IDENTITY}
    unit.registers[0] = 0x4347
    assert kinds(await polls(driver, 1)) == [None]


async def test_another_unit_of_the_kind_is_announced_and_only_then_taken() -> None:
    unit = Numbered("A")
    driver, _ = driver_of(unit)
    await polls(driver, 3)
    unit.name("B")
    answers = await polls(driver, ANNOUNCED_POLLS + 3)
    assert kinds(answers) == [FaultKind.WRONG_IDENTITY] * ANNOUNCED_POLLS + [None] * 3
    first = answers[0]
    assert isinstance(first, ReadFault)
    assert first.detail == "another unit: its serial number is B, before it was A"


async def test_nothing_counts_across_an_exchange_of_units_in_a_session() -> None:
    unit = Numbered("A")
    at_s = 0.0
    profile = load_profile(PROFILES / "reference-cap-unit.toml")
    driver = Driver("u1", profile, FakeLine(unit), 1, lambda: Stamp(round(at_s * 1e6), round(at_s * 1e6)))
    rules = ObserveRules(confirm_polls=2, max_gap_us=15_000_000, evidence=profile.evidence)
    seen, facts = UnitState((CapState(), CapState())), list[AnyFact]()
    for number in range(20):
        at_s = 5.0 * number
        if number == 10:
            unit.name("B")
            unit.registers[40] += 1  # the other unit's treatment
        answer = await driver.read()
        told = observe_fault(seen, answer, rules) if isinstance(answer, ReadFault) else observe(seen, answer, rules)
        seen = told.state
        facts += told.facts
    gone = [fact.at_us for fact in facts if isinstance(fact, UnitOffline)]
    back = [(fact.at_us, fact.continuity) for fact in facts if isinstance(fact, UnitOnline)]
    assert gone == [45_000_000], "the last good answer of the one"
    assert back == [(70_000_000, Continuity.UNPROVEN)], "the first of the other"


async def test_another_unit_is_noticed_also_across_a_break_of_the_line() -> None:
    unit = Numbered("A")
    driver, line = driver_of(unit)
    await polls(driver, 1)
    line.answer = lambda _query: LineDown("unplugged")
    await polls(driver, 5)
    line.answer = unit
    unit.name("B")
    assert kinds(await polls(driver, ANNOUNCED_POLLS + 1)) == [FaultKind.WRONG_IDENTITY] * ANNOUNCED_POLLS + [None]


async def test_two_units_that_answer_in_turn_at_one_address_are_hardly_ever_taken() -> None:
    unit = Numbered("A")
    driver, _ = driver_of(unit)
    await polls(driver, 1)
    taken: list[str | None] = []
    for number in range(200):
        unit.name("BC"[number % 2])
        answer = await driver.read()
        taken += [answer.serial_number] if isinstance(answer, Reading) else []
    assert taken == []


async def test_a_number_that_cannot_be_read_proves_nothing() -> None:
    unit = Numbered("A")
    driver, _ = driver_of(unit)
    await polls(driver, 1)
    unit.registers[SERIAL_AT] = 0xFFFF
    assert kinds(await polls(driver, 3)) == [None] * 3
    unit.name("A")
    assert kinds(await polls(driver, 3)) == [None] * 3


async def test_a_plausible_range_is_looked_at_again_every_so_many_polls_and_after_a_break_of_the_line() -> None:
    temperature = -42

    def answer() -> tuple[int, ...]:
        return (temperature & 0xFFFF, 0, 20, 0, 0x0221, 0, 0, 0, 0, 0, 0)

    line = FakeLine(lambda _query: answer())
    driver = Driver("u1", load_profile(PROFILES / "smc-hrs.toml"), line, 1, lambda: Stamp(0, 0))
    assert kinds(await polls(driver, 1)) == [None]
    temperature = 2000  # 200 degC
    assert kinds(await polls(driver, VERIFY_EVERY)) == [None] * (VERIFY_EVERY - 1) + [FaultKind.WRONG_IDENTITY]
    temperature = -42
    assert kinds(await polls(driver, 1)) == [None]
    line.answer = lambda _query: LineDown("gone")
    await polls(driver, 1)
    temperature = 2000
    line.answer = lambda _query: answer()
    assert kinds(await polls(driver, 1)) == [FaultKind.WRONG_IDENTITY]
