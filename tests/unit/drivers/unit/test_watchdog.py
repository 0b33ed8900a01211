"""A unit with an armed communication watchdog is not polled, unless the site consents."""

import msgspec
import pytest

from drivers.dialects.base import Query, Raw, TextQuery
from drivers.errors import DriverError, LineDown, NoReply, UnitRefused
from drivers.line import LineTiming
from drivers.profile.load import load_profile
from drivers.reading import FaultKind, ReadFault, Reading, Stamp
from drivers.unit.driver import Driver
from drivers.unit.identity import VERIFY_EVERY
from tests.contract.profile_wire import ROOT

PROFILE = load_profile(ROOT / "config" / "profiles" / "lauda-pro.toml")
WATCHDOG = TextQuery("IN_SP_08")
REPLIES = {
    "IN_PV_00": "-004.20",
    "IN_SP_00": "-004.00",
    "IN_MODE_02": "0",
    "IN_SP_01": "4",
    "IN_PV_02": "0.45",
    "STATUS": "0",
    "STAT": "0000000",
}


class Bath:
    """Answers as a Pro thermostat with the given watchdog, and records the queries."""

    def __init__(self, watchdog: Raw | DriverError) -> None:
        self.watchdog = watchdog
        self.asked: list[Query] = []

    async def exchange(self, query: Query, timing: LineTiming | None = None) -> Raw:
        self.asked.append(query)
        assert isinstance(query, TextQuery)
        answer = self.watchdog if query == WATCHDOG else REPLIES[query.command]
        if isinstance(answer, DriverError):
            raise answer
        return answer

    def driver(self, *, consents: bool = False) -> Driver:
        return Driver("u", PROFILE, self, None, lambda: Stamp(0, 0), consents=consents)


@pytest.mark.parametrize("off", ["0", "000.00"])
async def test_a_watchdog_that_is_off_is_asked_once_and_before_anything_else(off: str) -> None:
    bath = Bath(off)
    driver = bath.driver()
    for _ in range(VERIFY_EVERY + 5):
        assert isinstance(await driver.read(), Reading)
    assert bath.asked[0] == WATCHDOG
    assert bath.asked.count(WATCHDOG) == 1


async def test_an_armed_watchdog_means_one_question_and_never_another() -> None:
    bath = Bath("030.00")
    driver = bath.driver()
    for _ in range(VERIFY_EVERY + 5):
        fault = await driver.read()
        assert isinstance(fault, ReadFault)
        assert fault.kind is FaultKind.NEEDS_CONSENT
        assert fault.detail.startswith("its communication watchdog is armed (IN_SP_08 is 30): ")
    assert bath.asked == [WATCHDOG]


async def test_with_consent_the_unit_is_polled_and_its_watchdog_not_asked() -> None:
    bath = Bath("030.00")
    assert isinstance(await bath.driver(consents=True).read(), Reading)
    assert bath.asked == [TextQuery(command) for command in REPLIES]


async def test_a_model_without_the_command_has_no_watchdog() -> None:
    bath = Bath(UnitRefused(1))
    driver = bath.driver()
    assert isinstance(await driver.read(), Reading)
    assert isinstance(await driver.read(), Reading)
    assert bath.asked.count(WATCHDOG) == 1


@pytest.mark.parametrize(
    ("answer", "kind"), [(NoReply("silent"), FaultKind.TIMEOUT), ("-", FaultKind.GARBLED), ("", FaultKind.GARBLED)]
)
async def test_while_nobody_knows_nothing_else_is_asked(answer: Raw | DriverError, kind: FaultKind) -> None:
    bath = Bath(answer)
    driver = bath.driver()
    fault = await driver.read()
    assert isinstance(fault, ReadFault)
    assert fault.kind is kind
    assert bath.asked == [WATCHDOG]
    bath.watchdog = "0"
    assert isinstance(await driver.read(), Reading)


async def test_after_a_break_of_the_line_it_is_asked_again() -> None:
    bath = Bath("0")
    driver = bath.driver()
    await driver.read()
    bath.watchdog = "30"
    exchange = bath.exchange

    async def broken(query: Query, timing: LineTiming | None = None) -> Raw:
        raise LineDown("unplugged")

    bath.exchange = broken
    await driver.read()
    bath.exchange = exchange
    fault = await driver.read()
    assert isinstance(fault, ReadFault)
    assert fault.kind is FaultKind.NEEDS_CONSENT


async def test_a_probe_shows_the_refusal_and_reads_nothing() -> None:
    bath = Bath("30")
    result = await bath.driver().probe()
    assert bath.asked == [WATCHDOG]
    assert [fault.kind for fault in result.faults] == [FaultKind.NEEDS_CONSENT]
    assert result.complete is False
    assert all(point.value is None for point in result.points)


async def test_a_profile_without_a_watchdog_asks_for_none() -> None:
    bath = Bath("30")
    driver = Driver("u", msgspec.structs.replace(PROFILE, watchdog=None), bath, None, lambda: Stamp(0, 0))
    assert isinstance(await driver.read(), Reading)
