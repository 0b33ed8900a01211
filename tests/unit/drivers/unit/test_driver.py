"""One poll is one coherent reading or one fault; what is in doubt is never evidence."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from drivers.dialects.base import ModbusQuery, Query, Raw, TextQuery
from drivers.errors import DriverError, Garbled, LineDown, NoReply, UnitRefused
from drivers.line import LineTiming
from drivers.profile.load import load_profile
from drivers.reading import FaultKind, Measurement, Quality, ReadFault, Reading, Reason, RunState, Stamp
from drivers.unit.driver import Driver, ProbeResult
from tests.unit.drivers.unit.driver_support import Answer, FakeLine, Rcu, register_of

SHIPPED = Path(__file__).parents[4] / "config" / "profiles"
S = 1_000_000


class FakeClock:
    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> Stamp:
        return Stamp(utc_us=round(self.s * S) + 1_700_000_000 * S, boot_us=round(self.s * S))


def _driver(
    profile: str, answer: Callable[[Query], Answer], unit_id: int | None = 1, offsets: dict[str, float] | None = None
) -> tuple[Driver, FakeLine, FakeClock]:
    line, clock = FakeLine(answer), FakeClock()
    return Driver("u1", load_profile(SHIPPED / f"{profile}.toml"), line, unit_id, clock.now, offsets), line, clock


def _reading(answer: Reading | ReadFault) -> Reading:
    assert isinstance(answer, Reading), answer
    return answer


def _fault(answer: Reading | ReadFault) -> ReadFault:
    assert isinstance(answer, ReadFault), answer
    return answer


def _smc(temperature: int = -42, status: int = 0x0221) -> Raw:
    return (register_of(temperature), 0, 20, 0, status, 0, 0, 0, 0, 0, 0)


async def test_the_reference_unit_is_one_exchange_a_poll() -> None:
    driver, line, clock = _driver("reference-cap-unit", Rcu(), unit_id=7)
    clock.s = 5
    reading = _reading(await driver.read())
    assert line.asked == [ModbusQuery(7, 4, 0, 64)]
    assert line.timings == [LineTiming(gap_s=0, timeout_s=1, drain_s=0.2, settle_after_open_s=0)]
    assert (reading.unit, reading.observed_at) == ("u1", clock.now())
    assert [cap.run_state for cap in reading.caps] == [RunState.READY, RunState.READY]
    assert reading.measurements["coolant_supply"] == Measurement(-4.2, "Cel")


async def test_a_poll_asks_every_block_in_order() -> None:
    replies = {"STATUS": "03 REMOTE START", "IN_PV_00": "-4.2", "IN_PV_02": "---.--", "IN_MODE_05": "1"}

    def answer(query: Query) -> Answer:
        assert isinstance(query, TextQuery)
        return replies[query.command]

    driver, line, _ = _driver("julabo-cf", answer, unit_id=None)
    reading = _reading(await driver.read())
    assert line.asked == [TextQuery(command) for command in replies]
    assert reading.caps[0].circulating is True


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoReply("no answer in time"), FaultKind.TIMEOUT),
        (Garbled("noise"), FaultKind.GARBLED),
        (LineDown("gone"), FaultKind.LINE_DOWN),
        (UnitRefused(2), FaultKind.REFUSED),
        (UnitRefused(4), FaultKind.DEVICE_FAILURE),
        (UnitRefused(6), FaultKind.BUSY),
        *((UnitRefused(code), FaultKind.UNREACHABLE) for code in range(0x0A, 0x11)),
    ],
)
async def test_what_goes_wrong_on_the_line_is_the_polls_answer(error: DriverError, kind: FaultKind) -> None:
    driver, line, clock = _driver("eurotherm-3200", lambda _query: error)
    fault = _fault(await driver.read())
    assert (fault.unit, fault.at, fault.kind) == ("u1", clock.now(), kind)
    assert error.detail in fault.detail
    assert {query.address for query in line.asked if isinstance(query, ModbusQuery)} == {1}, "the rest is skipped"


async def test_half_an_answer_is_none() -> None:
    def answer(query: Query) -> Answer:
        assert isinstance(query, ModbusQuery)
        return NoReply("late") if query.address == 75 else (0,) * query.count

    driver, _, _ = _driver("eurotherm-3200", answer)
    assert _fault(await driver.read()).kind is FaultKind.TIMEOUT


async def test_after_a_miss_the_first_request_is_another() -> None:
    unit = Rcu()
    driver, line, _ = _driver("reference-cap-unit", lambda _query: NoReply("late"))
    await driver.read()
    line.answer = unit
    line.asked.clear()
    _reading(await driver.read())
    _reading(await driver.read())
    assert line.asked == [ModbusQuery(1, 4, 0, 4), ModbusQuery(1, 4, 0, 64), ModbusQuery(1, 4, 0, 64)]


async def test_a_cancelled_poll_counts_as_a_miss() -> None:
    driver, line, _ = _driver("reference-cap-unit", Rcu())

    async def cancelled(query: Query, timing: LineTiming | None = None) -> Raw:
        raise asyncio.CancelledError

    line.exchange, exchange = cancelled, line.exchange
    with pytest.raises(asyncio.CancelledError):
        await driver.read()
    line.exchange = exchange
    await driver.read()
    assert line.asked[0] == ModbusQuery(1, 4, 0, 4)


async def test_an_exception_is_an_answer_and_no_miss() -> None:
    driver, line, _ = _driver("reference-cap-unit", lambda _query: UnitRefused(6))
    await driver.read()
    await driver.read()
    assert line.asked == [ModbusQuery(1, 4, 0, 64)] * 2


async def test_another_unit_at_the_address_gives_no_reading() -> None:
    unit = Rcu()
    unit.registers[0] = 0
    driver, _, _ = _driver("reference-cap-unit", unit)
    assert _fault(await driver.read()).kind is FaultKind.WRONG_IDENTITY
    assert _fault(await driver.read()).kind is FaultKind.WRONG_IDENTITY
    unit.registers[0] = 0x4347
    _reading(await driver.read())


async def test_a_torn_answer_is_garbled() -> None:
    def answer(query: Query) -> Answer:
        assert isinstance(query, ModbusQuery)
        return (0x2000, 0xDFFE) if query.address == 75 else (0,) * query.count

    driver, _, _ = _driver("eurotherm-3200", answer)
    assert _fault(await driver.read()).kind is FaultKind.GARBLED


async def test_offsets_correct_good_values_alone() -> None:
    unit = Rcu()
    unit.registers[50] = 0x8000
    offsets = {"coolant_supply": 0.5, "cap_front": -1.0, "cap1.cap_front": 2.0, "cap_back": 0.25}
    driver, _, _ = _driver("reference-cap-unit", unit, offsets=offsets)
    reading = _reading(await driver.read())
    first, second = (cap.temperatures for cap in reading.caps)
    assert reading.measurements["coolant_supply"].value == pytest.approx(-3.7)
    assert reading.measurements["coolant_return"].value == -3.3
    assert first["cap_front"].value == pytest.approx(-1.85)
    assert second["cap_front"] == Measurement(None, "Cel", Quality.BAD, Reason.SENTINEL)
    assert [cap["cap_back"].value for cap in (first, second)] == pytest.approx([-3.47, -3.47])


async def test_an_offset_reaches_the_coolant_that_a_single_cap_shares() -> None:
    driver, _, _ = _driver("smc-hrs", lambda _query: _smc(), offsets={"coolant_supply": 0.5})
    reading = _reading(await driver.read())
    assert reading.caps[0].temperatures["coolant_supply"].value == pytest.approx(-3.7)


async def _poll(driver: Driver, clock: FakeClock, seconds: Sequence[float]) -> Reading:
    reading: Reading | ReadFault | None = None
    for s in seconds:
        clock.s = s
        reading = await driver.read()
    assert isinstance(reading, Reading)
    return reading


async def test_a_value_that_never_moves_while_coolant_runs_is_no_value() -> None:
    driver, line, clock = _driver("smc-hrs", lambda _query: _smc())
    reading = await _poll(driver, clock, range(0, 601, 5))
    assert reading.measurements["coolant_supply"].quality is Quality.GOOD
    reading = await _poll(driver, clock, [605])
    frozen = Measurement(None, "Cel", Quality.BAD, Reason.FROZEN)
    assert reading.measurements["coolant_supply"] == frozen
    assert reading.caps[0].temperatures["coolant_supply"] == frozen
    assert reading.caps[0].circulating is True, "the pump's bit is another source"
    line.answer = lambda _query: _smc(temperature=-43)
    reading = await _poll(driver, clock, [610])
    assert reading.measurements["coolant_supply"] == Measurement(-4.3, "Cel")


async def test_a_value_may_stand_still_while_nothing_runs() -> None:
    driver, line, clock = _driver("smc-hrs", lambda _query: _smc(status=0x0020))
    reading = await _poll(driver, clock, range(0, 2000, 5))
    assert reading.measurements["coolant_supply"].quality is Quality.GOOD
    line.answer = lambda _query: _smc()
    reading = await _poll(driver, clock, [2000, 2300])
    assert reading.measurements["coolant_supply"].quality is Quality.GOOD


async def test_a_hung_controller_proves_nothing() -> None:
    unit = Rcu()
    unit.registers[34] = 0x8000
    driver, line, clock = _driver("reference-cap-unit", unit)
    await _poll(driver, clock, range(30))
    line.answer = lambda _query: tuple(unit.registers)
    reading = await _poll(driver, clock, [29 + s for s in range(1, 11)])
    assert all(cap.circulating for cap in reading.caps), "ten seconds may pass"
    reading = await _poll(driver, clock, [40, 41])
    assert [cap.circulating for cap in reading.caps] == [None, None]
    assert {each.quality for each in reading.measurements.values()} == {Quality.BAD}
    first = reading.caps[0].temperatures
    assert first["cap_back"] == Measurement(None, "Cel", Quality.BAD, Reason.FROZEN)
    assert first["cap_front"] == Measurement(None, "Cel", Quality.BAD, Reason.SENTINEL)
    line.answer = unit
    reading = await _poll(driver, clock, [42])
    assert all(cap.circulating for cap in reading.caps)


async def test_a_probe_goes_on_after_a_block_that_failed() -> None:
    def answer(query: Query) -> Answer:
        assert isinstance(query, ModbusQuery)
        return UnitRefused(2) if query.address == 23 else (0, 0xFFFF) if query.address == 75 else (0,) * query.count

    driver, line, _ = _driver("eurotherm-3200", answer)
    result: ProbeResult = await driver.probe()
    assert len(line.asked) == 3
    assert result.complete is False
    assert [(fault.kind, fault.detail) for fault in result.faults] == [(FaultKind.REFUSED, "timer: exception 02")]
    assert {point.name: point.reason for point in result.points}["timer"] is Reason.NOT_READ
