"""NC, Huber PB and Lauda from driver to simulated unit over a line in memory, in virtual time, well and badly."""

import asyncio
from collections.abc import Callable

import pytest

from drivers.dialects.base import RejectKind
from drivers.dialects.registry import dialect
from drivers.line import Line
from drivers.profile.load import load_profile
from drivers.reading import FaultKind, ReadFault, Reading, RunState, Stamp
from drivers.transport.memory import Fault as Arrives
from drivers.transport.memory import behind, corrupted, dribbled, late, null_modem
from drivers.unit.driver import Driver, line_timing
from gateway.cli.simulate import PROFILES
from simulators import faults
from simulators.machine import Machine
from simulators.maps import MapName
from simulators.serve import UnitHandler
from simulators.unit import SimulatedUnit
from tests.contract.profile_wire import ROOT
from tests.virtual_time import run_virtual

BATHS = [MapName.NESLAB, MapName.THERMOFLEX, MapName.HUBER, MapName.LAUDA]
ON_A_BUS = [MapName.NESLAB, MapName.THERMOFLEX, MapName.LAUDA]
SET_POINT_C = -4.2
every_bath = pytest.mark.parametrize("make", BATHS)


class Bench:
    """A driver and the simulated unit that it reads, `unit_id` 5 on a bus or alone on its line."""

    def __init__(self, make: MapName, unit_id: int | None = None, asked_id: int | None = None) -> None:
        profile = load_profile(ROOT / "config" / "profiles" / f"{PROFILES[make]}.toml")
        codec = dialect(profile.dialect)
        connector, self.far_end = null_modem()
        self.machine = Machine("1", 1, SET_POINT_C)
        self.machine.connect(1)
        self.machine.start(1)
        self.unit = SimulatedUnit("bath", unit_id, self.machine, make.answer, (), seed=1)
        self.line = Line("memory", connector, codec, line_timing(profile), None)
        self.blocks = len(profile.blocks)
        self.driver = Driver("bath", profile, self.line, asked_id or unit_id, lambda: Stamp(0, 0))
        handler = UnitHandler(codec, {unit_id: self.unit}, lambda _unit: None, self.far_end.send)
        self.far_end.on_request = handler.receive

    async def reading(self) -> Reading:
        answer = await self.driver.read()
        assert isinstance(answer, Reading), answer
        return answer

    async def fault(self) -> FaultKind:
        answer = await self.driver.read()
        assert isinstance(answer, ReadFault), answer
        return answer.kind


def celsius(reading: Reading) -> float | None:
    return reading.measurements["coolant_supply"].value


@every_bath
def test_a_running_bath_is_read_below_zero(make: MapName) -> None:
    async def body() -> None:
        reading = await Bench(make).reading()
        assert celsius(reading) == pytest.approx(SET_POINT_C)
        assert reading.caps[0].run_state is RunState.RUNNING
        assert reading.caps[0].circulating is True

    run_virtual(body())


@pytest.mark.parametrize("make", ON_A_BUS)
def test_on_a_bus_the_unit_that_is_asked_answers_and_no_other(make: MapName) -> None:
    async def body() -> None:
        assert celsius(await Bench(make, unit_id=5).reading()) == pytest.approx(SET_POINT_C)
        assert await Bench(make, unit_id=5, asked_id=6).fault() is FaultKind.TIMEOUT

    run_virtual(body())


@every_bath
@pytest.mark.parametrize("arrives", [dribbled(0.01), late(0.6)])
def test_a_slow_answer_is_an_answer(make: MapName, arrives: Arrives) -> None:
    async def body() -> None:
        bench = Bench(make)
        bench.far_end.faults.extend([arrives] * (bench.blocks + 1))
        assert celsius(await bench.reading()) == pytest.approx(SET_POINT_C)

    run_virtual(body())


@pytest.mark.parametrize("make", [MapName.NESLAB, MapName.THERMOFLEX, MapName.HUBER])
@pytest.mark.parametrize("noise", [b"\x00\xff", b"\xca", b"\xca\x00\x01\x70\x03", b"{S01"])
def test_noise_in_front_of_a_framed_answer_costs_nothing(make: MapName, noise: bytes) -> None:
    async def body() -> None:
        bench = Bench(make)
        bench.far_end.faults.extend([behind(noise)] * bench.blocks)
        assert celsius(await bench.reading()) == pytest.approx(SET_POINT_C)

    run_virtual(body())


