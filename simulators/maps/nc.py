"""Thermo's NC units: NESLAB RTE and EX baths (EX manual, B-4 and B-5) and ThermoFlex chillers (manual, D-2 to D-9).

Two layouts: a bath's status has five bytes and its values two, a ThermoFlex's status four and its values four. Units
are operated at their panels only: writes are answered as bad commands. A broken sensor is reported by the status; its
temperature is not documented for that case, and stays the true one here (assumed).
"""

from drivers.dialects.base import NumberQuery, Query, Raw, Refusal
from simulators.machine import STOPPING_ALARMS, Machine, MachineAlarm, Sensor
from simulators.maps.words import bits

BAD_COMMAND = Refusal(1)
PROTOCOL_VERSION = (0, 1)
FIRMWARE = (0x32, 0x30, 0x46, 0x41)  # "20FA", as in the manual's example
LIMITS_C = (-50.0, 100.0)  # assumed
SUPPLY_PRESSURE_BAR = 1.3  # assumed
SUCTION_PRESSURE_BAR = 0.1  # assumed
BAR_PER_PSI = 0.06894757
L_PER_GALLON = 3.785412

_CELSIUS, _FAHRENHEIT, _LPM, _GPM, _PSI, _BAR = 1, 2, 3, 4, 6, 7


def answer_bath(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The data bytes of a NESLAB bath's answer; the external sensor is in the return pipe."""
    if not isinstance(query, NumberQuery):
        return None
    match query.number:
        case 0x00:
            return PROTOCOL_VERSION
        case 0x09:
            return _bath_status(machine)
        case 0x20:
            return _value(machine.stuck_or_true(Sensor.SUPPLY), _CELSIUS, 2)
        case 0x21:
            return _value(machine.stuck_or_true(Sensor.RETURN), _CELSIUS, 2)
        case 0x40:
            return _value(LIMITS_C[0], _CELSIUS, 2)
        case 0x60:
            return _value(LIMITS_C[1], _CELSIUS, 2)
        case 0x70:
            return _value(machine.set_point_c, _CELSIUS, 2)
        case _:
            return BAD_COMMAND


def answer_thermoflex(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The data bytes of the answer of a ThermoFlex with a flow sensor."""
    if not isinstance(query, NumberQuery):
        return None
    match query.number:
        case 0x00:
            return PROTOCOL_VERSION
        case 0x02:
            return FIRMWARE
        case 0x09:
            return _thermoflex_status(machine)
        case 0x10:
            flow = machine.flow_l_min(1)
            return _value(flow / L_PER_GALLON, _GPM, 4) if machine.psi else _value(flow, _LPM, 4)
        case 0x20:
            return _thermoflex_temperature(machine, machine.stuck_or_true(Sensor.SUPPLY))
        case 0x28:
            return _pressure(machine, SUPPLY_PRESSURE_BAR)
        case 0x29:
            return _pressure(machine, SUCTION_PRESSURE_BAR)
        case 0x70:
            return _thermoflex_temperature(machine, machine.set_point_c)
        case _:
            return BAD_COMMAND


def _bath_status(machine: Machine) -> tuple[int, ...]:
    alarms = machine.alarms
    supply, external = MachineAlarm.SUPPLY_PROBE in alarms, MachineAlarm.RETURN_PROBE in alarms
    faulted = bool(alarms & STOPPING_ALARMS)
    return (
        bits({7: supply, 5: supply}),  # RTD1: open fault, open
        bits({5: external, 3: external}),  # RTD2: open warning, open
        bits(
            {
                6: MachineAlarm.SAFETY_CUTOUT in alarms,  # low fixed temperature fault (assumed the nearest)
                3: MachineAlarm.COOLANT_LOW in alarms,  # low level fault
                2: MachineAlarm.COOLANT_WARM in alarms,  # high temperature warning
            }
        ),
        bits({7: faulted, 5: faulted, 3: machine.running, 2: machine.running}),  # buzzer, faulted, unit on, pump on
        0,  # LEDs
    )


def _thermoflex_status(machine: Machine) -> tuple[int, ...]:
    alarms = machine.alarms
    return (
        bits(
            {
                0: machine.running,
                1: MachineAlarm.SUPPLY_PROBE in alarms,
                2: MachineAlarm.RETURN_PROBE in alarms,
                5: MachineAlarm.SAFETY_CUTOUT in alarms,  # low fixed temperature fault (assumed the nearest)
                6: MachineAlarm.COOLANT_WARM in alarms,
            }
        ),
        bits(
            {5: MachineAlarm.PUMP_FAULT in alarms, 7: MachineAlarm.REFRIGERATION_FAULT in alarms}
        ),  # motor overload, HPC
        bits({2: MachineAlarm.FLOW_LOW in alarms, 3: MachineAlarm.COOLANT_LOW in alarms}),
        0,  # powering up, powering down
    )


def _thermoflex_temperature(machine: Machine, celsius: float) -> tuple[int, ...]:
    if machine.fahrenheit:
        return _value(celsius * 1.8 + 32, _FAHRENHEIT, 4)
    return _value(celsius, _CELSIUS, 4)


def _pressure(machine: Machine, running_bar: float) -> tuple[int, ...]:
    bar = running_bar if machine.running else 0.0
    return _value(bar / BAR_PER_PSI, _PSI, 4) if machine.psi else _value(bar, _BAR, 4)


def _value(value: float, unit: int, size: int) -> tuple[int, ...]:
    """A value with its qualifier (one decimal, unit), signed and big-endian: -10.5 is 11 FF 97."""
    return (1 << 4 | unit, *round(value * 10).to_bytes(size, "big", signed=True))
