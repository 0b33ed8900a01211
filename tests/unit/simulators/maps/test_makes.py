"""What each make answers, against numbers taken from its document by hand."""

import pytest

from drivers.dialects.base import ModbusQuery, Query, Raw, Refusal, TextQuery
from drivers.dialects.registry import DialectName
from simulators.machine import CircuitState, Machine, MachineAlarm, Sensor
from simulators.maps import MapName
from simulators.physics import CapTemperatures, Coolant


def unit(caps: int = 1, set_point_c: float = -4.0) -> Machine:
    machine = Machine("RCU1-000417", caps, set_point_c)
    machine.coolant = Coolant(-4.2, -3.3, compressor_on=True)
    return machine


def ask(name: MapName, machine: Machine, function: int, address: int, count: int) -> Raw | Refusal | None:
    return name.answer(machine, ModbusQuery(1, function, address, count))


def words(name: MapName, machine: Machine, function: int, address: int, count: int) -> tuple[int, ...]:
    answer = ask(name, machine, function, address, count)
    assert isinstance(answer, tuple), answer
    return answer


def say(machine: Machine, command: str) -> Raw | Refusal | None:
    return MapName.JULABO.answer(machine, TextQuery(command))


# The reference cap unit: docs/devices/reference-cap-unit.md


def test_the_reference_unit_answers_as_its_worked_exchange_shows() -> None:
    machine = unit(caps=2)
    machine.clock_s = 42.9
    for number in (1, 2):
        machine.connect(number)
        machine.start(number)
    image = words(MapName.REFERENCE, machine, 4, 0, 64)
    assert image[:10] == (0x4347, 1, 2, 0x2A, 0xFE5C, 0xFEB6, 0xFE70, 0x00F0, 0x0003, 0)
    assert len(image) == 64


def test_the_reference_unit_gives_the_same_words_to_functions_3_and_4_and_any_part_of_them() -> None:
    machine = unit(caps=2)
    image = words(MapName.REFERENCE, machine, 4, 0, 64)
    assert words(MapName.REFERENCE, machine, 3, 0, 64) == image
    assert words(MapName.REFERENCE, machine, 3, 14, 8) == image[14:22]
    assert words(MapName.REFERENCE, machine, 4, 63, 1) == image[63:]


def test_the_reference_unit_spells_its_serial_number_two_characters_a_register() -> None:
    image = words(MapName.REFERENCE, unit(), 4, 14, 8)
    assert b"".join(word.to_bytes(2, "big") for word in image) == b"RCU1-000417\0\0\0\0\0"


def test_the_reference_unit_refuses_writes_with_01_and_other_addresses_with_02() -> None:
    for function in (1, 2, 5, 6, 15, 16, 22, 23):
        assert ask(MapName.REFERENCE, unit(), function, 0, 1) == Refusal(1)
    assert ask(MapName.REFERENCE, unit(), 4, 64, 1) == Refusal(2)
    assert ask(MapName.REFERENCE, unit(), 4, 0, 65) == Refusal(2)
    assert ask(MapName.REFERENCE, unit(), 4, 0, 0) == Refusal(3)


def test_a_cap_block_of_the_reference_unit_has_state_bits_temperatures_flow_and_counters() -> None:
    machine = unit(caps=2)
    machine.connect(2)
    machine.start(2)
    cap = machine.cap(2)
    cap.temperatures = CapTemperatures(2.5, -0.01, -12.34)
    cap.elapsed_s = 70_000.9
    block = words(MapName.REFERENCE, machine, 4, 48, 16)
    assert block[:9] == (1, 0b11, 250, 0xFFFF, 0xFB2E, 120, 1, 4464, 1)
    assert block[9:] == (0,) * 7


@pytest.mark.parametrize(("state", "number"), [(state, number) for number, state in enumerate(CircuitState)])
def test_the_reference_units_run_states_are_numbered_as_documented(state: CircuitState, number: int) -> None:
    machine = unit()
    machine.cap(1).state = state
    assert words(MapName.REFERENCE, machine, 4, 32, 1) == (number,)


def test_a_reference_unit_with_one_cap_serves_the_second_block_as_zeros() -> None:
    assert words(MapName.REFERENCE, unit(), 4, 48, 16) == (0,) * 16


def test_the_reference_unit_marks_faulty_probes_with_8000_and_their_bits() -> None:
    machine = unit()
    machine.raise_alarm(MachineAlarm.SUPPLY_PROBE)
    machine.cap(1).probe_faults.update({Sensor.CAP_FRONT, Sensor.CAP_SAFETY})
    image = words(MapName.REFERENCE, machine, 4, 0, 64)
    assert (image[4], image[9]) == (0x8000, 1 << 3)
    assert (image[33], image[34], image[36]) == (0b10100, 0x8000, 0x8000)
    assert image[35] == 2200


@pytest.mark.parametrize(("alarm", "bit"), [(alarm, bit) for bit, alarm in enumerate(MachineAlarm)])
def test_the_reference_units_alarm_bits_are_as_documented(alarm: MachineAlarm, bit: int) -> None:
    machine = unit()
    machine.raise_alarm(alarm)
    assert words(MapName.REFERENCE, machine, 4, 9, 1) == (1 << bit,)


def test_the_reference_units_heartbeat_wraps() -> None:
    machine = unit()
    machine.clock_s = 65536 + 7
    assert words(MapName.REFERENCE, machine, 4, 3, 1) == (7,)


# SMC HRS: HRX-OM-M091-H


def test_the_hrs_gives_tenths_of_a_degree_its_pressure_and_its_status() -> None:
    machine = unit()
    machine.start(1)
    assert words(MapName.SMC_HRS, machine, 3, 0, 12) == (0xFFD6, 0, 13, 0, 0x0221, 0, 0, 0, 0, 0, 0, 0xFFD8)


