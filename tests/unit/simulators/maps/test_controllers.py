"""What simulated PolyScience, PRESTO, MAGIO and EZ-ZONE units answer, against numbers from their documents by hand."""

import pytest

from drivers.dialects.base import ModbusQuery, Raw, Refusal, TextQuery
from simulators.machine import Machine, MachineAlarm
from simulators.maps import MapName
from simulators.physics import Coolant


def unit() -> Machine:
    machine = Machine("AB10012345", 1, -4.0)
    machine.coolant = Coolant(-4.2, -3.3, compressor_on=True)
    machine.connect(1)
    return machine


def words(make: MapName, machine: Machine, function: int, address: int, count: int) -> Raw | Refusal | None:
    return make.answer(machine, ModbusQuery(1, function, address, count))


def say(make: MapName, machine: Machine, command: str) -> Raw | Refusal | None:
    return make.answer(machine, TextQuery(command))


# PolyScience: 110-240 p. 40, LS p. 19


def test_the_chiller_answers_with_a_sign_three_digits_and_one_decimal() -> None:
    machine = unit()
    assert say(MapName.POLYSCIENCE, machine, "RT") == "-004.2"
    assert say(MapName.POLYSCIENCE, machine, "RS") == "-004.0"
    assert say(MapName.POLYSCIENCE, machine, "R2") == "-003.3"
    assert say(MapName.POLYSCIENCE, machine, "RL") == "+000.0"
    machine.start(1)
    assert say(MapName.POLYSCIENCE, machine, "RL") == "+001.2"
    assert say(MapName.POLYSCIENCE, machine, "RG") == "+000.3"
    assert say(MapName.POLYSCIENCE, machine, "RK") == "+130.0"
    assert say(MapName.POLYSCIENCE, machine, "RP") == "+018.9"


def test_the_chiller_tells_unit_status_and_faults() -> None:
    machine = unit()
    assert [say(MapName.POLYSCIENCE, machine, each) for each in ("RU", "RW", "RF")] == ["C", "0", "00"]
    machine.start(1)
    machine.fahrenheit = True
    machine.raise_alarm(MachineAlarm.FLOW_LOW)
    assert [say(MapName.POLYSCIENCE, machine, each) for each in ("RU", "RW")] == ["F", "1"]
    assert say(MapName.POLYSCIENCE, machine, "RF") != "00"
    assert say(MapName.POLYSCIENCE, machine, "RT") == "+024.4"


@pytest.mark.parametrize("command", ["rt", "SO1", "SS-05", "RX", "RT ", ""])
def test_the_chiller_refuses_what_it_does_not_know_and_what_would_set_it(command: str) -> None:
    machine = unit()
    assert say(MapName.POLYSCIENCE, machine, command) == Refusal(1)
    assert not machine.running


def test_an_ls_chiller_has_no_command_for_flow_or_pressure() -> None:
    assert say(MapName.POLYSCIENCE_LS, unit(), "RT") == "-004.2"
    assert say(MapName.POLYSCIENCE_LS, unit(), "RL") == Refusal(1)
    assert MapName.POLYSCIENCE_LS.answer(unit(), ModbusQuery(1, 3, 0, 1)) is None


# JULABO: PRESTO p. 103-106, MAGIO MS p. 104-106


def test_a_presto_has_its_bath_in_input_registers_10_and_11_high_word_first() -> None:
    machine = unit()
    assert words(MapName.JULABO_PRESTO, machine, 4, 10, 2) == (0xC086, 0x6666)
    assert words(MapName.JULABO_PRESTO, machine, 4, 12, 2) == (0xC053, 0x3333)
    assert words(MapName.JULABO_PRESTO, machine, 3, 0, 5) == (0, 0, 0xC080, 0, 0)
    assert words(MapName.JULABO_PRESTO, machine, 4, 3, 5) == (10012345 >> 16, 10012345 & 0xFFFF, 0, 0, 0)
    machine.start(1)
    assert words(MapName.JULABO_PRESTO, machine, 3, 0, 1) == (1,)


def test_a_presto_tells_its_units_and_its_format_and_a_magio_only_its_units() -> None:
    machine = unit()
    machine.fahrenheit = True
    assert words(MapName.JULABO_PRESTO, machine, 3, 90, 4) == (1, 0, 0, 0)
    assert words(MapName.JULABO_MAGIO, machine, 3, 90, 3) == (1, 0, 0)
    assert words(MapName.JULABO_MAGIO, machine, 3, 90, 4) == Refusal(2)
    assert words(MapName.JULABO_MAGIO, machine, 4, 10, 15) == Refusal(2)


def test_alarms_stop_a_julabo_and_warnings_do_not() -> None:
    machine = unit()
    machine.start(1)
    machine.raise_alarm(MachineAlarm.FLOW_LOW)
    assert words(MapName.JULABO_MAGIO, machine, 4, 6, 2) == (0, 40)
    assert words(MapName.JULABO_MAGIO, machine, 3, 0, 1) == (1,)
    machine.raise_alarm(MachineAlarm.COOLANT_LOW)
    assert words(MapName.JULABO_MAGIO, machine, 4, 6, 2) == (1, 40)
    assert words(MapName.JULABO_MAGIO, machine, 3, 0, 1) == (0,)


# Watlow: communications manual p. 13


def test_an_ez_zone_sends_the_low_word_first_and_fahrenheit() -> None:
    machine = unit()
    assert words(MapName.WATLOW, machine, 3, 360, 3) == (0x851F, 0x41C3, 61)  # 24.44
    machine.set_point_c = (75.0 - 32) / 1.8
    assert words(MapName.WATLOW, machine, 3, 2160, 2) == (0x0000, 0x4296)  # the manual's own example
    assert words(MapName.WATLOW, machine, 4, 2490, 1) == (30,)


def test_an_ez_zone_tells_its_mode_and_an_open_sensor() -> None:
    machine = unit()
    assert words(MapName.WATLOW, machine, 3, 1880, 1) == (62,)
    machine.start(1)
    machine.raise_alarm(MachineAlarm.SUPPLY_PROBE)
    assert words(MapName.WATLOW, machine, 3, 1880, 1) == (10,)
    assert words(MapName.WATLOW, machine, 3, 362, 1) == (65,)


@pytest.mark.parametrize("make", [MapName.WATLOW, MapName.JULABO_PRESTO, MapName.JULABO_MAGIO])
def test_modbus_units_refuse_writes_with_01_and_unlisted_addresses_with_02(make: MapName) -> None:
    for function in (1, 2, 5, 6, 15, 16, 23):
        assert words(make, unit(), function, 0, 1) == Refusal(1)
    assert words(make, unit(), 3, 40, 1) == Refusal(2)
    assert words(make, unit(), 3, 0, 0) == Refusal(3)
    assert make.answer(unit(), TextQuery("RT")) is None
