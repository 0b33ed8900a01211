"""Huber thermostats, PB commands (documented by three published drivers, which agree): one circuit.

A variable that a model lacks is 7FFF, a missing sensor C504. Fault numbers are those of a published table. The unit is
operated at its panel only: writes are not answered here.
"""

from drivers.dialects.base import NumberQuery, Query, Raw, Refusal
from simulators.machine import STOPPING_ALARMS, Machine, MachineAlarm, Sensor
from simulators.maps.words import bits, int16

UNSUPPORTED = 0x7FFF
NO_PROBE = 0xC504  # -151.00 degC
_OF_THE_PUMP = {0x03: 450, 0x26: 3200}  # pressure (the drivers disagree about its unit) and speed, both assumed

# Constant here; all but the missing process sensor (07, 3A) are assumed.
_FIXED = {
    0x06: 0,  # no warning is simulated
    0x07: NO_PROBE,
    0x0F: 820,  # level, thousandths
    0x16: 0,  # circulation without temperature control
    0x30: int16(-5000),  # lowest and highest set point, -50 and 120 degC
    0x31: int16(12000),
    0x3A: NO_PROBE,
    0x48: 3200,  # the pump's set point
    0x5C: 180,  # days to the next maintenance
}
_ERRORS = {
    MachineAlarm.COOLANT_LOW: -75,
    MachineAlarm.SUPPLY_PROBE: -9,
    MachineAlarm.RETURN_PROBE: -42,
    MachineAlarm.PUMP_FAULT: -41,
    MachineAlarm.REFRIGERATION_FAULT: -76,
    MachineAlarm.SAFETY_CUTOUT: -5,  # lower alarm temperature (assumed the nearest)
}


def answer(machine: Machine, query: Query) -> Raw | Refusal | None:
    """The variable as one word."""
    if not isinstance(query, NumberQuery):
        return None
    return (_word(machine, query.number),)


def _word(machine: Machine, variable: int) -> int:
    match variable:
        case 0x00:
            return _temperature(machine.set_point_c)
        case 0x01:
            return _temperature(machine.shown(Sensor.SUPPLY))
        case 0x02:
            return _temperature(machine.shown(Sensor.RETURN))
        case 0x05:
            return int16(
                next((_ERRORS[each] for each in MachineAlarm if each in machine.alarms and each in _ERRORS), 0)
            )
        case 0x0A:
            return _status(machine)
        case 0x14:
            return int(machine.running)
        case 0x03 | 0x26:
            return _OF_THE_PUMP[variable] if machine.running else 0
        case _:
            return _FIXED.get(variable, UNSUPPORTED)


def _status(machine: Machine) -> int:
    return bits(
        {
            0: machine.running,  # controls the temperature
            4: machine.running,  # pump
            8: bool(machine.alarms & (STOPPING_ALARMS | _ERRORS.keys())),
            9: bool(machine.alarms - STOPPING_ALARMS - _ERRORS.keys()),
        }
    )


def _temperature(celsius: float | None) -> int:
    return NO_PROBE if celsius is None else int16(round(celsius * 100))
