"""What NESLAB, ThermoFlex, Huber and Lauda units answer, against numbers taken from their documents by hand."""

import pytest

from drivers.dialects.base import ModbusQuery, NumberQuery, Raw, Refusal, TextQuery
from simulators.machine import Machine, MachineAlarm
from simulators.maps import MapName
from simulators.physics import Coolant


def unit(supply_c: float = -10.5) -> Machine:
    machine = Machine("1", 1, -4.0)
    machine.coolant = Coolant(supply_c, -3.3, compressor_on=True)
    machine.connect(1)
    return machine


def asked(make: MapName, machine: Machine, number: int) -> Raw | Refusal | None:
    return make.answer(machine, NumberQuery(number))


def said(make: MapName, machine: Machine, command: str) -> Raw | Refusal | None:
    return make.answer(machine, TextQuery(command))


# NESLAB: EX manual, B-4 and B-5


def test_the_bath_answers_values_of_two_bytes_behind_their_qualifier() -> None:
    machine = unit()
    assert asked(MapName.NESLAB, machine, 0x20) == (0x11, 0xFF, 0x97)  # ULT-80 manual, p. 56
    assert asked(MapName.NESLAB, unit(45.6), 0x20) == (0x11, 0x01, 0xC8)  # EX manual, B-5
    assert asked(MapName.NESLAB, machine, 0x21) == (0x11, 0xFF, 0xDF)
    assert asked(MapName.NESLAB, machine, 0x70) == (0x11, 0xFF, 0xD8)
    assert asked(MapName.NESLAB, machine, 0x40) == (0x11, 0xFE, 0x0C)
    assert asked(MapName.NESLAB, machine, 0x60) == (0x11, 0x03, 0xE8)
    assert asked(MapName.NESLAB, machine, 0x00) == (0, 1)


def test_the_bath_tells_unit_and_pump_by_bits_3_and_2_of_the_fourth_byte() -> None:
    machine = unit()
    assert asked(MapName.NESLAB, machine, 0x09) == (0, 0, 0, 0, 0)
    machine.start(1)
    assert asked(MapName.NESLAB, machine, 0x09) == (0, 0, 0, 0x0C, 0)


@pytest.mark.parametrize(
    ("alarm", "status"),
    [
        (MachineAlarm.COOLANT_LOW, (0, 0, 0x08, 0xA0, 0)),
        (MachineAlarm.COOLANT_WARM, (0, 0, 0x04, 0x0C, 0)),
        (MachineAlarm.SUPPLY_PROBE, (0xA0, 0, 0, 0x0C, 0)),
        (MachineAlarm.RETURN_PROBE, (0, 0x28, 0, 0x0C, 0)),
    ],
)
def test_the_bath_tells_alarms_by_their_bits(alarm: MachineAlarm, status: tuple[int, ...]) -> None:
    machine = unit()
    machine.start(1)
    machine.raise_alarm(alarm)
    assert asked(MapName.NESLAB, machine, 0x09) == status


def test_what_the_bath_does_not_know_is_a_bad_command() -> None:
    assert asked(MapName.NESLAB, unit(), 0x10) == Refusal(1)
    assert asked(MapName.NESLAB, unit(), 0x81) == Refusal(1)
    assert MapName.NESLAB.answer(unit(), ModbusQuery(1, 3, 0, 1)) is None


# ThermoFlex: manual, D-2 to D-9


def test_the_thermoflex_answers_values_of_four_bytes_in_the_units_of_its_panel() -> None:
    machine = unit(-4.2)
    machine.start(1)
    assert asked(MapName.THERMOFLEX, machine, 0x20) == (0x11, 0xFF, 0xFF, 0xFF, 0xD6)
    assert asked(MapName.THERMOFLEX, machine, 0x10) == (0x13, 0, 0, 0, 0x0C)
    assert asked(MapName.THERMOFLEX, machine, 0x28) == (0x17, 0, 0, 0, 0x0D)
    machine.fahrenheit = machine.psi = True
    assert asked(MapName.THERMOFLEX, machine, 0x20) == (0x12, 0, 0, 0, 0xF4)
    assert asked(MapName.THERMOFLEX, machine, 0x10) == (0x14, 0, 0, 0, 0x03)
    assert asked(MapName.THERMOFLEX, machine, 0x28) == (0x16, 0, 0, 0, 0xBD)