def test_noise_in_front_of_a_lauda_line_costs_the_line_and_never_makes_another_number() -> None:
    async def body() -> None:
        bench = Bench(MapName.LAUDA)
        bench.far_end.faults.extend([behind(b"\xff")])
        assert await bench.fault() is FaultKind.GARBLED
        assert celsius(await bench.reading()) == pytest.approx(SET_POINT_C)

    run_virtual(body())


def test_no_single_flipped_bit_of_a_temperature_comes_through_the_checksum() -> None:
    async def body() -> None:
        for bit in range(9 * 8):
            bench = Bench(MapName.NESLAB)
            bench.far_end.faults.extend([late(0.0), corrupted(bit)])  # the status, then the temperature
            answer = await bench.driver.read()
            assert isinstance(answer, ReadFault), bit

    run_virtual(body())


@every_bath
def test_a_late_answer_is_never_the_next_questions(make: MapName) -> None:
    async def body() -> None:
        bench = Bench(make)
        bench.far_end.faults.append(late(1.5))
        assert await bench.fault() is FaultKind.TIMEOUT
        reading = await bench.reading()
        assert celsius(reading) == pytest.approx(SET_POINT_C)
        assert reading.alarms == ()
        assert bench.line.counters.drains >= 1

    run_virtual(body())


@every_bath
@pytest.mark.parametrize("kind", [faults.InjectedFault.LOST, faults.InjectedFault.LATE])
def test_the_simulators_own_faults_reach_the_driver(make: MapName, kind: faults.InjectedFault) -> None:
    async def body() -> None:
        bench = Bench(make)
        bench.unit.begin_fault(faults.Fault(kind, delay_s=1.2 if kind is faults.InjectedFault.LATE else 0.0))
        assert await bench.fault() is FaultKind.TIMEOUT
        bench.unit.clear_faults()
        await asyncio.sleep(3)
        assert celsius(await bench.reading()) == pytest.approx(SET_POINT_C)

    run_virtual(body())


@every_bath
def test_a_damaged_answer_is_counted_and_gives_no_reading(make: MapName) -> None:
    async def body() -> None:
        bench = Bench(make)
        if make is MapName.LAUDA:  # nothing guards its digits: what can be told is a character that is none
            bench.far_end.faults.append(corrupted(7))
        else:
            bench.unit.begin_fault(faults.Fault(faults.InjectedFault.CORRUPT))
        answer = await bench.driver.read()
        assert isinstance(answer, ReadFault)
        assert answer.kind in (FaultKind.GARBLED, FaultKind.TIMEOUT)
        assert sum(bench.line.counters.rejects.values())

    run_virtual(body())


@pytest.mark.parametrize("make", ON_A_BUS)
def test_an_answer_from_another_unit_is_counted_as_such(make: MapName) -> None:
    async def body() -> None:
        bench = Bench(make, unit_id=5)
        bench.unit.begin_fault(faults.Fault(faults.InjectedFault.WRONG_UNIT))
        assert await bench.fault() is FaultKind.TIMEOUT
        assert bench.line.counters.rejects[RejectKind.WRONG_UNIT] == 1

    run_virtual(body())


@every_bath
def test_an_echo_of_a_half_duplex_line_is_counted_and_no_answer(make: MapName) -> None:
    async def body() -> None:
        bench = Bench(make)
        take_bytes: Callable[[bytes], None] = bench.far_end.on_request

        def take_and_echo(data: bytes) -> None:
            bench.far_end.send(data)
            take_bytes(data)

        bench.far_end.on_request = take_and_echo
        assert celsius(await bench.reading()) == pytest.approx(SET_POINT_C)
        assert bench.line.counters.rejects[RejectKind.ECHO] >= bench.blocks

    run_virtual(body())


def test_an_armed_lauda_is_asked_once_over_the_line_and_left_alone() -> None:
    async def body() -> None:
        bench = Bench(MapName.LAUDA)
        bench.machine.watchdog_s = 30
        assert [await bench.fault() for _ in range(3)] == [FaultKind.NEEDS_CONSENT] * 3
        assert bench.line.counters.requests == 1

    run_virtual(body())
