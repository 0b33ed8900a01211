"""Watlow EZ-ZONE controller (communications manual p. 13, RMC manual p. 41), register map 1: one circuit.

Every parameter has two registers, the low word first. Temperatures are sent in degF, the factory setting, whatever the
panel shows. The address of the control mode and the input error numbers are known only from an open driver
(ornl-epics/watlow); other addresses answer exception 02 (assumed).
"""

from drivers.dialects.base import ModbusQuery, Query, Raw, Refusal
from simulators.machine import Machine, MachineAlarm, Sensor
from simulators.maps.words import float_high_first, listed

FUNCTIONS = (3, 4)

NONE, OPEN = 61, 65
OFF, AUTO = 62, 10
FAHRENHEIT = 30


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The registers; exception 01 for an unsupported function, 02 for an unknown address."""
    if not isinstance(query, ModbusQuery):
        return None
    if query.function not in FUNCTIONS:
        return Refusal(1)
    return listed(_registers(machine), query)


def _registers(machine: Machine) -> dict[int, int]:
    input_c = machine.shown(Sensor.SUPPLY)
    return {
        **_float(360, 0.0 if input_c is None else _fahrenheit(input_c)),  # 0 while open: assumed
        **_whole(362, OPEN if MachineAlarm.SUPPLY_PROBE in machine.alarms else NONE),
        **_whole(1880, AUTO if machine.running else OFF),
        **_float(1904, -100.0 if machine.coolant.compressor_on else 0.0),  # output power, percent
        **_float(2160, _fahrenheit(machine.set_point_c)),
        **_whole(2490, FAHRENHEIT),
    }


def _fahrenheit(celsius: float) -> float:
    return celsius * 1.8 + 32


def _float(address: int, value: float) -> dict[int, int]:
    high, low = float_high_first(value)
    return {address: low, address + 1: high}


def _whole(address: int, value: int) -> dict[int, int]:
    return {address: value, address + 1: 0}