@pytest.mark.parametrize(
    ("alarm", "status"),
    [
        (MachineAlarm.COOLANT_LOW, (0, 0, 0x08, 0)),
        (MachineAlarm.PUMP_FAULT, (0, 0x20, 0, 0)),
        (MachineAlarm.FLOW_LOW, (1, 0, 0x04, 0)),
        (MachineAlarm.SUPPLY_PROBE, (3, 0, 0, 0)),
        (MachineAlarm.COOLANT_WARM, (0x41, 0, 0, 0)),
    ],
)
def test_the_thermoflex_has_four_status_bytes_of_its_own(alarm: MachineAlarm, status: tuple[int, ...]) -> None:
    machine = unit()
    machine.start(1)
    machine.raise_alarm(alarm)
    assert asked(MapName.THERMOFLEX, machine, 0x09) == status


def test_what_the_thermoflex_does_not_know_is_a_bad_command() -> None:
    assert asked(MapName.THERMOFLEX, unit(), 0x21) == Refusal(1)


# Huber


def test_the_huber_answers_hundredths_in_twos_complement() -> None:
    machine = unit(-4.34)
    machine.start(1)
    assert asked(MapName.HUBER, machine, 0x01) == (0xFE4E,)
    assert asked(MapName.HUBER, machine, 0x00) == (0xFE70,)
    assert asked(MapName.HUBER, machine, 0x0A) == (0x0011,)
    assert asked(MapName.HUBER, machine, 0x26) == (3200,)


def test_the_huber_has_7fff_for_what_it_lacks_and_c504_for_a_probe_that_is_not_there() -> None:
    machine = unit()
    assert asked(MapName.HUBER, machine, 0x5D) == (0x7FFF,)
    assert asked(MapName.HUBER, machine, 0x07) == (0xC504,)
    machine.raise_alarm(MachineAlarm.SUPPLY_PROBE)
    assert asked(MapName.HUBER, machine, 0x01) == (0xC504,)


def test_the_huber_tells_an_error_by_its_bit_and_its_number() -> None:
    machine = unit()
    machine.start(1)
    machine.raise_alarm(MachineAlarm.COOLANT_LOW)
    assert asked(MapName.HUBER, machine, 0x0A) == (0x0100,)
    assert asked(MapName.HUBER, machine, 0x05) == (0x10000 - 75,)
    machine.clear_alarm(MachineAlarm.COOLANT_LOW)
    machine.raise_alarm(MachineAlarm.COOLANT_WARM)
    assert asked(MapName.HUBER, machine, 0x0A) == (0x0200,)


# Lauda: P 10 manual, p. 46; MC 250 manual, p. 43


def test_the_pro_answers_numbers_in_fixed_decimals() -> None:
    machine = unit(-4.2)
    machine.start(1)
    assert said(MapName.LAUDA, machine, "IN_PV_00") == "-004.20"
    assert said(MapName.LAUDA, machine, "IN_PV_03") == "-003.30"
    assert said(MapName.LAUDA, machine, "IN_SP_00") == "-004.00"
    assert said(MapName.LAUDA, machine, "IN_SP_01") == "004.00"
    assert said(MapName.LAUDA, machine, "IN_MODE_02") == "0"
    assert said(MapName.LAUDA, machine, "STATUS") == "0"
    assert said(MapName.LAUDA, machine, "STAT") == "0000000"


def test_the_pro_tells_how_long_it_waits_for_the_next_command() -> None:
    machine = unit()
    assert said(MapName.LAUDA, machine, "IN_SP_08") == "000.00"
    machine.watchdog_s = 30
    assert said(MapName.LAUDA, machine, "IN_SP_08") == "030.00"


@pytest.mark.parametrize(
    ("alarm", "pro", "microcool"),
    [
        (MachineAlarm.COOLANT_LOW, "0000100", "0000100"),
        (MachineAlarm.PUMP_FAULT, "1000000", "1000000"),
        (MachineAlarm.COOLANT_WARM, "0010000", "0000000"),
    ],
)
def test_the_microcool_tells_fewer_flags_than_the_pro(alarm: MachineAlarm, pro: str, microcool: str) -> None:
    machine = unit()
    machine.start(1)
    machine.raise_alarm(alarm)
    assert said(MapName.LAUDA, machine, "STAT") == pro
    assert said(MapName.LAUDA_MICROCOOL, machine, "STAT") == microcool


@pytest.mark.parametrize("command", ["IN_MODE_02", "IN_SP_01", "IN_SP_08", "OUT_SP_00_5", "START"])
def test_the_microcool_knows_neither_pump_nor_standby_nor_watchdog(command: str) -> None:
    assert said(MapName.LAUDA_MICROCOOL, unit(), command) == Refusal(1)


def test_nobody_works_a_lauda_from_the_line() -> None:
    machine = unit()
    machine.start(1)
    for command in ("STOP", "OUT_MODE_00_1", "OUT_SP_00_20"):
        assert said(MapName.LAUDA, machine, command) == Refusal(1)
    assert machine.running
    assert machine.set_point_c == -4.0
