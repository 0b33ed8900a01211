"""JULABO PRESTO (manual of 2.13.2018, p. 103-106) and MAGIO (M5 p. 91, MS p. 104-106): Modbus TCP, one circuit.

Common registers are equal; the PRESTO also has pressures and register 93, the Modbus format, here 0 (floats high word
first). Assumed: alarm and warning codes are those of the text commands; a missing sensor is NaN.
"""

from collections.abc import Mapping

from drivers.dialects.base import ModbusQuery, Query, Raw, Refusal
from simulators.machine import STOPPING_ALARMS, Machine, MachineAlarm, Sensor
from simulators.maps.words import float_high_first, int16, listed, uint32_high_first

READ_HOLDING, READ_INPUT = 3, 4
FORMAT_BIG_ENDIAN_NO_SWAP = 0
PUMP_PRESSURE_BAR = 0.6  # assumed
PSI_PER_BAR = 14.50377

_CODES = {  # the numbers of the text protocol's messages; assumed for Modbus
    MachineAlarm.COOLANT_LOW: 1,
    MachineAlarm.REFRIGERATION_FAULT: 2,
    MachineAlarm.COOLANT_WARM: 3,
    MachineAlarm.SUPPLY_PROBE: 5,
    MachineAlarm.SAFETY_CUTOUT: 6,
    MachineAlarm.PUMP_FAULT: 7,
    MachineAlarm.FLOW_LOW: 40,
    MachineAlarm.RETURN_PROBE: 41,
}


def answer_presto(machine: Machine, query: Query) -> Raw | Refusal | None:
    """A PRESTO's registers; exception 01 for an unsupported function, 02 for an unknown address."""
    return _answer(machine, query, _holding(machine) | {93: FORMAT_BIG_ENDIAN_NO_SWAP}, _input(machine))


def answer_magio(machine: Machine, query: Query) -> Raw | Refusal | None:
    """A MAGIO's registers: without unit type, reservoir, pressures and Modbus format."""
    inputs = {address: word for address, word in _input(machine).items() if address not in (2, *range(17, 27))}
    return _answer(machine, query, _holding(machine), inputs)


def _answer(
    machine: Machine, query: Query, holding: Mapping[int, int], inputs: Mapping[int, int]
) -> Raw | Refusal | None:
    if not isinstance(query, ModbusQuery):
        return None
    if query.function not in (READ_HOLDING, READ_INPUT):
        return Refusal(1)
    return listed(holding if query.function == READ_HOLDING else inputs, query)


def _holding(machine: Machine) -> dict[int, int]:
    return {
        0: int(machine.running),
        1: 0,  # actuating variable: the controller's
        **_float(2, _degrees(machine, machine.set_point_c)),
        4: 0,  # power set over Modbus: none
        90: int(machine.fahrenheit),
        91: int(machine.psi),
        92: 0,  # flow in L/min
    }


def _input(machine: Machine) -> dict[int, int]:
    bath_c = machine.shown(Sensor.SUPPLY)
    high, low = uint32_high_first(_barcode(machine.serial_number))
    return {
        0: 0x0103,
        1: 0x0200,  # firmware 1.3.2.0
        2: 7,  # unit type
        3: high,
        4: low,
        5: 0,  # operated at the panel
        6: _code(machine.alarms & STOPPING_ALARMS),
        7: _code(machine.alarms - STOPPING_ALARMS),
        **_float(10, _degrees(machine, bath_c)),
        **_float(12, _degrees(machine, machine.shown(Sensor.RETURN))),  # external Pt100: in the return pipe
        14: int16(-100 if machine.coolant.compressor_on else 0),
        **_float(15, _degrees(machine, machine.coolant.supply_c)),  # safety sensor, tank
        **_float(17, _degrees(machine, machine.coolant.supply_c)),  # and reservoir
        **_float(19, _degrees(machine, 90.0)),
        **_float(21, _degrees(machine, 90.0)),
        **_float(23, _pressure(machine)),
        **_float(25, _pressure(machine)),
    }


def _barcode(serial_number: str) -> int:
    """The digits of the serial number, since the register holds no letters."""
    return int("".join(filter(str.isdigit, serial_number)) or 0) & 0xFFFFFFFF


def _code(alarms: set[MachineAlarm] | frozenset[MachineAlarm]) -> int:
    return min((_CODES[alarm] for alarm in alarms), default=0)


def _degrees(machine: Machine, celsius: float | None) -> float:
    if celsius is None:
        return float("nan")
    return celsius * 1.8 + 32 if machine.fahrenheit else celsius


def _pressure(machine: Machine) -> float:
    bar = PUMP_PRESSURE_BAR if machine.running else 0.0
    return bar * PSI_PER_BAR if machine.psi else bar


def _float(address: int, value: float) -> dict[int, int]:
    high, low = float_high_first(value)
    return {address: high, address + 1: low}