def test_the_hrs_changes_its_numbers_with_the_units_that_its_status_names() -> None:
    machine = unit()
    machine.start(1)
    machine.fahrenheit = machine.psi = True
    image = words(MapName.SMC_HRS, machine, 3, 0, 16)
    assert (image[0], image[2], image[4]) == (244, 19, 0x0221 | 1 << 10 | 1 << 4)
    assert image[0xB] == 248


def test_the_hrs_at_rest_has_no_pressure_and_no_run_bit() -> None:
    assert words(MapName.SMC_HRS, unit(), 3, 0, 5) == (0xFFD6, 0, 0, 0, 0x0020)


@pytest.mark.parametrize(
    ("alarm", "status_bit", "register", "bit"),
    [
        (MachineAlarm.COOLANT_LOW, 1, 5, 0),
        (MachineAlarm.PUMP_FAULT, 1, 5, 6),
        (MachineAlarm.COOLANT_WARM, 2, 5, 1),
        (MachineAlarm.SUPPLY_PROBE, 2, 6, 5),
        (MachineAlarm.RETURN_PROBE, 2, 6, 6),
    ],
)
def test_the_hrs_tells_alarms_by_status_and_by_their_bits(
    alarm: MachineAlarm, status_bit: int, register: int, bit: int
) -> None:
    machine = unit()
    machine.raise_alarm(alarm)
    image = words(MapName.SMC_HRS, machine, 3, 0, 8)
    assert image[4] & 0b110 == 1 << status_bit
    assert image[register] == 1 << bit


def test_the_hrs_refuses_what_its_manual_does_not_list() -> None:
    assert ask(MapName.SMC_HRS, unit(), 4, 0, 1) == Refusal(1)
    assert ask(MapName.SMC_HRS, unit(), 3, 0x0100, 7) == Refusal(2)  # the manual's own example of an exception
    assert ask(MapName.SMC_HRS, unit(), 3, 0, 17) == Refusal(2)


# Eurotherm 3200: HA028651


def test_the_eurotherm_gives_its_parameters_at_their_addresses() -> None:
    machine = unit()
    assert words(MapName.EUROTHERM, machine, 3, 1, 1) == (0xFFD6,)
    assert words(MapName.EUROTHERM, machine, 3, 1, 5) == (0xFFD6, 0xFFD8, 1000, 1000, 0xFFD8)
    assert words(MapName.EUROTHERM, machine, 4, 23, 1) == (0,)
    machine.start(1)
    assert words(MapName.EUROTHERM, machine, 3, 23, 1) == (1,)
    assert words(MapName.EUROTHERM, machine, 3, 75, 2) == (1 << 13, 0xFFFF ^ 1 << 13)
    machine.pause(1)
    assert words(MapName.EUROTHERM, machine, 3, 23, 1) == (2,)
    machine.stop(1)
    assert words(MapName.EUROTHERM, machine, 3, 23, 1) == (3,)


def test_the_eurotherm_tells_a_broken_sensor_by_its_status() -> None:
    machine = unit()
    machine.raise_alarm(MachineAlarm.SUPPLY_PROBE)
    status, inverse = words(MapName.EUROTHERM, machine, 3, 75, 2)
    assert status == 1 << 5
    assert status ^ inverse == 0xFFFF


def test_the_eurotherm_refuses_addresses_that_it_has_not_even_within_a_block() -> None:
    assert ask(MapName.EUROTHERM, unit(), 3, 0, 1) == Refusal(2)
    assert ask(MapName.EUROTHERM, unit(), 3, 5, 2) == Refusal(2)
    assert ask(MapName.EUROTHERM, unit(), 6, 2, 1) == Refusal(1)


# Julabo


def test_the_julabo_answers_its_read_commands_in_either_case() -> None:
    machine = unit()
    assert say(machine, "IN_PV_00") == "-4.20"
    assert say(machine, "in_pv_00") == "-4.20"
    assert say(machine, "IN_PV_02") == "-3.30"
    assert say(machine, "IN_SP_00") == "-4.00"
    assert say(machine, "STATUS") == "00 MANUAL STOP"
    assert say(machine, "IN_MODE_05") == "0"
    machine.start(1)
    assert say(machine, "STATUS") == "01 MANUAL START"
    assert say(machine, "IN_MODE_05") == "1"
    version = say(machine, "VERSION")
    assert isinstance(version, str)
    assert version.startswith("JULABO")


def test_the_julabo_keeps_silent_to_what_it_does_not_know_and_to_settings_which_it_ignores() -> None:
    machine = unit()
    assert say(machine, "IN_PV_99") is None
    assert say(machine, "HELLO") is None
    assert say(machine, "OUT_SP_00 12.0") is None
    assert say(machine, "OUT_MODE_05 1") is None
    assert say(machine, "IN_SP_00") == "-4.00"
    assert not machine.running


def test_the_julabo_tells_alarms_in_its_status_and_a_missing_probe_by_dashes() -> None:
    machine = unit()
    machine.raise_alarm(MachineAlarm.COOLANT_LOW)
    assert say(machine, "STATUS") == "-01 LOW LEVEL ALARM"
    machine.clear_alarm(MachineAlarm.COOLANT_LOW)
    machine.raise_alarm(MachineAlarm.RETURN_PROBE)
    assert say(machine, "IN_PV_02") == "---.--"


@pytest.mark.parametrize(
    ("name", "query"),
    [
        (name, TextQuery("STATUS") if DialectName.MODBUS_RTU in name.dialects else ModbusQuery(1, 3, 0, 1))
        for name in MapName
    ],
)
def test_a_unit_asked_in_a_foreign_language_keeps_silent(name: MapName, query: Query) -> None:
    assert name.answer(unit(), query) is None
